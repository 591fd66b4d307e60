/**
 * Members who say more than the room takes, on lines that stall and break, to a room that refuses, sleeps and dies: the real
 * client against the real room. A thread of its own, because the simulation replaces the clock of its process.
 */
import { parentPort } from "node:worker_threads";
import { connect, RoomError, type Json, type RoomClient } from "../../src/client/client.ts";
import { defineRoom, reject } from "../../src/room/definition.ts";
import { RoomHost } from "../../src/room/runtime/host.ts";
import type { Facts } from "./oracle/facts.ts";
import { encodeToken, socketClass } from "./people/socket.ts";
import type { ClientEnd } from "./world/client-end.ts";
import { ROOM } from "./world/edge.ts";
import { Chance, mixSeed } from "./world/random.ts";
import { World } from "./world/world.ts";

/** What came of one member. */
export interface Spoken {
  readonly user: string;
  /** What it published, in its order. */
  readonly published: readonly string[];
  /** Of those, what was acked, in the order of publishing; and what else became of some, by code. */
  readonly acked: readonly string[];
  readonly codes: Readonly<Record<string, number>>;
  /** Offsets of the acks, in the order of publishing. */
  readonly offsets: readonly number[];
  /** What it was told, by publisher, in the order in which it was told. */
  readonly heard: Readonly<Record<string, readonly string[]>>;
  /** The presence of all, as it sees them in the end. */
  readonly seen: Readonly<Record<string, Json>>;
  readonly lastPresence: Json;
  /** Signals and calls that it made, and signals of others that it was told. */
  readonly signals: number;
  readonly calls: number;
  readonly signalled: number;
  /** Why connections ended. */
  readonly reasons: readonly string[];
  /** Frames that the room refused for their rate. */
  readonly refusals: number;
}

/** What came of one seed. */
export interface Pressed {
  readonly seed: number;
  /** What the oracle of the simulation found wrong. */
  readonly failure: string | undefined;
  readonly members: readonly Spoken[];
  readonly faults: Readonly<Record<string, number>>;
}

/** What each member publishes. */
const PUBLISHES = 350;
const USERS = ["ann", "bob", "cem"] as const;
/** How long a member may wait for its answers once all is well, in ms. */
const PATIENCE_MS = 600_000;

const facts: Facts = {
  hasRelays: false,
  retain: 100_000,
  grace: 10_000,
  resumeWindow: 3_600_000,
  heartbeat: { every: 30_000, idle: 240_000, misses: 3 },
  maxConnectionsPerUser: 100,
  // Not those that the oracle knows.
  hasHooks: false,
  hasEvents: false,
  presence: "list",
};

class Speaker {
  readonly user: string;
  readonly client: RoomClient;
  end: ClientEnd | undefined;
  readonly published: string[] = [];
  readonly #world: World;
  readonly #offsets = new Map<string, number>();
  readonly #codes: Record<string, number> = {};
  readonly #heard: Record<string, string[]> = {};
  readonly #reasons: string[] = [];
  #signals = 0;
  #calls = 0;
  #signalled = 0;
  #refusals = 0;
  #presence: Json = null;
  /** Publishes and calls without an end. */
  open = 0;

