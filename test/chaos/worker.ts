/**
 * The Worker under chaos: the real app over real rooms, which write down in tables of their own what was published and
 * who came and went, in the room's transaction. That is the truth the checker compares clients with: it outlives what
 * the log forgets. The routes below /chaos are for the nemesis and the checker.
 */
import { Hono, type Context } from "hono";
import unsafe from "workerd:unsafe";
import { createApp } from "../../src/http/app.ts";
import { jwt } from "../../src/http/gate/auth.ts";
import { defineRoom, type Definition } from "../../src/room/definition.ts";
import { Room } from "../../src/room.ts";
import type { Present, TruthPage } from "./truth.ts";
import { kinds } from "./rooms.ts";
import { brief, isBroken } from "./saying.ts";

interface Env {
  readonly AUTH_SECRET: string;
  readonly WIDE: DurableObjectNamespace<WideRoom>;
  readonly TIGHT: DurableObjectNamespace<TightRoom>;
}

/** Rows of the truth that one answer has, at most. */
const PAGE = 10_000;

const hooks: Definition = {
  onJoin(room, me) {
    room.sql.exec("INSERT INTO chaos_people (at, user, change) VALUES (?, ?, 'join')", room.now, me.id);
  },
  onLeave(room, member) {
    room.sql.exec("INSERT INTO chaos_people (at, user, change) VALUES (?, ?, 'leave')", room.now, member.id);
  },
  onPublish(room, me, data) {
    const text = brief(data);
    room.sql.exec(
      "INSERT INTO chaos_said (position, author, session, data, at) VALUES (?, ?, ?, ?, ?)",
      room.offset + 1,
      me.id,
      me.session,
      text,
      room.now,
    );
    // After the row: it must go with the event.
    if (isBroken(text)) throw new Error("chaos");
  },
};

abstract class ChaosRoom extends Room<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.sql.exec(`
      CREATE TABLE IF NOT EXISTS chaos_said (
        id INTEGER PRIMARY KEY, position INTEGER, author TEXT, session TEXT, data TEXT, at INTEGER
      );
      CREATE TABLE IF NOT EXISTS chaos_people (id INTEGER PRIMARY KEY, at INTEGER, user TEXT, change TEXT);
    `);
  }

  /** Ends this instance as a crash would: its sockets are gone and no handler runs. */
  crash(): void {
    this.ctx.abort("chaos");
  }

  /** Where the room is, cheap enough to ask often. */
  async present(): Promise<Present> {
    const members = await this.members();
    const [row] = [...this.ctx.storage.sql.exec("SELECT max(last) AS head FROM edgerooms_log")];
    return {
      head: Number(row?.["head"] ?? 0),
      members: members.map(({ id, data }) => [id, JSON.stringify(data ?? null)]),
    };
  }

  /** What was published after row `after`, and on the first page everything else. */
  async truth(after: number): Promise<TruthPage> {
    const { sql } = this.ctx.storage;
    // First: the rows are read at once after it, so that all of it is of one moment.
    const { members } = await this.present();
    const rows = (query: string, ...values: SqlStorageValue[]) => [...sql.exec(query, ...values).raw()];
    const said = rows(
      "SELECT id, position, author, session, data, at FROM chaos_said WHERE id > ? ORDER BY id LIMIT ?",
      after,
      PAGE,
    );
    const log = after > 0 ? [] : rows("SELECT items FROM edgerooms_log ORDER BY first");
    const items = log.flatMap(([text]) => JSON.parse(`[${text as string}]`) as { offset: number; data: string }[]);
    return {
      said: said as unknown as TruthPage["said"],
      kept: items.map(({ offset, data }) => [offset, brief(data)] as const),
      people: after > 0 ? [] : (rows("SELECT at, user, change FROM chaos_people ORDER BY id") as never),
      members,
    };
  }
}

/** Remembers more than anybody misses, unless away for long. */
export class WideRoom extends ChaosRoom {
  override readonly definition = defineRoom({ ...kinds.wide, ...hooks });
}

/** Forgets soon, so that honest resets happen. */
export class TightRoom extends ChaosRoom {
  override readonly definition = defineRoom({ ...kinds.tight, ...hooks });
}

const app = new Hono<{ Bindings: Env }>();

function stubOf(c: Context<{ Bindings: Env }>): DurableObjectStub<ChaosRoom> {
  const { kind, room = "" } = c.req.param() as { kind?: string; room?: string };
  const namespace = kind === "tight" ? c.env.TIGHT : c.env.WIDE;
  return (namespace as DurableObjectNamespace<ChaosRoom>).getByName(room);
}

app.post("/chaos/:kind/:room/evict", async (c) => {
  try {
    await unsafe.evict(stubOf(c), { webSockets: "hibernate" });
    return c.text("evicted");
  } catch (error) {
    // It is out of memory already, or busy for longer than the runtime waits: no fault of the room's.
    if (!/evict Durable Object: it (?:is not currently running|still has active references)/.test(String(error)))
      throw error;
    return c.text("not now", 409);
  }
});
app.post("/chaos/:kind/:room/abort", async (c) => {
  // The call is lost with the instance.
  await Promise.resolve(stubOf(c).crash()).catch(() => undefined);
  return c.text("aborted");
});
app.post("/chaos/:kind/:room/drain", async (c) => {
  await stubOf(c).drain(Number(c.req.query("within")));
  return c.text("draining");
});
app.get("/chaos/:kind/:room/present", async (c) => c.json(await stubOf(c).present()));
app.get("/chaos/:kind/:room/truth", async (c) => c.json(await stubOf(c).truth(Number(c.req.query("after") ?? 0))));
app.route(
  "/",
  // Clocks are one clock here: a tolerance would only make every token's end later.
  createApp<Env>({ rooms: { wide: "WIDE", tight: "TIGHT" }, auth: jwt({ clockTolerance: 1 }), limits: false }),
);

export default app;
