/** The Worker under test: the real app over rooms whose clock a test can move. Nothing else of them differs. */
import { createApp } from "../../src/http/app.ts";
import type { FailureRecord } from "../../src/room/telemetry/failure.ts";
import { codes } from "../../src/protocol/codes.ts";
import { defineRoom, reject, type Json } from "../../src/server.ts";
import { Directory } from "../../src/ops/directory.ts";
import { Relay } from "../../src/relay.ts";
import { Room } from "../../src/room.ts";
import { receiverOf } from "./receiver.ts";

export interface Env {
  AUTH_SECRET: string;
  ENVIRONMENT: string;
  RELAY: DurableObjectNamespace<RelayRoom>;
  CHAT: DurableObjectNamespace<ChatRoom>;
  SMALL: DurableObjectNamespace<SmallRoom>;
  FAST: DurableObjectNamespace<FastRoom>;
  HEARTBEAT: DurableObjectNamespace<HeartbeatRoom>;
  EVENTS: DurableObjectNamespace<EventsRoom>;
  LARGE: DurableObjectNamespace<LargeRoom>;
  LARGE_RELAY: DurableObjectNamespace<LargeRelay>;
  EDGEROOMS_DIRECTORY: DurableObjectNamespace<Directory>;
}

export { Directory };

/** Clocks that a test stopped, by room name. They survive an eviction, as real time does. */
export const clocks = new Map<string, number>();
/** What rooms reported, by room name. */
export const reports = new Map<string, string[]>();

abstract class TestRoom extends Room<Env> {
  protected override now(): number {
    return clocks.get(this.ctx.id.name ?? "") ?? Date.now();
  }

  protected override report(failed: FailureRecord): void {
    const name = this.ctx.id.name ?? "";
    const { severity } = codes[failed.code];
    // What clients do wrong is not what a test of something else looks for.
    if (severity !== "warn") reports.set(name, [...(reports.get(name) ?? []), `${failed.source}: ${failed.message}`]);
    super.report(failed);
  }
}

/** The default room. */
export class RelayRoom extends TestRoom {}

/** Uses every hook. */
export class ChatRoom extends TestRoom {
  override readonly definition = defineRoom({
    maxConnections: 4,
    onJoin(room, me) {
      if (me.id === "unwanted") return reject("not you");
      note(room.sql, `join ${me.id}`);
      if (me.id === "loud") room.publish("loud is here");
      return undefined;
    },
    onLeave(room, member) {
      note(room.sql, `leave ${member.id}`);
      if (member.id === "clumsy") throw new Error("leave broke");
    },
    onPublish(room, me, data) {
      note(room.sql, `publish ${me.id}`);
      if (data === "reject") return reject("no such words here");
      if (data === "throw") throw new Error("hook broke: secret-of-the-hook");
      if (typeof data === "string" && data.startsWith("throw ")) throw new Error(data.slice(6));
      if (data === "shout") return "SHOUT";
      if (data === "swell") return "x".repeat(2_000_000);
      if (data === "echo") room.publish("echoed");
      if (data === "loop") {
        const loop: unknown[] = [];
        loop.push(loop);
        return loop as Json;
      }
      if (data === "fetch") {
        room.defer(
          () => Promise.resolve("fetched"),
          (later, outcome) => later.publish(outcome.ok ? outcome.value : "failed"),
        );
      }
      return undefined;
    },
    onTimer(room, name, data) {
      note(room.sql, `timer ${name}`);
      if (name === "broken") throw new Error("timer broke");
      if (name === "mover") room.schedule("moved", room.now + 60_000, "later");
      room.publish({ timer: name, data });
    },
    snapshot(room) {
      return { notes: notes(room.sql).length };
    },
    methods: {
      add: (_room, _me, args) => (Array.isArray(args) ? args.reduce<number>((a, b) => a + Number(b), 0) : null),
      who: (_room, me) => ({ id: me.id, requestId: me.requestId, connectedAt: me.connectedAt }),
      remind(room, _me, args) {
        const { name, after } = args as { name: string; after: number };
        room.schedule(name, room.now + after, "data");
      },
      fail: () => {
        throw new Error("method broke: secret-of-the-method");
      },
      loop(room) {
        note(room.sql, "loop");
        const loop: Json[] = [];
        loop.push(loop);
        return loop;
      },
      refuse: () => reject("not today", "2s"),
      notes: (room) => notes(room.sql),
      async: (() => Promise.resolve(1)) as never,
    },
  });
}

