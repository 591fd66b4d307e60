/** Signals that wait until the room takes more: few, and none for long, so that none is out of date. */
import { STALE_MS } from "./pace.ts";

/** How many may wait. The oldest is dropped for one more: the last of a burst arrives. */
const WAITING = 8;

/** The signals of one client that were not sent. */
export class Signals {
  #queue: { readonly frame: string; readonly at: number }[] = [];
  /** Signals that were never sent. */
  dropped = 0;

  /** Signals that wait. */
  get size(): number {
    return this.#queue.length;
  }

  /** Takes one more. */
  push(frame: string, now: number): void {
    if (this.#queue.push({ frame, at: now }) > WAITING) this.#drop();
  }

  /** The oldest that is not out of date. */
  next(now: number): string | undefined {
    while (now - (this.#queue[0]?.at ?? now) > STALE_MS) this.#drop();
    return this.#queue.shift()?.frame;
  }

  /** The connection is lost: what was said on it is out of date. */
  lose(): void {
    this.dropped += this.#queue.splice(0).length;
  }

  #drop(): void {
    this.#queue.shift();
    this.dropped++;
  }
}
