/**
 * How fast a client may send: the room's token bucket, kept on this side so that the room need not refuse anything. A frame
 * is charged when it is known to have arrived; until then it is reserved, because all that are on their way may arrive
 * together. Knows no frames, only their order.
 */
import type { Limits } from "../../protocol/frames.ts";

/** Share of the room's burst and rate that is used: frames arrive less evenly than they are sent, and clocks differ. */
const SHARE = 0.9;
/** After how long something that was not sent, or a line without a sign, is out of date. */
export const STALE_MS = 1_000;
/** The shortest and the longest wait before the client looks again. */
const SHORTEST_WAIT_MS = 20;
const LONGEST_WAIT_MS = 250;

/** The frames that may be sent now on one connection. */
export class Pace {
  #tokens: number;
  #at: number;
  readonly #burst: number;
  readonly #perMs: number;
  /** What the room takes, as it said in its last welcome. */
  readonly limits: Limits;
  /** Frames that were sent, and of those the first that are known to have arrived. */
  #sent = 0;
  #confirmed = 0;
  /** Which of the frames the room answers, and has not answered. */
  readonly #owed: number[] = [];
  /** How many frames had been sent before the newest ping, and before the newest that has its answer. */
  #asked = 0;
  #arrived = 0;
  #askedAt = -Infinity;

  constructor(limits: Limits, now: number) {
    this.limits = limits;
    this.#tokens = this.#burst = Math.max(1, limits.burst * SHARE);
    this.#at = now;
    this.#perMs = (limits.rate * SHARE) / 1_000;
  }

  get #inFlight(): number {
    return this.#sent - this.#confirmed;
  }

  /** Whether a ping has no answer yet. */
  get isAsking(): boolean {
    return this.#asked > this.#arrived;
  }

  /** Frames that may be sent now. */
  allowance(now: number): number {
    this.#tokens = Math.min(this.#burst, this.#tokens + Math.max(0, now - this.#at) * this.#perMs);
    this.#at = now;
    return Math.max(0, Math.floor(this.#tokens - this.#inFlight));
  }

  /** Whether a frame would arrive soon. What is soon out of date leaves half of what may be on its way to the rest. */
  isQuick(now: number): boolean {
    return this.#inFlight < this.#burst / 2 && !(this.isAsking && now - this.#askedAt > STALE_MS);
  }

  /** Counts a frame that was sent, at what it costs of the rate limit. */
  spend(cost: number, isAnswered: boolean): void {
    this.#sent += cost;
    if (isAnswered) this.#owed.push(this.#sent);
  }

  /** The room has answered a frame: the oldest of those that it answers. It has handled all that were sent before. */
  answered(): void {
    this.#confirm(this.#owed.shift() ?? 0);
  }

  /** What to do at the answer to a ping, if it is time for one. */
  ask(now: number): (() => void) | undefined {
    const sent = this.#sent;
    const isTime = this.#inFlight > this.#burst / 4 || now - this.#askedAt > STALE_MS;
    // All are known to have arrived or were asked about, or the room answers the last of them, which says as much.
    if (!isTime || this.isAsking || [this.#confirmed, this.#asked, this.#owed.at(-1)].includes(sent)) return undefined;
    this.#asked = sent;
    this.#askedAt = now;
    return () => {
      this.#arrived = sent;
      this.#confirm(0);
    };
  }

  /** The room refused a frame all the same, and takes none for `retryAfter` ms. */
  refused(retryAfter: number): void {
    this.#tokens = Math.min(this.#tokens, -retryAfter * this.#perMs);
  }

  /** Milliseconds until it is worth to look again. */
  get wait(): number {
    const taken = 1 + this.#inFlight;
    // Only an answer makes place where all that the room takes at once is on its way.
    if (taken > this.#burst) return LONGEST_WAIT_MS;
    return Math.min(LONGEST_WAIT_MS, Math.max(SHORTEST_WAIT_MS, Math.ceil((taken - this.#tokens) / this.#perMs)));
  }

  /** All up to `nth` have arrived, and those that a ping tells of: but it does not say that the room has handled them. */
  #confirm(nth: number): void {
    const told = Math.min(this.#arrived, (this.#owed[0] ?? Infinity) - 1);
    const confirmed = Math.max(this.#confirmed, nth, told);
    this.#tokens -= confirmed - this.#confirmed;
    this.#confirmed = confirmed;
  }
}
