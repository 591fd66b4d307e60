/**
 * Events that wait for their tick, and when that is: at once when the room is quiet, else after about what the last fan-out
 * cost. Frames are what costs, so under load there must be few of them, each with more in it. Under load there are lanes,
 * and each has its share of a tick: what keeps the room alive, connects, and what members and callers want said.
 */
import type { Result, RoomEvent } from "../core/event.ts";
import type { Platform } from "./platform.ts";

/** An event, and the caller that waits for its result. */
export interface Waiting {
  readonly event: RoomEvent;
  readonly resolve?: (result: Result) => void;
  /** UTF-16 units of what arrived with it. Default: 0. */
  readonly length?: number;
}

/** Where an event waits when more waits than a tick takes. */
type Lane = "alive" | "connect" | "load";

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
/** Load that may wait, and connects: what sixteen ticks take of each. Past it the room answers that it is overloaded. */
const MAX_WAITING = 16 * MAX_EVENTS;
/** And UTF-16 units of the messages and commands that brought the load: a quarter of what an object's memory is. */
const MAX_LENGTH = 33_554_432;
/** Frames that one session may have waiting for as long as not four times as much waits. */
const FAIR_FRAMES = 16;
/**
 * The lanes take turns in this order, over and over; a lane in which nothing waits loses its turn. In turns and not lane by
 * lane, because what an event sends can end a tick long before its last event.
 */
const TURNS: readonly Lane[] = ["alive", "alive", "connect", "load"];
/** What callers ask for that makes the load larger. All else is few, or keeps the room alive. */
const LOADING: ReadonlySet<string> = new Set(["publish", "signal", "post", "read"]);

/** What callers ask for that changes no load, and that any member can have asked: a room must not hold these without end. */
const LOOKING: ReadonlySet<string> = new Set(["members", "sessions", "stats", "refresh", "dead", "letter"]);

/** What opens connections, here or at a relay. */
const CONNECTING: ReadonlySet<string> = new Set<RoomEvent["type"]>(["connect", "admit", "admitted"]);

/** The events that wait for the next tick of one room. */
export class Scheduler {
  readonly #run: (batch: readonly Waiting[]) => Ran;
  readonly #platform: Pick<Platform, "now" | "later">;
  #waiting: Waiting[] = [];
  /** Events that wait, by their lane. */
  readonly #byLane: Record<Lane, number> = { alive: 0, connect: 0, load: 0 };
  /** Looks that wait. */
  #looks = 0;
  /** How long all of that is that brought the events that wait. */
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
  /** Where in `TURNS` the next tick begins. */
  #turn = 0;
  #isRunning = false;

  /** @param run runs a tick with the first of these events, at least one */
  constructor(run: (batch: readonly Waiting[]) => Ran, platform: Pick<Platform, "now" | "later">) {
    this.#run = run;
    this.#platform = platform;
  }

  /** Whether so much waits that more load is refused. */
  get isFull(): boolean {
    return this.#byLane.load >= MAX_WAITING || this.#length >= MAX_LENGTH;
  }

  /** Whether so many callers wait for a look that more of them are refused. */
  get isLookedAt(): boolean {
    return this.#looks >= MAX_WAITING;
  }

  /** Whether so many connects wait that more of them are refused. */
  get isCrowded(): boolean {
    return this.#byLane.connect >= MAX_WAITING;
  }

  /**
   * Whether so much waits that the frames of a session are refused. A session with little waiting is let in for longer: a
   * flood must not keep out those who did not cause it.
   */
  isOverloadedFor(session: string): boolean {
    const isPacked = this.#byLane.load >= 4 * MAX_WAITING || this.#length >= 2 * MAX_LENGTH;
    return isPacked || (this.isFull && (this.#bySession.get(session) ?? 0) >= FAIR_FRAMES);
  }

  /**
   * Resolves when the event's tick is committed and its effects are on their way.
   *
   * @param length UTF-16 units of what arrived with it. Default: 0
   */
  submit(event: RoomEvent, length = 0): Promise<Result> {
    return new Promise((resolve) => {
      this.#add([{ event, resolve, length }]);
    });
  }

  /**
   * The frames of one message, in their order; resolves when the last of them is through.
   *
   * @param length UTF-16 units of the message
   */
  async submitFrames(events: readonly RoomEvent[], length: number): Promise<void> {
    await new Promise((resolve) => {
      this.#add(events.map((event, i) => (i === events.length - 1 ? { event, resolve, length } : { event })));
    });
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
    for (const each of waiting) {
      this.#waiting.push(each);
      this.#count(each, 1);
    }
    if (!isComplete) return;
    this.#arrived++;
    this.#schedule();
  }

  #count({ event, length = 0 }: Waiting, by: 1 | -1): void {
    this.#byLane[laneOf(event)] += by;
    if (isLook(event)) this.#looks += by;
    this.#length += by * length;
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
      for (const each of batch.slice(0, done)) this.#count(each, -1);
      // A tick that one event has filled must not begin with that lane again: the others would never have their turn.
      const last = done < batch.length ? batch[done - 1] : undefined;
      this.#turn = last ? TURNS.lastIndexOf(laneOf(last.event)) + 1 : 0;
      this.#lastTick = this.#platform.now();
      this.#isBehind = this.#waiting.length > 0;
      this.#isRunning = false;
      this.#schedule();
    }
  }

  /** The events of the next tick: in the order in which they came while one tick takes them all, else by lanes, in turns. */
  #take(): Waiting[] {
    if (!this.#isBehind && this.#waiting.length <= MAX_EVENTS) return this.#waiting.splice(0);
    const batch = inTurns(this.#waiting, this.#turn);
    const taken = new Set(batch);
    this.#waiting = this.#waiting.filter((each) => !taken.has(each));
    return batch;
  }
}

/** Whether an event is what a room does for members and callers. It shares one lane, so that nobody waits behind others. */
export function isLoad(event: RoomEvent): boolean {
  if (event.type === "command" || event.type === "operate") return LOADING.has(event.command.type);
  // A leave too, and what a relay tells of leaves: they must not overtake what their sessions sent before.
  return event.type === "frame" || event.type === "said" || event.type === "report";
}

/** Whether an event only looks at the room, or renews a token. */
export function isLook(event: RoomEvent): boolean {
  return (event.type === "command" || event.type === "operate") && LOOKING.has(event.command.type);
}

function laneOf(event: RoomEvent): Lane {
  if (CONNECTING.has(event.type)) return "connect";
  return isLoad(event) ? "load" : "alive";
}

/** The first events of each lane, as many as a tick takes. `turn`: where in `TURNS` it begins. */
function inTurns(waiting: readonly Waiting[], turn: number): Waiting[] {
  const lanes: Record<Lane, Waiting[]> = { alive: [], connect: [], load: [] };
  for (const each of waiting) lanes[laneOf(each.event)].push(each);
  const next = { alive: 0, connect: 0, load: 0 };
  const size = Math.min(MAX_EVENTS, waiting.length);
  const batch: Waiting[] = [];
  for (let i = turn; batch.length < size; i++) {
    const lane = TURNS[i % TURNS.length] ?? "alive";
    const each = lanes[lane][next[lane]++];
    if (each) batch.push(each);
  }
  return batch;
}
