/**
 * The runtime around one simulated Durable Object: it wakes instances and evicts or kills them, delivers events, holds back
 * what leaves the object until what it wrote is durable, and rings the alarm. Knows the room's host only by its methods.
 */
import type { RoomSocket, Platform } from "../../../src/room/runtime/platform.ts";
import { Disk, type Copy } from "./disk.ts";
import type { Weather } from "./link.ts";
import type { Chance } from "./random.ts";
import type { Timeline } from "./timeline.ts";
import { Handle, Wire } from "./wire.ts";

/** An alarm that fails is run again so many times, and then no more. */
const RETRIES = 6;
const FIRST_RETRY = 2_000;

/** What an instance of an object is to its runtime. */
export interface Hosted {
  begin(): Promise<void>;
  message(socket: RoomSocket, text: string): Promise<void>;
  closed(socket: RoomSocket): Promise<void>;
  alarm(info: { scheduledTime?: number; retryCount?: number }): Promise<void>;
}

/** What the runtime is made of. */
export interface ObjectParts<H extends Hosted> {
  readonly timeline: Timeline;
  readonly chance: Chance;
  readonly weather: Weather;
  readonly name: string;
  /** The object's clock. */
  readonly wall: () => number;
  /** Makes an instance. */
  readonly build: (platform: Platform) => H;
  /** Goes with everything that leaves: what the world knew when it was sent. */
  readonly stamp: () => unknown;
  /** Something happened that belongs into the trace. */
  readonly note: (what: string) => void;
}

/** Thrown into an instance that is no more. */
export class Killed extends Error {
  override readonly name = "Killed";
}

interface Life<H> {
  readonly host: H;
  readonly platform: Platform;
  readonly begun: Promise<void>;
  hasBegun: boolean;
  isAlive: boolean;
  readonly handles: Map<Wire, Handle>;
  /** Calls of timers off. */
  readonly timers: Set<() => void>;
  /** Events whose handlers have not ended: how each learns of the end of the instance. */
  readonly running: Set<(error: Error) => void>;
}

async function begin(host: Hosted, life: { hasBegun: boolean }): Promise<void> {
  await host.begin();
  life.hasBegun = true;
}

/** One object. */
export class SimObject<H extends Hosted> {
  readonly disk = new Disk();
  /** How late alarms ring, in ms. */
  lateness = 0;
  /** How long it takes until what is written is durable, in ms. */
  flush = 0;
  /** The next commit fails: before it, or after it with nothing having left the object. */
  crashAtCommit: "before" | "after" | undefined;
  /** Whether the runtime tells how much waits for a peer. */
  tellsBuffered = true;
  readonly #parts: ObjectParts<H>;
  readonly #wires = new Set<Wire>();
  #life: Life<H> | undefined;
  #gate: (() => void)[] = [];
  #isCommitting = false;
  #alarm: { readonly at: number; readonly cancel: () => void } | undefined;
  #isRinging = false;
  #retries = 0;

  constructor(parts: ObjectParts<H>) {
    this.#parts = parts;
  }

  /** Whether an instance is in memory. */
  get isAwake(): boolean {
    return this.#life?.isAlive === true;
  }

