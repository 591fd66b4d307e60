/**
 * What the directory of live rooms knows of a room's undelivered events, and when it must learn more. A room with dead
 * letters may be one that nobody enters again: a report that got lost would hide it for ever, so it is repeated until it
 * has arrived. Owns the key "undelivered" of edgerooms_meta.
 */
import type { Meta } from "./meta.ts";
import type { Outbox, Undelivered } from "./outbox.ts";

/** Between two reports of this, in ms: a receiver that refuses everything makes a dead letter with every tick. */
const REPORT_EVERY_MS = 60_000;
const KEY = "undelivered";

/** The reports of one room's undelivered events. */
export class UndeliveredReports {
  readonly #meta: Meta;
  readonly #outbox: Outbox;
  /** No report before, in ms since the epoch. A room that was out of memory begins anew: then at once. */
  #notBefore = 0;

  constructor(meta: Meta, outbox: Outbox) {
    this.#meta = meta;
    this.#outbox = outbox;
  }

  /**
   * When a report is due, in ms since the epoch; `undefined` when the directory knows everything, and while nobody has said
   * of which kind the room is: it could not be listed.
   */
  get due(): number | undefined {
    if (this.#meta.get("kind") === undefined) return undefined;
    return this.#outboxText === (this.#meta.get(KEY) ?? NONE) ? undefined : this.#notBefore;
  }

  /** A report is on its way. */
  sent(now: number): void {
    if (this.due !== undefined) this.#notBefore = now + REPORT_EVERY_MS;
  }

  /** Whether a report that arrived tells the directory something that it did not know. */
  isNews(arrived: Undelivered): boolean {
    return textOf(arrived) !== (this.#meta.get(KEY) ?? NONE);
  }

  /** A report has arrived. Writes one row if it was news. */
  arrived(undelivered: Undelivered): void {
    if (textOf(undelivered) === NONE) this.#meta.delete(KEY);
    else this.#meta.set(KEY, textOf(undelivered));
  }

  get #outboxText(): string {
    return textOf(this.#outbox.undelivered);
  }
}

/** How many dead letters, and whether the oldest batch is stuck. How many wait behind it changes with every tick. */
function textOf({ dead, pending }: Undelivered): string {
  return `${dead} ${pending > 0 ? 1 : 0}`;
}

const NONE = "0 0";
