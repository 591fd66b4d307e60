/**
 * Events that wait for their tick, and when that is: at once when the room is quiet, else after about what the last fan-out
 * cost. Frames are what costs, so under load there must be few of them, each with more in it. What keeps the room alive
 * does not wait behind them.
 */
import type { Result, RoomEvent } from "../core/event.ts";
import type { Platform } from "./platform.ts";

/** An event, and the caller that waits for its result. */
export interface Waiting {
  readonly event: RoomEvent;
  readonly resolve?: (result: Result) => void;
}

/** What a tick did: events it took, sockets it wrote to. */
export interface Ran {
  readonly done: number;
  readonly sockets: number;
}

/** Milliseconds between ticks per socket written to: twice the 30 us that workerd spends on a frame (measured). */
const SPACING_PER_SOCKET_MS = 0.06;
/** And at most: what a person does not notice. */
const MAX_SPACING_MS = 50;
/**
 * After this long without a tick, beyond what its fan-out costs, the room is quiet, and an event has its tick at once.
 * Beyond: the runtime is busy with the sockets until then, and what arrived meanwhile must not tick alone.
 */
const BUSY_FOR_MS = 10;
/** After so many waits in a row that nobody else came into, events of a busy room have their tick at once too. */
const IN_VAIN = 3;
/** One event in so many waits all the same, to find out whether that has changed; in turns one more, so that no rhythm fits. */
const PROBE = 4;
/** Events in one tick, at most, so that one transaction and one message stay small. */
const MAX_EVENTS = 512;
/** Events that may wait: what sixteen ticks take. Past it the room answers that it is overloaded. */
const MAX_WAITING = 16 * MAX_EVENTS;
/** And UTF-16 units of the messages that frames came in: a quarter of what an object's memory is. */
const MAX_LENGTH = 33_554_432;
/** Frames that one session may have waiting for as long as not four times as much waits. */
const FAIR_FRAMES = 16;

/** The events that wait for the next tick of one room. */
export class Scheduler {
  readonly #run: (batch: readonly Waiting[]) => Ran;
  readonly #platform: Pick<Platform, "now" | "later">;
  #waiting: Waiting[] = [];
  /** How long the messages were whose frames are not through yet. */
  #length = 0;
  /** Frames that wait, by the session that sent them. */
  readonly #bySession = new Map<string, number>();
  #isTimerSet = false;
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
  #isBehind = false;
  #isRunning = false;

  /** @param run runs a tick with the first of these events, at least one */
  constructor(run: (batch: readonly Waiting[]) => Ran, platform: Pick<Platform, "now" | "later">) {
    this.#run = run;
    this.#platform = platform;
  }

  /** Whether so much waits that more load is refused. */
  get isFull(): boolean {
    return this.#waiting.length >= MAX_WAITING || this.#length >= MAX_LENGTH;
  }

