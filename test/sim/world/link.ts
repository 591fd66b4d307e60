/**
 * The network between one client and the object: two directions, each in order, with latency. A link can be cut (both ends
 * notice), go half-open (neither does) or have a reader that does not read. Knows nothing of frames.
 */
import type { Chance } from "./random.ts";
import type { Timeline } from "./timeline.ts";

/** One thing on its way. `stamp`: what the world knew when the room sent it. */
export type Item =
  | { readonly type: "text"; readonly text: string; readonly stamp?: unknown }
  /** A close frame. */
  | { readonly type: "close"; readonly code: number; readonly reason: string }
  /** The connection ended without one. */
  | { readonly type: "gone" };

/** How a network is at the moment, in ms. */
export interface Weather {
  low: number;
  high: number;
}

/** Bytes that the kernels on the way take before the sender's runtime has to keep any. */
const IN_FLIGHT = 65_536;

/** One direction of a link. */
export class Lane {
  readonly #timeline: Timeline;
  readonly #chance: Chance;
  readonly #weather: Weather;
  readonly #arrive: (item: Item) => void;
  #items: { readonly item: Item; readonly at: number }[] = [];
  #isBusy = false;
  #isOver = false;
  #stalledUntil = 0;
  #lastAt = 0;
  #bytes = 0;

  constructor(timeline: Timeline, chance: Chance, weather: Weather, arrive: (item: Item) => void) {
    this.#timeline = timeline;
    this.#chance = chance;
    this.#weather = weather;
    this.#arrive = arrive;
  }

  /** Bytes that wait with the sender because nobody reads at the other end. */
  get waiting(): number {
    return this.#stalledUntil > this.#timeline.now ? Math.max(0, this.#bytes - IN_FLIGHT) : 0;
  }

  push(item: Item): void {
    if (this.#isOver) return;
    const { low, high } = this.#weather;
    this.#lastAt = Math.max(this.#lastAt, this.#timeline.now + this.#chance.between(low, high));
    this.#items.push({ item, at: this.#lastAt });
    if (item.type === "text") this.#bytes += item.text.length;
    this.#schedule();
  }

  /** Nothing arrives for `ms`; with Infinity never again. */
  stall(ms: number): void {
    this.#stalledUntil = Math.max(this.#stalledUntil, this.#timeline.now + ms);
  }

  /** It is read again, unless the line is dead. */
  release(): void {
    if (this.#stalledUntil === Infinity) return;
    this.#stalledUntil = 0;
    this.#isBusy = false;
    this.#schedule();
  }

  /** What is on its way is lost, and nothing follows. */
  end(): void {
    this.#isOver = true;
    this.#items = [];
    this.#bytes = 0;
  }

  #schedule(): void {
    const [head] = this.#items;
    if (this.#isBusy || !head || this.#stalledUntil === Infinity) return;
    this.#isBusy = true;
    const wait = Math.max(head.at, this.#stalledUntil) - this.#timeline.now;
    this.#timeline.after(wait, () => this.#deliver(head.item), this.#chance.float());
  }

  #deliver(expected: Item): void {
    const [head] = this.#items;
    if (this.#isOver || head?.item !== expected) return;
    this.#isBusy = false;
    if (this.#stalledUntil > this.#timeline.now) {
      this.#schedule();
      return;
    }
    this.#items.shift();
    if (expected.type === "text") this.#bytes -= expected.text.length;
    this.#schedule();
    this.#arrive(expected);
  }
}