  /** Sockets that the runtime holds for the object. */
  get wires(): readonly Wire[] {
    return [...this.#wires];
  }

  /** Whether something is being done or waits to become durable. */
  get isBusy(): boolean {
    return this.#isCommitting || this.disk.isDirty || (this.#life?.running.size ?? 0) > 0;
  }

  /** Lets an instance handle an event. Resolves with what it answers once that may leave the object. */
  async call<T>(run: (host: H) => Promise<T>): Promise<T> {
    const life = this.#wake();
    let end: (error: Error) => void = () => {};
    const death = new Promise<never>((_, reject) => {
      end = reject;
    });
    life.running.add(end);
    try {
      // The runtime delivers nothing before an instance has begun.
      if (!life.hasBegun) await Promise.race([life.begun, death]);
      const value = await Promise.race([run(life.host), death]);
      await Promise.race([new Promise<void>((resolve) => this.#leave(resolve)), death]);
      return value;
    } finally {
      life.running.delete(end);
    }
  }

  /** Whether the instance with this platform is still the one that runs: another one's calls reach nobody. */
  isRunning(platform: Platform): boolean {
    return this.#life?.isAlive === true && this.#life.platform === platform;
  }

  /** Waits until what was written before is durable: what an instance asks of the outside leaves no sooner. */
  passGate(): Promise<void> {
    return new Promise((resolve) => this.#leave(resolve));
  }

  /** Out of memory, unless something is going on. Returns whether it was done. */
  evict(): boolean {
    if (!this.#life || this.isBusy || this.#isRinging) return false;
    this.#parts.note("evicted");
    this.#end();
    return true;
  }

  /** Kills the instance: its sockets are gone, and what was not durable never happened. */
  kill(): void {
    this.#parts.note("killed");
    if (this.#life) this.#life.isAlive = false;
    else this.#bury();
  }

  /** Puts the storage back to a copy; the instance and every socket go with what it was. */
  replace(copy: Copy): void {
    this.kill();
    this.endTurn();
    this.disk.restore(copy);
    this.rearmAlarm();
  }

  /** To be called when everything that an event has caused was done. Returns whether that may cause more. */
  endTurn(): boolean {
    if (this.#life && !this.#life.isAlive) {
      this.#bury();
      return true;
    }
    this.disk.rest();
    if (this.disk.isDirty && !this.#isCommitting) {
      this.#isCommitting = true;
      if (this.flush > 0) this.#parts.timeline.after(this.flush, () => this.#commit());
      else return this.#commit();
    }
    return false;
  }

  /** The clock was moved, or another alarm is durable. */
  armAlarm(): void {
    const at = this.disk.durableAlarm;
    if (this.#isRinging || this.#alarm?.at === at) return;
    this.#alarm?.cancel();
    this.#alarm = undefined;
    if (at === undefined) return;
    const wait = Math.max(0, at - this.#parts.wall()) + this.lateness;
    this.#alarm = { at, cancel: this.#parts.timeline.after(wait, () => void this.#ring()) };
  }

  /** The clock was moved. */
  rearmAlarm(): void {
    this.#alarm?.cancel();
    this.#alarm = undefined;
    this.armAlarm();
  }

  #commit(): boolean {
    const crash = this.crashAtCommit;
    this.#isCommitting = false;
    // The instance may have died while the disk was busy.
    if (!this.disk.isDirty) return false;
    this.crashAtCommit = undefined;
    if (crash === "before") {
      this.kill();
      return this.endTurn();
    }
    this.disk.commit();
    if (crash === "after") {
      this.kill();
      return this.endTurn();
    }
    this.armAlarm();
    for (const leave of this.#gate.splice(0)) leave();
    return true;
  }

  #leave(run: () => void): void {
    if (this.disk.isDirty) this.#gate.push(run);
    else run();
  }

  #wake(): Life<H> {
    if (this.#life) return this.#life;
    const { build, note } = this.#parts;
    note("wakes");
    const life: Omit<Life<H>, "host" | "begun" | "platform"> & {
      host?: H;
      platform?: Platform;
      begun?: Promise<void>;
    } = {
      isAlive: true,
      hasBegun: false,
      handles: new Map(),
      timers: new Set(),
      running: new Set(),
    };
    this.#life = life as Life<H>;
    life.platform = this.#platformOf(life as Life<H>);
    life.host = build(life.platform);
    life.begun = begin(life.host, life);
    return this.#life;
  }

  #platformOf(life: Life<H>): Platform {
    const { name, wall, chance, timeline } = this.#parts;
    const { timers } = life;
    const check = () => {
      if (!life.isAlive) throw new Killed("this instance was killed");
    };
    return {
      name,
      storage: this.disk.open(check),
      sockets: {
        open: () => {
          const wire = this.#open();
          return { server: this.#handleOf(life, wire), client: wire as unknown as WebSocket };
        },
        all: () => [...this.#wires].map((wire) => this.#handleOf(life, wire)),
        answeredAt: (socket: RoomSocket) => (socket as Handle).wire.answeredAt,
      },
      now: wall,
      mintId: () => chance.id(),
      later: (ms, run) => {
        const cancel = timeline.after(ms, () => {
          timers.delete(cancel);
          if (life.isAlive) run();
        });
        timers.add(cancel);
        return () => {
          timers.delete(cancel);
          cancel();
        };
      },
    };
  }

  /** The same object for the same socket, as long as the instance lives. */
  #handleOf(life: Life<H>, wire: Wire): Handle {
    const known = life.handles.get(wire);
    if (known) return known;
    const send: ConstructorParameters<typeof Handle>[2] = (to, item) => {
      const stamped = item.type === "text" ? { ...item, stamp: this.#parts.stamp() } : item;
      this.#leave(() => to.sendDown(stamped));
    };
    const handle = new Handle(wire, this.tellsBuffered, send, () => life.isAlive);
    life.handles.set(wire, handle);
    return handle;
  }

  #open(): Wire {
    const { timeline, chance, weather, wall } = this.#parts;
    const wire = new Wire({
      timeline,
      chance,
      weather,
      wall,
      message: (from, text) => void this.#deliver(from, (host, socket) => host.message(socket, text)),
      closed: (from) => {
        // The runtime lists it until its handler has run.
        void this.#deliver(from, (host, socket) => host.closed(socket)).finally(() => this.#wires.delete(from));
      },
    });
    this.#wires.add(wire);
    return wire;
  }

  async #deliver(wire: Wire, run: (host: H, socket: RoomSocket) => Promise<void>): Promise<void> {
    const socket = this.#handleOf(this.#wake(), wire);
    await this.call((host) => run(host, socket)).catch((error: unknown) => {
      if (!(error instanceof Killed)) this.#parts.note(`a handler threw ${String(error)}`);
    });
  }

  async #ring(): Promise<void> {
    this.#alarm = undefined;
    const at = this.disk.durableAlarm;
    if (at === undefined || this.#isRinging) return;
    if (at > this.#parts.wall()) return this.armAlarm();
    this.#isRinging = true;
    this.disk.beginAlarm();
    const retryCount = this.#retries;
    this.#parts.note(`alarm ${retryCount}`);
    let again: number | undefined;
    try {
      const info = { scheduledTime: at, retryCount, isRetry: retryCount > 0 };
      await this.call((host) => host.alarm(info));
      this.#retries = 0;
    } catch {
      if (++this.#retries <= RETRIES) again = this.#parts.wall() + FIRST_RETRY * 2 ** retryCount;
      else this.#parts.note("the alarm is given up");
    }
    this.disk.endAlarm(again);
    this.#isRinging = false;
    this.armAlarm();
  }

  #end(): void {
    const life = this.#life;
    this.#life = undefined;
    if (!life) return;
    life.isAlive = false;
    for (const cancel of life.timers) cancel();
  }

  #bury(): void {
    const running = [...(this.#life?.running ?? [])];
    this.#end();
    this.disk.rollback();
    this.#gate = [];
    this.#isCommitting = false;
    for (const wire of this.#wires) wire.reset();
    this.#wires.clear();
    for (const reject of running) reject(new Killed("the object was killed"));
    this.rearmAlarm();
  }
}