/** Forgets soon, so that resets are near. */
export class SmallRoom extends TestRoom {
  override readonly definition = defineRoom({
    retain: 5,
    maxConnectionsPerUser: 5,
    maxMessage: 2_048,
    rate: { perSecond: 1_000, burst: 5_000 },
  });
}

/** The default room for clients in a hurry. */
export class FastRoom extends TestRoom {
  override readonly definition = defineRoom({ rate: { perSecond: 1_000_000, burst: 1_000_000 } });
}

/** With heartbeats fast enough to watch. */
export class HeartbeatRoom extends TestRoom {
  override readonly definition = defineRoom({ heartbeat: { every: 100, idle: 400, misses: 3 }, grace: 50 });
}

/** Its events go to the receiver of its name. Nobody is too silent for its fast heartbeats: tests stop its clock. */
export class EventsRoom extends TestRoom {
  readonly #count = { n: 0 };
  override readonly definition = defineRoom({
    heartbeat: { every: 100, idle: 400, misses: 100 },
    grace: 50,
    maxMessage: 1_048_576,
    rate: { perSecond: 1_000_000, burst: 1_000_000 },
    ...(!receiverOf(this.#name).off && {
      events: {
        to: (batch) => receiverOf(this.#name).take(batch),
        ...(receiverOf(this.#name).types && { types: receiverOf(this.#name).types ?? [] }),
      },
    }),
    onJoin(room, me) {
      if (me.id === "unwanted") return reject("not you");
      note(room.sql, `${room.offset} join ${me.id}`);
      if (me.id === "loud") room.publish("loud is here");
      return undefined;
    },
    onLeave(room, { id }) {
      note(room.sql, `${room.offset} leave ${id}`);
      if (id.startsWith("loud")) room.publish(`${id} is gone`);
    },
    onPublish: (room, _me, data) => {
      if (data === "throw") throw new Error("hook broke");
      if (data === "echo") room.publish("echoed");
      if (data === "function") return (() => data) as never;
      // The same object every time, as a careless hook has it.
      if (data === "count") return Object.assign(this.#count, { n: this.#count.n + 1 });
      if (typeof data === "string" && data.startsWith("kick ")) room.kick(data.slice(5));
      return undefined;
    },
    onTimer(room, name) {
      room.publish(`timer ${name}`);
    },
    methods: {
      remind: (room, _me, after) => room.schedule("reminder", room.now + Number(after)),
    },
  });

  get #name(): string {
    return this.ctx.id.name ?? "";
  }
}

/** Spread over relays from the second member on. */
export class LargeRoom extends TestRoom {
  override readonly definition = defineRoom({
    presence: "count",
    retain: 100,
    rate: { perSecond: 1_000_000, burst: 1_000_000 },
    onPublish: (_room, _me, data) => (data === "reject" ? reject("no such words here") : undefined),
    methods: {
      add: (_room, _me, args) => (Array.isArray(args) ? args.reduce<number>((a, b) => a + Number(b), 0) : null),
    },
  });
}

/** Its clock is that of its room. */
export class LargeRelay extends Relay<Env> {
  protected override now(): number {
    const [, room = ""] = (this.ctx.id.name ?? "").split("/");
    return clocks.get(room) ?? Date.now();
  }

  protected override report(failed: FailureRecord): void {
    const name = this.ctx.id.name ?? "";
    reports.set(name, [...(reports.get(name) ?? []), `${failed.source}: ${failed.message}`]);
    super.report(failed);
  }
}

function note(sql: SqlStorage, text: string): void {
  sql.exec("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)");
  sql.exec("INSERT INTO notes (text) VALUES (?)", text);
}

function notes(sql: SqlStorage): string[] {
  sql.exec("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)");
  return sql
    .exec("SELECT text FROM notes ORDER BY id")
    .toArray()
    .map((row) => row["text"] as string);
}

export default createApp<Env>({
  // All tests of a file are a handful of users in one isolate.
  limits: false,
  rooms: {
    relay: "RELAY",
    chat: "CHAT",
    small: "SMALL",
    fast: "FAST",
    heartbeat: "HEARTBEAT",
    events: "EVENTS",
    large: { room: "LARGE", relays: { binding: "LARGE_RELAY", from: 2, each: 3 } },
  },
});
