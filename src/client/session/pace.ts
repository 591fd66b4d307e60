/** How fast a client may send: the room's token bucket, kept on this side so that the room need not refuse anything. */
import type { Limits } from "../../protocol/frames.ts";

/** Share of the room's burst and rate that is used: frames arrive less evenly than they are sent, and clocks differ. */
const SHARE = 0.9;

/** The frames that may be sent now. */
export class Pace {
  #tokens: number;
  #at: number;
  readonly #burst: number;
  readonly #perMs: number;
  /** What the room takes, as it said in its last welcome. */
  readonly limits: Limits;

  constructor(limits: Limits, now: number) {
    this.limits = limits;
    this.#tokens = this.#burst = Math.max(1, limits.burst * SHARE);
    this.#at = now;
    this.#perMs = (limits.rate * SHARE) / 1_000;
  }

  /** Frames that may be sent now. */
  allowance(now: number): number {
    this.#tokens = Math.min(this.#burst, this.#tokens + Math.max(0, now - this.#at) * this.#perMs);
    this.#at = now;
    return Math.max(0, Math.floor(this.#tokens));
  }

  /** Counts a frame that was sent, at what it costs of the rate limit. */
  spend(cost: number): void {
    this.#tokens -= cost;
  }

  /** The room refused a frame all the same, and takes none for `retryAfter` ms. */
  refused(retryAfter: number): void {
    this.#tokens = Math.min(this.#tokens, -retryAfter * this.#perMs);
  }

  /** Milliseconds until the next frame may be sent. */
  get wait(): number {
    return Math.max(0, Math.ceil((1 - this.#tokens) / this.#perMs));
  }
}
