/** The Worker under attack: the real app and rooms, which also tell how much they hold, and one careless route. */
import { Hono } from "hono";
import { createApp } from "../../src/http/app.ts";
import { defineRoom } from "../../src/room/definition.ts";
import { Room } from "../../src/room.ts";

interface Env {
  readonly AUTH_SECRET: string;
  readonly ROOM: DurableObjectNamespace<AttackedRoom>;
  readonly TINY: DurableObjectNamespace<TinyRoom>;
}

/** What a room holds. */
export interface Counts {
  /** As the runtime counts them: also those that were told to go and have not gone. */
  sockets: number;
  /** Sessions with a connection. */
  connected: number;
  sessions: number;
}

/** The default room. */
export class AttackedRoom extends Room<Env> {
  async counts(): Promise<Counts> {
    const { sql } = this.ctx.storage;
    const one = (query: string) => Number(Object.values(sql.exec(query).one())[0] ?? 0);
    const sockets = this.ctx.getWebSockets().length;
    // A room that was only ever looked at has no tables.
    if (one("SELECT count(*) FROM sqlite_master WHERE name = 'edgerooms_sessions'") === 0) {
      return { sockets, connected: 0, sessions: 0 };
    }
    return {
      sockets,
      connected: one("SELECT count(*) FROM edgerooms_sessions WHERE dropped_at IS NULL"),
      sessions: one("SELECT count(*) FROM edgerooms_sessions"),
    };
  }
}

/** Has place for few. */
export class TinyRoom extends AttackedRoom {
  override readonly definition = defineRoom({ maxConnections: 20 });
}

const app = new Hono<{ Bindings: Env }>();
app.get("/counts/:kind/:room", async (c) => {
  const { kind, room } = c.req.param();
  return c.json(await (kind === "tiny" ? c.env.TINY : c.env.ROOM).getByName(room).counts());
});
// What nobody should write: a stranger's request, as it is, to a room.
app.all("/careless/:room/*", (c) => c.env.ROOM.getByName(c.req.param("room")).fetch(c.req.raw));
app.get("/url", (c) => c.text(c.req.url));
app.route("/", createApp<Env>({ rooms: { room: "ROOM", tiny: "TINY" }, limits: false }));

export default app;
