/**
 * A person whose program uses the client's real modules, and what such a program must be able to rely on: publications in
 * order, each once, none missing but by a reset; publishes that settle once, and truly.
 */
import { connect, RoomError, type Ack, type Json, type RoomClient } from "../../../src/client/client.ts";
import type { Ear } from "../oracle/ear.ts";
import { check, isFor, textOf, type Era } from "../oracle/history.ts";
import type { ClientEnd } from "../world/client-end.ts";
import { ROOM } from "../world/edge.ts";
import type { World } from "../world/world.ts";
import { encodeToken, socketClass, type Delivering } from "./socket.ts";

/** Codes after which a publish may have taken effect all the same. */
const UNSURE = new Set(["outcome_unknown", "unavailable"]);

/** One stretch of publications without a reset in it. */
interface Run {
  era: Era;
  /** Nothing up to here was promised. */
  readonly from: number;
  last: number;
  readonly seen: Set<number>;
}

/** How a person's tokens are. */
export interface Tokens {
  /** How long each is good, in ms. */
  readonly life: number;
}

/** Somebody with the SDK. */
export class SdkPerson {
  readonly user: string;
  /** Publishes that have not settled. */
  pending = 0;
  /** Calls without an answer. */
  asking = 0;
  client: RoomClient | undefined;
  end: ClientEnd | undefined;
  ear: Ear | undefined;
  readonly #world: World;
  readonly #tokens: Tokens;
  readonly #store = new Map<string, string>();
  #delivering: Delivering = { of: undefined };
  #runs: Run[] = [];
  #run: Run | undefined;
  #published = 0;
  /** What it published, in its order, as the room stores it. */
  readonly #texts: string[] = [];

  constructor(world: World, user: string, tokens: Tokens) {
    this.#world = world;
    this.user = user;
    this.#tokens = tokens;
  }

  get state(): string {
    return this.client?.state.name ?? "none";
  }

  /** Up to where its program was told. */
  get reached(): number {
    return this.#run?.last ?? Infinity;
  }

  /** Whether its program wants to be in the room. */
  get isWanted(): boolean {
    return this.client !== undefined && this.state !== "closed";
  }

  /** Comes, or comes back. */
  join(): void {
    if (this.client && this.state !== "closed") return this.client.connect();
    this.#begin();
  }

