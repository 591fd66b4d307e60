/**
 * Counts what arrives of what was sent, from the messages themselves: each sender numbers its own, so that a number that
 * never comes or comes out of turn is seen whatever the client says. Knows neither client nor room.
 */
import { shortId } from "./person.js";
import { write } from "../inspect/element.js";

/** Senders whose last number is remembered, at most. */
const SENDERS = 1_000;

export class Proof {
  /** Messages of this page that are in the log. */
  sent = 0;
  /** Messages handed over, one's own too. */
  received = 0;
  /** Numbers that never came. */
  lost = 0;
  /** Messages that came a second time, or after a later one. */
  disordered = 0;
  /** What would not have arrived over a plain socket: said here, or by others, while the line was down. */
  plain = 0;
  #run = shortId(6);
  #number = 0;
  #last = new Map();

  /** The number that the next message carries. A plain socket throws away what is sent while it is closed. */
  stamp(isOpen) {
    if (!isOpen) this.plain++;
    return { run: this.#run, n: ++this.#number };
  }

  /** A number was given away in vain: the message was refused, and its sender knows. The next ones begin anew. */
  refused() {
    this.#run = shortId(6);
    this.#number = 0;
  }

  /** A message was handed over; `isLate` when somebody else said it while the line was down. */
  take({ data }, isLate) {
    this.received++;
    if (isLate) this.plain++;
    const n = data?.n;
    if (!Number.isSafeInteger(n) || typeof data.run !== "string") return; // from another program
    const last = this.#last.get(data.run) ?? n - 1;
    if (n > last) this.lost += n - last - 1;
    else this.disordered++;
    this.#last.delete(data.run);
    this.#last.set(data.run, Math.max(n, last));
    if (this.#last.size > SENDERS) this.#last.delete(this.#last.keys().next().value);
  }

  /** @param part finds an element of the pane */
  show(part) {
    write(part(".p-sent"), String(this.sent));
    write(part(".p-received"), String(this.received));
    write(part(".p-lost"), String(this.lost));
    write(part(".p-order"), this.disordered === 0 ? "intact" : `${this.disordered} out of turn`);
    write(part(".p-plain"), String(this.plain));
    part(".proof").classList.toggle("broken", this.lost + this.disordered > 0);
    part(".plain").classList.toggle("some", this.plain > 0);
  }
}
