/** How fast a client may send: the room's own token bucket, kept on this side so that nothing is ever refused. */
import type { Limits } from "../../protocol/frames.ts";

/** Of the room's burst and rate: frames do not arrive as evenly as they are sent, and clocks differ a little. */
const SHARE = 0.9;

/** The frames that may be sent now. */
export class Pace {
  #tokens: number;
  #at: number;
  readonly #burst: number;
  readonly #perMs: number;

  constructor({ burst, rate }: Pick<Limits, "burst" | "rate">, now: number) {
    this.#tokens = this.#burst = Math.max(1, burst * SHARE);
    this.#at = now;
    this.#perMs = (rate * SHARE) / 1_000;
  }

  /** Frames that may be sent now. */
  allowance(now: number): number {
    this.#tokens = Math.min(this.#burst, this.#tokens + Math.max(0, now - this.#at) * this.#perMs);
    this.#at = now;
    return Math.max(0, Math.floor(this.#tokens));
  }

  /** A frame was sent. */
  spend(cost: number): void {
    this.#tokens -= cost;
  }

  /** The room refused one all the same, and takes nothing for so many ms. */
  refused(retryAfter: number): void {
    this.#tokens = Math.min(this.#tokens, -retryAfter * this.#perMs);
  }

  /** Milliseconds until the next frame may be sent. */
  get wait(): number {
    return Math.max(0, Math.ceil((1 - this.#tokens) / this.#perMs));
  }
}
