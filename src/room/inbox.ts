/**
 * Events that wait for their tick, and when that is: at once when the room is quiet, else after about what the last
 * fan-out cost. Frames are what costs, so under load there must be few of them, each with more in it.
 */
import type { Result, RoomEvent } from "./events.ts";

/** An event, and whoever waits for what becomes of it. */
export interface Waiting {
  readonly event: RoomEvent;
  readonly resolve?: (result: Result) => void;
  result?: Result;
}

/** Milliseconds between ticks per socket written to: twice the 30 us that workerd spends on a frame (measured). */
const SPACING_PER_SOCKET = 0.06;
/** And at most: what a person does not notice. */
const MAX_SPACING = 50;
/** After this many milliseconds without a tick the room is quiet, and an event has its tick at once. */
const BUSY_FOR = 10;
/** Events in one tick, at most, so that one transaction and one message stay small. */
const MAX_EVENTS = 512;

/** The events that wait for the next tick of one room. */
export class Inbox {
  readonly #run: (batch: readonly Waiting[]) => number;
  readonly #now: () => number;
  #waiting: Waiting[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #quietUntil = 0;
  #lastTick = 0;
  #running = false;

  /**
   * @param run runs a tick and tells how many sockets it wrote to
   * @param now the clock, in ms
   */
  constructor(run: (batch: readonly Waiting[]) => number, now: () => number) {
    this.#run = run;
    this.#now = now;
  }

  /** Resolves when the event's tick is committed and its effects are on their way. */
  submit(event: RoomEvent): Promise<Result> {
    return new Promise((resolve) => {
      this.#waiting.push({ event, resolve });
      this.#schedule();
    });
  }

  /** Several events in this order; resolves when the last of them is through. */
  submitAll(events: readonly RoomEvent[]): Promise<Result> {
    return new Promise((resolve) => {
      for (const [i, event] of events.entries()) {
        this.#waiting.push(i === events.length - 1 ? { event, resolve } : { event });
      }
      this.#schedule();
    });
  }

  #schedule(): void {
    // A tick's own effects may submit events; they wait for the end of the tick.
    if (this.#running || this.#timer !== undefined || this.#waiting.length === 0) return;
    const now = this.#now();
    if (now - this.#lastTick > BUSY_FOR) this.#tick();
    else {
      // Even a wait of 0 lets in what has arrived meanwhile: the room is busy, so something has.
      this.#timer = setTimeout(
        () => {
          this.#timer = undefined;
          this.#tick();
        },
        Math.max(0, this.#quietUntil - now),
      );
    }
  }

  #tick(): void {
    const batch = this.#waiting.splice(0, MAX_EVENTS);
    this.#running = true;
    try {
      const sockets = this.#run(batch);
      // The clock stands still during an event in production, so the cost is estimated by count.
      this.#lastTick = this.#now();
      this.#quietUntil = this.#lastTick + Math.min(MAX_SPACING, Math.floor(sockets * SPACING_PER_SOCKET));
    } finally {
      this.#running = false;
    }
    this.#schedule();
  }
}
