/**
 * The client's end of a WebSocket: the states and manners that every WebSocket class has. Whatever arrives and leaves
 * passes a tap. Knows nothing of frames.
 */
import type { Receiver, Wire } from "./wire.ts";

/** What listens in on one connection. */
export interface Tap {
  /** A text arrived. `stamp`: what the world knew when the room sent it. `deliver` hands it to the client. */
  heard(text: string, stamp: unknown, deliver: () => void): void;
  sent(text: string): void;
  /** No more of it is heard. */
  over(): void;
}

/** What the client is told. */
export interface EndEvents {
  open(): void;
  text(text: string): void;
  closed(code: number, reason: string): void;
  failed(): void;
}

/** One end. */
export class ClientEnd implements Receiver {
  /** As the WebSocket interface has it. */
  state: 0 | 1 | 2 | 3 = 0;
  /** Leaves the room's close unanswered. */
  isDeaf = false;
  wire: Wire | undefined;
  readonly #events: EndEvents;
  readonly #tap: Tap;

  constructor(events: EndEvents, tap: Tap) {
    this.#events = events;
    this.#tap = tap;
  }

  /** Whether nobody waits for it to open any more. */
  get isGone(): boolean {
    return this.state >= 2;
  }

  /** The server took it. Returns whether the client still wants it. */
  open(wire: Wire): boolean {
    if (this.state !== 0) return false;
    this.state = 1;
    this.wire = wire;
    this.#events.open();
    wire.attach(this);
    return true;
  }

  /** The server refused it, in the manner of a browser's WebSocket. */
  refuse(bye: string, code: number, reason: string): void {
    if (this.state !== 0) return;
    this.state = 1;
    this.#events.open();
    this.#events.text(bye);
    this.closed(code, reason);
  }

  /** There is no server. */
  fail(): void {
    if (this.state === 3) return;
    this.state = 3;
    this.#tap.over();
    this.#events.failed();
    this.#events.closed(1006, "");
  }

  send(text: string): void {
    if (this.state !== 1) return;
    this.#tap.sent(text);
    this.wire?.sendUp({ type: "text", text });
  }

  close(code = 1005, reason = ""): void {
    if (this.state >= 2) return;
    if (this.state === 0) return this.fail();
    this.state = 2;
    this.wire?.sendUp({ type: "close", code, reason });
  }

  text(text: string, stamp: unknown): void {
    if (this.state === 3) return;
    // A socket that is closing still reads: its program may have stopped listening.
    this.#tap.heard(text, stamp, () => this.#events.text(text));
  }

  closed(code: number, reason: string): void {
    if (this.state === 3) return;
    if (this.state === 1 && this.isDeaf && code !== 1006) return;
    if (this.state === 1 && code !== 1006) this.wire?.sendUp({ type: "close", code, reason });
    this.state = 3;
    this.#tap.over();
    this.#events.closed(code, reason);
  }
}