  constructor(world: World, user: string) {
    this.#world = world;
    this.user = user;
    const issued = world.wall;
    this.client = connect("https://sim.test", {
      room: `${ROOM.kind}/${ROOM.room}`,
      token: () =>
        encodeToken({ user, name: user, grants: ["join", "publish", "signal", "call"], issued, expires: 1e13 }),
      storage: new Map<string, string>(),
      random: () => world.chance.float(),
      now: () => world.wall,
      WebSocket: this.#sockets(),
    });
    this.client.on("publication", ({ by, data }) => (this.#heard[String(by)] ??= []).push(data as string));
    this.client.on("signal", () => this.#signalled++);
    this.client.on("error", ({ code }) => this.#note(`event ${code}`));
    this.client.on("state", (state) => "reason" in state && this.#reasons.push(state.reason));
  }

  publish(isRude: boolean): void {
    const text = `${isRude ? "reject " : ""}${this.user}.${this.published.length}`;
    this.#world.oracle.history.wish(text, { by: this.user, to: undefined });
    this.published.push(text);
    this.open++;
    this.client
      .publish(text)
      .then(({ offset }) => this.#offsets.set(text, offset))
      .catch((error: unknown) => this.#note(error instanceof RoomError ? error.code : String(error)))
      .finally(() => this.open--);
  }

  signal(): void {
    this.client.signal(`signal ${++this.#signals}@*`);
  }

  show(): void {
    this.#presence = { at: this.#world.chance.below(1e9) };
    this.client.setPresence(this.#presence);
  }

  call(): void {
    this.#calls++;
    this.open++;
    this.client
      .call("echo", this.#calls)
      .catch((error: unknown) => this.#note(`call ${error instanceof RoomError ? error.code : String(error)}`))
      .finally(() => this.open--);
  }

  spoken(): Spoken {
    const acked = this.published.filter((text) => this.#offsets.has(text));
    return {
      user: this.user,
      published: this.published,
      acked,
      codes: this.#codes,
      offsets: acked.map((text) => this.#offsets.get(text) ?? 0),
      heard: this.#heard,
      seen: Object.fromEntries(this.client.members.map(({ id, data = null }) => [id, data])),
      lastPresence: this.#presence,
      signals: this.#signals,
      calls: this.#calls,
      signalled: this.#signalled,
      reasons: this.#reasons,
      refusals: this.#refusals,
    };
  }

  /** The simulation's sockets, whose refusals are counted. */
  #sockets() {
    const Base = socketClass(this.#world, this.user, (end) => (this.end = end));
    const count = (text: unknown) => {
      this.#refusals += String(text).split('"code":"rate_limited"').length - 1;
    };
    return class extends Base {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        this.addEventListener("message", ({ data }) => count(data));
      }
    };
  }

  #note(code: string): void {
    this.#codes[code] = (this.#codes[code] ?? 0) + 1;
  }
}

/** A rate that can be made stricter than the room says, so that it refuses what a client may send. */
function makeWorld(seed: number, rate: { perSecond: number; burst: number }): World {
  const options = {
    retain: facts.retain,
    onPublish: (_room: unknown, _me: unknown, data: unknown) =>
      String(data).startsWith("reject ") ? reject("no") : undefined,
    methods: { echo: (_room: unknown, _me: unknown, data: Json) => data },
  };
  const definition = { ...defineRoom(options), rate };
  const observer = {
    report: () => {},
    ended: () => {},
    sendReport: () => Promise.resolve(),
    span: <T>(_name: string, _attributes: unknown, run: () => T): T => run(),
  };
  return new World({
    seed,
    facts,
    chance: new Chance(mixSeed(seed, 3)),
    build: (platform) => new RoomHost({ platform, definition: () => definition, env: {}, observer }),
  });
}

/** Does something bad to the world, by chance. */
function disturb(world: World, speakers: readonly Speaker[], rate: { perSecond: number }): string {
  const { chance } = world;
  const wire = speakers[chance.below(speakers.length)]?.end?.wire;
  const faults: Record<string, () => unknown> = {
    cut: () => wire?.cut(),
    stall: () => wire?.stall(chance.between(500, 7_000)),
    slow: () => wire?.slow(chance.between(500, 5_000)),
    "half-open": () => chance.once(0.3) && wire?.halfOpen(),
    evict: () => world.object.evict(),
    kill: () => chance.once(0.5) && world.object.kill(),
    strict: () => {
      rate.perSecond = 5;
      world.timeline.after(chance.between(300, 1_500), () => (rate.perSecond = 50));
    },
    clock: () => world.moveClock(-chance.between(100, 1_500)),
  };
  const names = Object.keys(faults);
  const name = names[chance.below(names.length)] ?? "cut";
  faults[name]?.();
  return name;
}

/** Plays one seed. */
export async function press(seed: number): Promise<Pressed> {
  const rate = { perSecond: 50, burst: 100 };
  const world = makeWorld(seed, rate);
  const { chance } = world;
  const faults: Record<string, number> = {};
  const speakers = USERS.map((user) => new Speaker(world, user));
  let failure: string | undefined;
  try {
    await world.run(2_000);
    while (speakers.some(({ published }) => published.length < PUBLISHES)) {
      for (const speaker of speakers) {
        const most = Math.min(5, PUBLISHES - speaker.published.length);
        for (let n = chance.between(0, most); n > 0; n--) speaker.publish(chance.once(0.03));
        for (let n = chance.below(3); n > 0; n--) speaker.signal();
        if (chance.once(0.7)) speaker.show();
        if (chance.once(0.2)) speaker.call();
      }
      if (chance.once(0.15)) {
        const name = disturb(world, speakers, rate);
        faults[name] = (faults[name] ?? 0) + 1;
      }
      await world.run(chance.between(5, 120));
    }
    rate.perSecond = 50;
    const limit = world.timeline.now + PATIENCE_MS;
    while (world.timeline.now < limit && speakers.some(({ open }) => open > 0)) await world.run(1_000);
    await world.run(20_000);
  } catch (error) {
    failure = String(error);
  }
  world.object.disk.close();
  return { seed, failure, members: speakers.map((speaker) => speaker.spoken()), faults };
}

parentPort?.on("message", (seeds: readonly number[]) => {
  void (async () => {
    const all: Pressed[] = [];
    for (const seed of seeds) all.push(await press(seed));
    parentPort?.postMessage(all, []);
  })();
});
