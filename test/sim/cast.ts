/** What a schedule plays with: the world, the people in it, and what the simulation has to remember of both. */
import type { Batch } from "../../src/room/outlet.ts";
import { OutletRefused } from "../../src/room/outlet.ts";
import { RoomHost } from "../../src/room/runtime/host.ts";
import type { Era } from "./oracle/history.ts";
import { Outgoing } from "./oracle/outgoing.ts";
import { RawPerson } from "./people/raw.ts";
import { SdkPerson } from "./people/sdk.ts";
import { makeRoom, type SimRoom } from "./rooms.ts";
import type { Copy } from "./world/disk.ts";
import { Chance, mixSeed } from "./world/random.ts";
import { World } from "./world/world.ts";

/** How the outlet of events is at the moment. */
export type OutletMood = "takes" | "fails" | "refuses" | "hangs" | "losesAnswer";

/** A publication over HTTP with a key, which can be sent again. */
export interface Post {
  readonly key: string | undefined;
  readonly text: string;
  readonly user: string;
}

/** A timer that the room was asked for, and said yes to. */
export interface Reminder {
  readonly name: string;
}

/** A copy of the storage, and what was true when it was made. */
export interface Copied {
  readonly copy: Copy;
  /** When, in ms of the simulation. */
  readonly at: number;
  readonly era: Era;
  readonly reminders: readonly Reminder[];
}

/** Everything that a schedule plays with. */
export class Cast {
  readonly world: World;
  readonly room: SimRoom;
  readonly sdk: readonly [SdkPerson, ...SdkPerson[]];
  readonly raw: readonly [RawPerson, ...RawPerson[]];
  readonly outgoing = new Outgoing();
  readonly posts: Post[] = [];
  /** Publications over HTTP so far, repeats not counted. */
  posted = 0;
  reminders: Reminder[] = [];
  copy: Copied | undefined;
  outlet: OutletMood = "takes";
  /** Until when the disk fails, in ms of the simulation, and how often. */
  diskFails = { until: -1, share: 0 };
  /** Statements until the object is killed. */
  killAfter = Infinity;
  /** Faults that were done, by kind. */
  readonly done = new Map<string, number>();
  readonly #failures = new Map<string, number>();

  /** @param relays how many the room has */
  constructor(seed: number, relays = 0, tell?: (line: string) => void) {
    const chance = new Chance(mixSeed(seed, 2));
    const outside = () => this.world.edge.travel();
    const hooked = {
      deliver: (batch: Batch) => this.#deliver(batch),
      timerFails: (name: string) => this.#timerFails(name),
      publishes: (text: string) => this.world.oracle.history.wish(text, { by: null, to: undefined }),
      kicks: (user: string) => this.world.oracle.ousted(user),
      outside,
    };
    this.room = makeRoom(chance, hooked, relays > 0);
    const { definition, facts } = this.room;
    // Few, so that three relays make two levels.
    const fan = relays > 0 ? chance.pick([1, 2, 64]) : 64;
    const observer = {
      report: () => {},
      ended: () => {},
      sendReport: () => Promise.resolve(),
      span: <T>(_name: string, _attributes: unknown, run: () => T): T => run(),
    };
    this.world = new World({
      seed,
      facts,
      chance,
      tell,
      build: (platform): RoomHost =>
        new RoomHost({
          platform,
          definition: () => definition,
          env: {},
          observer,
          ...(relays > 0 && { relayAt: this.world.relays.portFor(() => this.world.object, platform), fan }),
        }),
      ...(relays > 0 && { relays: { count: relays, observer, each: chance.pick([2, 50]) } }),
    });
    const { world } = this;
    const tellsBuffered = chance.once(0.7);
    for (const object of world.objects) object.tellsBuffered = tellsBuffered;
    world.object.disk.beforeStatement = (statement) => this.#beforeStatement(statement);
    for (const { disk } of world.relays.objects) disk.beforeStatement = (statement) => this.#mayFail(statement);
    const lives = [20_000, 90_000, 3_600_000, 3_600_000] as const;
    this.sdk = [
      new SdkPerson(world, "ann", { life: chance.pick(lives) }),
      new SdkPerson(world, "bob", { life: chance.pick(lives) }),
    ];
    this.raw = [new RawPerson(world, "eve"), new RawPerson(world, "ann"), new RawPerson(world, "sam")];
  }

  /** Everything that was made to fail works again. */
  heal(): void {
    const { world } = this;
    this.outlet = "takes";
    this.diskFails = { until: -1, share: 0 };
    this.killAfter = Infinity;
    world.relays.calls.failUntil = -1;
    for (const object of world.objects) {
      object.crashAtCommit = undefined;
      object.flush = 0;
      object.lateness = 0;
      object.rearmAlarm();
    }
    Object.assign(world.weather, { low: 1, high: 20 });
  }

  /** A fault was done. */
  count(kind: string): void {
    this.done.set(kind, (this.done.get(kind) ?? 0) + 1);
  }

  #beforeStatement(statement: string): void {
    const { world } = this;
    if (--this.killAfter <= 0) {
      this.killAfter = Infinity;
      this.count("killed at a statement");
      world.object.kill();
      throw new Error("killed");
    }
    this.#mayFail(statement);
  }

  #mayFail(statement: string): void {
    const { world } = this;
    // The end of a savepoint writes nothing: it cannot fail.
    if (statement.startsWith("RELEASE")) return;
    if (world.timeline.now < this.diskFails.until && world.chance.once(this.diskFails.share)) {
      this.count("statement failed");
      throw new Error("disk I/O error: SQLITE_IOERR");
    }
  }

  async #deliver(batch: Batch): Promise<void> {
    const { world } = this;
    const era = world.oracle.history.era.nth;
    await world.object.passGate();
    await world.edge.travel();
    if (this.outlet === "fails") throw new Error("the receiver is down");
    if (this.outlet === "hangs") return new Promise(() => {});
    world.note(`receiver gets ${JSON.stringify(batch.events)}`);
    try {
      this.outgoing.take(batch, era);
    } catch (error) {
      world.fail(error);
    }
    if (this.outlet === "refuses") throw new OutletRefused("never");
    if (this.outlet === "losesAnswer") throw new Error("the answer was lost");
    await world.edge.travel();
  }

  /** Some timers fail once or twice before they do not. */
  #timerFails(name: string): boolean {
    const left = this.#failures.get(name) ?? name.length % 3;
    this.#failures.set(name, left - 1);
    return left > 0;
  }
}
