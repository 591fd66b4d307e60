/**
 * The Worker that `npm run peers` measures: rooms as users write them, with heartbeats short enough to wait for, and a look
 * into them. What a room did by itself it also prints, so that it can be known without a request that would wake it.
 */
import { Hono } from "hono";
import { createApp } from "../../src/http/app.ts";
import { defineRoom, type RoomDefinition } from "../../src/room/definition.ts";
import type { Pointer } from "../../src/room/rules/connection.ts";
import { Room } from "../../src/room.ts";
import { FAST, rhythms, type Seen } from "./rhythms.ts";

interface Env {
  readonly AUTH_SECRET: string;
  readonly QUICK: DurableObjectNamespace<Watched>;
  readonly IDLING: DurableObjectNamespace<Watched>;
  readonly STEADY: DurableObjectNamespace<Watched>;
  readonly ASLEEP: DurableObjectNamespace<Watched>;
  readonly LOG: DurableObjectNamespace<Watched>;
}

function unackedOf(pointer: Pointer | null, head: number): number {
  return pointer?.credit ? (pointer.stoppedAt ?? head) - pointer.credit.offset : 0;
}

type Row = { user: string; generation: number; dropped_at: number | null; present: number };

/** Of the isolate, which outlives the objects: how often a room was brought into memory. */
const woken = new Map<string, number>();

/** A room that tells what only it can know. */
abstract class Watched extends Room<Env> {
  #latest = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    woken.set(String(ctx.id), (woken.get(String(ctx.id)) ?? 0) + 1);
  }

  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    const now = Date.now();
    const late = now - (info?.scheduledTime ?? now);
    this.#latest = Math.max(this.#latest, late);
    await super.alarm(info);
    console.log(`rang ${this.ctx.id.name ?? ""} ${late} ms late`);
  }

  async look(): Promise<Seen> {
    const rows = this.ctx.storage.sql.exec<Row>("SELECT user, generation, dropped_at, present FROM edgerooms_sessions");
    const { head } = this.ctx.storage.sql
      .exec<{ head: number }>("SELECT coalesce(max(last), 0) AS head FROM edgerooms_log")
      .one();
    return {
      members: (await this.members()).map(({ id }) => id),
      sessions: rows.toArray().map(({ user, generation, dropped_at, present }) => ({
        user,
        generation,
        droppedAt: dropped_at,
        present: present === 1,
      })),
      sockets: this.ctx.getWebSockets().map((socket) => ({
        open: socket.readyState === WebSocket.OPEN,
        buffered: (socket as { bufferedAmount?: number }).bufferedAmount ?? 0,
        unacked: unackedOf(socket.deserializeAttachment() as Pointer | null, head),
      })),
      woken: woken.get(String(this.ctx.id)) ?? 0,
      latestAlarm: this.#latest,
    };
  }
}

function define(rhythm: keyof typeof rhythms): RoomDefinition {
  return defineRoom({
    ...rhythms[rhythm],
    rate: FAST,
    onLeave: (room, { id }) => console.log(`left ${room.name} ${id} at ${room.now}.`),
  });
}

export class Quick extends Watched {
  override readonly definition = define("quick");
}
export class Idling extends Watched {
  override readonly definition = define("idling");
}
export class Steady extends Watched {
  override readonly definition = define("steady");
}
export class Asleep extends Watched {
  override readonly definition = define("asleep");
}
/** The default room, but for the rate. */
export class Log extends Watched {
  override readonly definition = defineRoom({ rate: FAST });
}

const rooms = { quick: "QUICK", idling: "IDLING", steady: "STEADY", asleep: "ASLEEP", log: "LOG" } as const;

const app = new Hono<{ Bindings: Env }>();
app.get("/look/:kind/:room", async (c) => {
  const { kind, room } = c.req.param();
  return c.json(await c.env[rooms[kind as keyof typeof rooms]].getByName(room).look());
});
app.route("/", createApp<Env>({ rooms, limits: false }));

export default app;
