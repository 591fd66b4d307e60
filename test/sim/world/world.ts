/** One simulated world: time, chance, the network, the object on its disk, the edge before it, and the judge of it all. */
import type { RoomHost } from "../../../src/room/runtime/host.ts";
import type { Platform } from "../../../src/room/runtime/platform.ts";
import type { Facts } from "../oracle/facts.ts";
import { Violation } from "../oracle/history.ts";
import { Oracle } from "../oracle/oracle.ts";
import { Edge, ROOM, type Claims } from "./edge.ts";
import { settled, surround } from "./globals.ts";
import type { Weather } from "./link.ts";
import { Killed, SimObject, type Hosted } from "./object.ts";
import type { Chance } from "./random.ts";
import { Relays, type RelaysParts } from "./relays.ts";
import { Timeline } from "./timeline.ts";
import { Trace } from "./trace.ts";

/** 2026-01-01: the room's clock when a simulation begins. */
const BEGINNING = 1_767_225_600_000;
/** Things that may happen within one schedule; more is a loop. */
const MOST_EVENTS = 40_000;

const observer = {
  report: () => {},
  ended: () => {},
  sendReport: () => Promise.resolve(),
  span: <T>(_name: string, _attributes: unknown, run: () => T): T => run(),
};
const NO_RELAYS = { count: 0, each: 0, observer };

/** What a world is made for. */
export interface WorldParts {
  readonly seed: number;
  readonly facts: Facts;
  readonly chance: Chance;
  /** Makes an instance of the room. */
  readonly build: (platform: Platform) => RoomHost;
  /** Absent: the room is one object. */
  readonly relays?: Pick<RelaysParts, "count" | "observer" | "each"> | undefined;
  readonly tell?: ((line: string) => void) | undefined;
}

/** One world. */
export class World {
  readonly timeline = new Timeline();
  readonly trace: Trace;
  readonly chance: Chance;
  readonly weather: Weather = { low: 1, high: 40 };
  /** The room's. */
  readonly object: SimObject<RoomHost>;
  readonly relays: Relays;
  readonly edge: Edge;
  readonly oracle: Oracle;
  /** How far the clocks were moved, in ms. */
  skew = 0;
  /** When they were moved last, in ms of the simulation. */
  movedAt = 0;
  /** Events so far. */
  events = 0;
  #failure: unknown;
  /** The latest moment that the clock had shown when it was moved. */
  #latest = 0;

  constructor({ seed, facts, chance, build, relays, tell }: WorldParts) {
    const { timeline, weather } = this;
    this.chance = chance;
    this.trace = new Trace(tell);
    this.trace.note(0, "seed", String(seed));
    this.oracle = new Oracle(facts, () => timeline.now);
    const about = {
      wall: () => this.wall,
      note: (what: string) => this.note(what),
    };
    const stamp = () => this.oracle.stamp;
    this.object = new SimObject({ timeline, chance, weather, name: "room", build, stamp, ...about });
    this.relays = new Relays({
      timeline,
      chance,
      weather,
      about,
      oracle: this.oracle,
      isTraced: tell !== undefined,
      room: () => this.object,
      home: { binding: "ROOM", ...ROOM },
      ...(relays ?? NO_RELAYS),
    });
    this.edge = new Edge({ timeline, chance, weather, world: this, wall: () => this.wall });
    surround({
      now: () => timeline.now,
      wall: () => this.wall,
      after: (ms, run) => timeline.after(ms, () => this.#guarded(run)),
      random: chance.float,
    });
  }

  /** The clock, in ms since the epoch. */
  get wall(): number {
    return BEGINNING + this.timeline.now + this.skew;
  }

  note(what: string): void {
    this.trace.note(this.timeline.now, what);
  }

  /** Something is wrong; the first of it counts. */
  fail(error: unknown): void {
    this.#failure ??= error;
  }

  /** How long the clock takes until it shows what it has shown before, in ms. */
  get behind(): number {
    return Math.max(0, this.#latest - this.wall);
  }

  /** Moves every clock. */
  moveClock(ms: number): void {
    this.#latest = Math.max(this.#latest, this.wall);
    this.skew += ms;
    this.movedAt = this.timeline.now;
    this.oracle.isTimeUnsure = true;
    for (const object of this.objects) object.rearmAlarm();
  }

  /** The room's object, and those of its relays. */
  get objects(): readonly SimObject<Hosted>[] {
    return [this.object, ...this.relays.objects];
  }

  /** Lets time pass, and everything happen that is due meanwhile. Throws what was found wrong. */
  async run(ms: number): Promise<void> {
    const limit = this.timeline.now + ms;
    await this.#settle();
    for (let next = this.timeline.take(limit); next; next = this.timeline.take(limit)) {
      if (++this.events > MOST_EVENTS) throw new Violation("the simulation never comes to rest");
      this.#guarded(next);
      await this.#settle();
    }
  }

  /** Lets time pass, and gives what a promise has come to by then, if it has come to anything. */
  async within<T>(ms: number, asked: Promise<T>): Promise<T | undefined> {
    const run = this.run(ms);
    const [value] = await Promise.all([Promise.race([asked, run.then(() => undefined)]), run]);
    return value;
  }

  /** A session's next token, as a program's `fetch` gets the answer. */
  async refresh(session: string, token: string) {
    const claims = Buffer.from(token, "base64url").toString();
    this.oracle.refreshed(session);
    const answer = await this.edge.request(claims, (host, credentials) =>
      host.command({ type: "refresh", session, credentials }),
    );
    // Once more: a connection may have begun meanwhile.
    this.oracle.refreshed(session);
    const place = answer.ok && answer.value.ok ? answer.value.value.relay : undefined;
    if (place) return this.#refreshAt(place.name, session, claims);
    const isOk = answer.ok && answer.value.ok;
    const { expires } = JSON.parse(claims) as Claims;
    return { ok: isOk, status: isOk ? 200 : 404, json: () => Promise.resolve({ expires }) };
  }

  async #refreshAt(name: string, session: string, claims: string) {
    const answer = await this.edge.requestAt(name, claims, (relay, credentials) =>
      relay.room.command({ type: "refresh", session, credentials }),
    );
    const isOk = answer.ok && answer.value.ok;
    const { expires } = JSON.parse(claims) as Claims;
    return { ok: isOk, status: isOk ? 200 : 404, json: () => Promise.resolve({ expires }) };
  }

  async #settle(): Promise<void> {
    do {
      await settled();
      if (this.#failure !== undefined) throw this.#failure;
    } while (this.objects.filter((object) => object.endTurn()).length > 0);
  }

  #guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      // A timer of an instance that is no more.
      if (!(error instanceof Killed)) this.fail(error);
    }
  }
}
