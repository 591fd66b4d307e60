/** The rooms that simulations are about: their definitions, and what those promise in numbers. */
import type { Json } from "../../src/protocol/frames.ts";
import {
  defineRoom,
  reject,
  type Definition,
  type Rejection,
  type RoomContext,
  type RoomDefinition,
} from "../../src/room/definition.ts";
import type { Batch } from "../../src/room/outlet.ts";
import { verdictOn, type Facts } from "./oracle/facts.ts";
import type { Chance } from "./world/random.ts";

/** What the hooks of a simulated room may ask of the simulation. */
export interface Hooked {
  /** Takes a batch of events, or throws. */
  deliver(batch: Batch): Promise<void>;
  /** Whether a timer of this name fails this time. */
  timerFails(name: string): boolean;
  /** A hook publishes this text in the room's own name. */
  publishes(text: string): void;
  /** A hook kicks a user. */
  kicks(user: string): void;
  /** Work outside the room, for `defer`. */
  outside(): Promise<void>;
}

/** A room, and what it promises. */
export interface SimRoom {
  readonly definition: RoomDefinition;
  readonly facts: Facts;
}

/** A room by chance. */
export function makeRoom(chance: Chance, hooked: Hooked, hasRelays: boolean): SimRoom {
  const every = chance.pick([2_000, 5_000, 30_000]);
  const facts: Facts = {
    retain: chance.pick([0, 3, 5, 40, 1_000]),
    grace: chance.pick([0, 1_000, 10_000]),
    resumeWindow: chance.pick([20_000, 120_000, 3_600_000]),
    heartbeat: { every, idle: every * chance.pick([1, 2, 8]), misses: chance.pick([1, 2, 3]) },
    // Connections that were replaced at another relay count until that relay has heard of it.
    maxConnectionsPerUser: chance.pick(hasRelays ? [8, 100] : [3, 5, 100]),
    hasHooks: chance.once(0.5),
    hasEvents: chance.once(0.4),
    presence: chance.pick(hasRelays ? ["count", "count", "off"] : ["list", "list", "list", "count", "off"]),
    hasRelays,
  };
  const options: Definition = {
    retain: facts.retain,
    grace: facts.grace,
    resumeWindow: facts.resumeWindow,
    heartbeat: facts.heartbeat,
    maxConnectionsPerUser: facts.maxConnectionsPerUser,
    presence: facts.presence,
    rate: chance.once(0.7) ? { perSecond: 10_000, burst: 10_000 } : { perSecond: 20, burst: 30 },
    ...(facts.hasHooks && hooksOf(hooked)),
    ...(facts.hasHooks && facts.presence === "list" && { onPresence: judge }),
    ...(facts.hasEvents && { events: { to: (batch: Batch) => hooked.deliver(batch) } }),
  };
  return { definition: defineRoom(options), facts: { ...facts, grace: Math.min(facts.grace, facts.resumeWindow) } };
}

function hooksOf(hooked: Hooked): Definition {
  return {
    onJoin(room, me) {
      note(room, `join ${me.id}`);
    },
    onLeave(room, member) {
      note(room, `leave ${member.id}`);
      if (member.id === "bob") throw new Error("leave broke");
    },
    onSignal: judge,
    onPublish(room, _me, data, { to, offset }) {
      const text = typeof data === "string" ? data : JSON.stringify(data);
      note(room, text);
      if (text.startsWith("reject ")) return reject("no");
      if (text.startsWith("throw ")) throw new Error("hook broke");
      if (text.startsWith("echo ")) publish(room, hooked, `echo of ${text}`);
      if (text.startsWith("kick ")) {
        hooked.kicks("eve");
        room.kick("eve");
      }
      if (text.startsWith("later ")) {
        room.defer(
          () => hooked.outside(),
          (then) => publish(then, hooked, `after ${text}`),
        );
      }
      const stored = text.startsWith("up ") ? text.toUpperCase() : undefined;
      note(room, `at ${offset} ${JSON.stringify({ text: stored ?? text, to })}`);
      return stored;
    },
    onTimer(room, name) {
      note(room, `timer ${name}`);
      if (hooked.timerFails(name)) throw new Error("timer broke");
      publish(room, hooked, `timer ${name} ${room.offset}`);
    },
    methods: {
      remind(room, _me, args) {
        const { name, after } = args as { name: string; after: number };
        room.schedule(name, room.now + after);
      },
      fail: (room) => {
        note(room, "fail");
        throw new Error("method broke");
      },
      refuse: () => reject("not today", "2s"),
      notes: (room) => room.sql.exec<{ n: number }>("SELECT count(*) AS n FROM notes").one().n,
    },
  };
}

/** The hook of signals and presence: goes by a number that is in what it is given. */
function judge(room: RoomContext, _me: unknown, data: Json): Json | Rejection | void {
  const text = typeof data === "string" ? data : JSON.stringify(data);
  const verdict = verdictOn(Number(/\d+/.exec(text)?.[0] ?? 3));
  if (verdict === "let be") return undefined;
  note(room, verdict === "rewritten" ? text : `throw ${text}`);
  if (verdict === "rejected") return reject("no");
  if (verdict === "broken") throw new Error("hook broke");
  return typeof data === "number" ? data + 1_000 : text.toUpperCase();
}

function publish(room: RoomContext, hooked: Hooked, text: string): void {
  hooked.publishes(text);
  room.publish(text);
}

function note(room: RoomContext, text: string): void {
  // Asked first: a statement that may change the schema makes every other be prepared anew.
  const isThere = room.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'notes'").toArray().length > 0;
  if (!isThere) room.sql.exec("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)");
  room.sql.exec("INSERT INTO notes (text) VALUES (?)", text);
}
