/** The Worker of `npm run events`: rooms whose events go out by webhook, and that write down who came and went themselves. */
import { Hono } from "hono";
import { createApp } from "../../src/http/app.ts";
import { Room } from "../../src/room.ts";
import { webhook } from "../../src/ops/webhook.ts";
import { defineRoom } from "../../src/room/definition.ts";

interface Env {
  readonly AUTH_SECRET: string;
  readonly HOOK_URL: string;
  readonly HOOK_SECRET: string;
  readonly ROOM: DurableObjectNamespace<NotingRoom>;
}

/** A member came or went, after which publication. */
export interface Moved {
  readonly after: number;
  readonly what: "join" | "leave";
  readonly user: string;
}

export class NotingRoom extends Room<Env> {
  override readonly definition = defineRoom({
    events: { to: webhook<Env>({ url: (env) => env.HOOK_URL, secret: (env) => env.HOOK_SECRET }) },
    heartbeat: { every: 1_000, idle: 2_000, misses: 3 },
    grace: 500,
    retain: 100_000,
    rate: { perSecond: 1_000, burst: 1_000 },
    onJoin: (room, { id }) => moved(room.sql, room.offset, "join", id),
    onLeave: (room, { id }) => moved(room.sql, room.offset, "leave", id),
  });

  async moves(): Promise<Moved[]> {
    create(this.ctx.storage.sql);
    const rows = this.ctx.storage.sql.exec('SELECT "after", what, user FROM moves ORDER BY id');
    return rows.toArray().map((row) => row as unknown as Moved);
  }
}

function moved(sql: SqlStorage, after: number, what: Moved["what"], user: string): undefined {
  create(sql);
  sql.exec('INSERT INTO moves ("after", what, user) VALUES (?, ?, ?)', after, what, user);
}

function create(sql: SqlStorage): void {
  sql.exec('CREATE TABLE IF NOT EXISTS moves (id INTEGER PRIMARY KEY, "after" INTEGER, what TEXT, user TEXT)');
}

const app = new Hono<{ Bindings: Env }>();
app.get("/moves/:room", async (c) => c.json(await c.env.ROOM.getByName(c.req.param("room")).moves()));
app.route("/", createApp<Env>({ rooms: { room: "ROOM" }, limits: false }));

export default app;