  /**
   * Whether so much waits that the frames of a session are refused. A session with little waiting is let in for longer: a
   * flood must not keep out those who did not cause it.
   */
  isOverloadedFor(session: string): boolean {
    const isPacked = this.#waiting.length >= 4 * MAX_WAITING || this.#length >= 2 * MAX_LENGTH;
    return isPacked || (this.isFull && (this.#bySession.get(session) ?? 0) >= FAIR_FRAMES);
  }

  /** Resolves when the event's tick is committed and its effects are on their way. */
  submit(event: RoomEvent): Promise<Result> {
    return new Promise((resolve) => {
      this.#add([{ event, resolve }]);
    });
  }

  /**
   * The frames of one message, in their order; resolves when the last of them is through.
   *
   * @param length UTF-16 units of the message
   */
  async submitFrames(events: readonly RoomEvent[], length: number): Promise<void> {
    this.#length += length;
    await new Promise((resolve) => {
      for (const event of events) this.#countFrame(event, 1);
      this.#add(events.map((event, i) => (i === events.length - 1 ? { event, resolve } : { event })));
    });
    this.#length -= length;
  }

  /** Several events that do not depend on each other; resolves with what became of each. */
  submitAll(events: readonly RoomEvent[]): Promise<Result[]> {
    return Promise.all(
      events.map(
        (event) =>
          new Promise<Result>((resolve) => {
            this.#add([{ event, resolve }], event === events.at(-1));
          }),
      ),
    );
  }

  #add(waiting: readonly Waiting[], isComplete = true): void {
    for (const each of waiting) this.#waiting.push(each);
    if (!isComplete) return;
    this.#arrived++;
    this.#schedule();
  }

  #countFrame(event: RoomEvent, by: number): void {
    if (event.type !== "frame") return;
    const waiting = (this.#bySession.get(event.session) ?? 0) + by;
    if (waiting > 0) this.#bySession.set(event.session, waiting);
    else this.#bySession.delete(event.session);
  }

  #schedule(): void {
    // A tick's own effects may submit events; they wait for the end of the tick.
    if (this.#isRunning || this.#isTimerSet || this.#waiting.length === 0) return;
    const elapsed = this.#platform.now() - this.#lastTick;
    // A clock that was set back says nothing about the last tick.
    const isQuiet = elapsed > BUSY_FOR_MS + this.#cost || elapsed < 0;
    // A sender that waits for each ack must not be delayed by batching. One that submits before that ack can have reached
    // everyone is another sender.
    const isAlone = this.#inVain >= IN_VAIN && elapsed * 2 >= this.#cost && !this.#isBehind;
    if (isQuiet || (isAlone && --this.#untilProbe > 0)) {
      this.#tick();
      return;
    }
    if (isAlone) this.#untilProbe = PROBE + (this.#byTurns ^= 1);
    // Even a wait of 0 lets in what has arrived meanwhile: the room is busy, so something has.
    const wait = this.#isBehind ? 0 : Math.max(0, Math.min(MAX_SPACING_MS, this.#cost) - elapsed);
    this.#isTimerSet = true;
    this.#platform.later(wait, () => {
      this.#isTimerSet = false;
      // A wait for what the last tick left over was not in vain.
      this.#inVain = this.#isBehind || this.#arrived > 1 ? 0 : this.#inVain + 1;
      this.#tick();
    });
  }

  #tick(): void {
    const batch = this.#take();
    this.#arrived = 0;
    this.#isRunning = true;
    let done = batch.length;
    try {
      const ran = this.#run(batch);
      done = ran.done;
      // The clock stands still during an event in production, so the cost is estimated by count.
      this.#cost = Math.floor(ran.sockets * SPACING_PER_SOCKET_MS);
    } finally {
      if (done < batch.length) this.#waiting = [...batch.slice(done), ...this.#waiting];
      for (const { event } of batch.slice(0, done)) this.#countFrame(event, -1);
      this.#lastTick = this.#platform.now();
      this.#isBehind = this.#waiting.length > 0;
      this.#isRunning = false;
      this.#schedule();
    }
  }

  /**
   * The events of the next tick. In the order in which they came while one tick takes them all; else what is not a frame
   * of a client goes first: alarms, connects, ends of connections, operators.
   */
  #take(): Waiting[] {
    if (this.#waiting.length <= MAX_EVENTS) return this.#waiting.splice(0);
    const first = this.#waiting.filter(isUrgent).slice(0, MAX_EVENTS);
    const chosen = new Set(first);
    for (const each of this.#waiting) {
      if (chosen.size >= MAX_EVENTS) break;
      if (!isUrgent(each)) chosen.add(each);
    }
    this.#waiting = this.#waiting.filter((each) => !chosen.has(each));
    return [...chosen];
  }
}

/** Whether an event keeps the room alive. A leave is not: it must not overtake what its session sent before it. */
function isUrgent({ event }: Waiting): boolean {
  return event.type !== "frame";
}
