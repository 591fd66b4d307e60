/**
 * Events that wait for their tick, and when that is: at once when the room is quiet, else after about what the last
 * fan-out cost. Frames are what costs, so under load there must be few of them, each with more in it.
 */
import type { Result, RoomEvent } from "../core/event.ts";

/** An event, and whoever waits for what becomes of it. */
export interface Waiting {
  readonly event: RoomEvent;
  readonly resolve?: (result: Result) => void;
  result?: Result;
}

/** What a tick did: events it took, sockets it wrote to. */
export interface Ran {
  readonly done: number;
  readonly sockets: number;
}

/** Milliseconds between ticks per socket written to: twice the 30 us that workerd spends on a frame (measured). */
const SPACING_PER_SOCKET = 0.06;
/** And at most: what a person does not notice. */
const MAX_SPACING = 50;
/**
 * After this many milliseconds without a tick, beyond what its fan-out costs, the room is quiet, and an event has its
 * tick at once. Beyond: the runtime is busy with the sockets until then, and what arrived meanwhile must not tick alone.
 */
const BUSY_FOR = 10;
/** After so many waits in a row that nobody else came into, events of a busy room have their tick at once too... */
const IN_VAIN = 3;
/** ...but for every so manieth, which waits to find out whether that has changed; by turns one more, so that no rhythm fits. */
const PROBE = 4;
/** Events in one tick, at most, so that one transaction and one message stay small. */
const MAX_EVENTS = 512;

/** The events that wait for the next tick of one room. */
export class Scheduler {
  readonly #run: (batch: readonly Waiting[]) => Ran;
  readonly #now: () => number;
  #waiting: Waiting[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lastTick = 0;
  /** Milliseconds that the last tick's fan-out asks for before the next. */
  #cost = 0;
  /** Submissions since the last tick. */
  #arrived = 0;
  /** Waits in a row that only one submission came into. */
  #inVain = 0;
  #untilProbe = PROBE;
  #byTurns = 0;
  /** The last tick left events over: then there is no time for pauses. */
  #behind = false;
  #running = false;

  /**
   * @param run runs a tick with the first of these events, at least one
   * @param now the clock, in ms
   */
  constructor(run: (batch: readonly Waiting[]) => Ran, now: () => number) {
    this.#run = run;
    this.#now = now;
  }

  /** Resolves when the event's tick is committed and its effects are on their way. */
  submit(event: RoomEvent): Promise<Result> {
    return new Promise((resolve) => {
      this.#waiting.push({ event, resolve });
      this.#arrived++;
      this.#schedule();
    });
  }

  /** Several events in this order; resolves when the last of them is through. */
  submitAll(events: readonly RoomEvent[]): Promise<Result> {
    return new Promise((resolve) => {
      for (const [i, event] of events.entries()) {
        this.#waiting.push(i === events.length - 1 ? { event, resolve } : { event });
      }
      this.#arrived++;
      this.#schedule();
    });
  }

  #schedule(): void {
    // A tick's own effects may submit events; they wait for the end of the tick.
    if (this.#running || this.#timer !== undefined || this.#waiting.length === 0) return;
    const elapsed = this.#now() - this.#lastTick;
    // A clock that was set back says nothing about the last tick.
    const isQuiet = elapsed > BUSY_FOR + this.#cost || elapsed < 0;
    // Who speaks when it has heard the answer to the last must not wait for others who do not speak. Whoever comes before
    // that answer can have been written to everyone is another.
    const isAlone = this.#inVain >= IN_VAIN && elapsed * 2 >= this.#cost && !this.#behind;
    if (isQuiet || (isAlone && --this.#untilProbe > 0)) {
      this.#tick();
      return;
    }
    if (isAlone) this.#untilProbe = PROBE + (this.#byTurns ^= 1);
    // Even a wait of 0 lets in what has arrived meanwhile: the room is busy, so something has.
    const wait = this.#behind ? 0 : Math.max(0, Math.min(MAX_SPACING, this.#cost) - elapsed);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      // Who had to wait for what the last tick left over did not wait for nothing.
      this.#inVain = this.#behind || this.#arrived > 1 ? 0 : this.#inVain + 1;
      this.#tick();
    }, wait);
  }

  #tick(): void {
    const batch = this.#waiting.splice(0, MAX_EVENTS);
    this.#arrived = 0;
    this.#running = true;
    try {
      const { done, sockets } = this.#run(batch);
      this.#waiting.unshift(...batch.slice(done));
      // The clock stands still during an event in production, so the cost is estimated by count.
      this.#cost = Math.floor(sockets * SPACING_PER_SOCKET);
    } finally {
      this.#lastTick = this.#now();
      this.#behind = this.#waiting.length > 0;
      this.#running = false;
      this.#schedule();
    }
  }
}