  /** The page is loaded again: the program is gone in a moment, what is stored stays. */
  reload(): void {
    // A try of the old page may take the session over after one of the new: relays try for a while.
    if (this.#world.oracle.facts.hasRelays && this.state !== "open") this.#world.oracle.lost(this.user);
    this.end?.wire?.cut();
    this.client?.close();
    this.#begin();
  }

  close(): void {
    this.client?.close();
  }

  leave(): void {
    this.client?.leave();
  }

  /** @param prefix what the room's hook is to make of it */
  publish(size: number, prefix = "", to?: readonly string[]): void {
    const { client } = this;
    if (!client) return;
    const text = `${prefix}${this.user}.${++this.#published}${size > 0 ? ` ${"x".repeat(size)}` : ""}`;
    const { oracle } = this.#world;
    const stored = oracle.stored(text);
    oracle.history.wish(stored, { by: this.user, to });
    this.pending++;
    this.#texts.push(stored);
    this.#settles(stored, client.publish(text, to && { to })).catch((error: unknown) => this.#world.fail(error));
  }

  signal(data: string): void {
    const [, to = "*"] = data.split("@");
    this.client?.signal(data, to === "*" ? {} : { to: to.split(",") });
  }

  setPresence(data: Json): void {
    this.client?.setPresence(data);
  }

  /** Resolves with whether the call was answered well. */
  async call(method: string, data: Json): Promise<boolean> {
    if (!this.client) return false;
    this.asking++;
    try {
      await this.client.call(method, data);
      return true;
    } catch {
      return false;
    } finally {
      this.asking--;
    }
  }

  /** Everything must have arrived by now. */
  settle(head: number): void {
    this.#judgeOrder();
    check(this.pending === 0, () => `${this.user} has ${this.pending} publishes that never settled`);
    if (this.#run && this.state === "open")
      check(this.#run.last >= head, () => `${this.user} is at ${this.#run?.last}, the room at ${head}`);
    for (const run of this.#runs) {
      const end = run === this.#run && this.state === "open" ? head : run.last;
      for (let offset = run.from + 1; offset <= end; offset++) {
        const known = run.era.at(offset);
        if (!known || run.seen.has(offset) || !isFor(this.user, known)) continue;
        check(false, () => `the program of ${this.user} was never told of ${offset} (${known.text})`);
      }
    }
    if (this.state !== "open" || !this.client) return;
    const here = this.client.members.map(({ id }) => id).join();
    const told = [...(this.ear?.members ?? [])].toSorted().join();
    check(here === told, () => `the program of ${this.user} sees ${here}, and was told ${told}`);
  }

  /** A publish settles once, and truly. */
  async #settles(stored: string, publish: Promise<Ack>): Promise<void> {
    const { history } = this.#world.oracle;
    try {
      const { offset } = await publish;
      const known = history.era.find(stored);
      check(known === undefined || known === offset, () => `${stored} was acked at ${offset} and is at ${known}`);
      check(!history.isRefused(stored), () => `${stored} was refused and acked`);
    } catch (error) {
      if (!(error instanceof RoomError)) throw error;
      if (!UNSURE.has(error.code)) history.refuse(stored, error.code);
    } finally {
      this.pending--;
    }
  }

  /** What a program publishes takes effect in its order, however often it had to be sent. */
  #judgeOrder(): void {
    const { era } = this.#world.oracle.history;
    let last = 0;
    let before = "";
    for (const text of this.#texts) {
      const offset = era.find(text);
      if (offset === undefined) continue;
      check(offset > last, () => `${text} was published after ${before}, and is at ${offset} before ${last}`);
      last = offset;
      before = text;
    }
  }

  #begin(): void {
    const world = this.#world;
    this.#run = undefined;
    this.client = connect("https://sim.test", {
      room: `${ROOM.kind}/${ROOM.room}`,
      token: () => this.#token(),
      storage: this.#store,
      outbox: { count: 50, bytes: 400_000 },
      now: () => world.wall,
      random: () => world.chance.float(),
      WebSocket: socketClass(world, this.user, (end, ear, delivering) => {
        this.end = end;
        this.ear = ear;
        this.#delivering = delivering;
      }),
      fetch: async (_url, init) => {
        const { session } = JSON.parse(init.body) as { session: string };
        return world.refresh(session, (init.headers["authorization"] ?? "").slice("Bearer ".length));
      },
    });
    this.#listen(this.client);
  }

  #listen(client: RoomClient): void {
    const judge = (run: () => void) => {
      try {
        if (client === this.client) run();
      } catch (error) {
        this.#world.fail(error);
      }
    };
    client.on("publication", (item) =>
      judge(() => {
        const era = this.#delivering.of?.era ?? this.#world.oracle.history.era;
        const run = (this.#run ??= this.#open(era, item.offset - 1));
        check(item.offset > run.last, () => `the program of ${this.user} was told of ${item.offset} after ${run.last}`);
        this.#world.oracle.history.learn(era, item.offset, textOf(item), item.by);
        run.era = era;
        run.last = item.offset;
        run.seen.add(item.offset);
      }),
    );
    client.on("reset", ({ offset }) =>
      judge(() => {
        this.#run = this.#open(this.#delivering.of?.era ?? this.#world.oracle.history.era, offset);
      }),
    );
    client.on("resumed", () =>
      judge(() => {
        const era = this.#delivering.of?.era;
        if (era && this.#run) this.#run.era = era;
      }),
    );
    client.on("state", (state) => judge(() => this.#world.note(`${this.user} is ${state.name}`)));
    client.on("error", (error) => judge(() => this.#world.note(`${this.user} has ${error.code}`)));
  }

  #open(era: Era, from: number): Run {
    const run: Run = { era, from, last: from, seen: new Set() };
    this.#runs.push(run);
    return run;
  }

  #token(): string {
    const { wall } = this.#world;
    return encodeToken({
      user: this.user,
      name: this.user.toUpperCase(),
      grants: ["join", "publish", "signal", "call"],
      issued: wall,
      expires: wall + this.#tokens.life,
    });
  }
}
