/**
 * The Worker under chaos: the real app over real rooms, which write down in tables of their own what was published and
 * who came and went, in the room's transaction. That is the truth the checker compares clients with: it outlives what
 * the log forgets. The routes below /chaos are for the nemesis and the checker.
 */
import { Hono, type Context } from "hono";
import unsafe from "workerd:unsafe";
import { createApp } from "../../src/http/app.ts";
import { jwt } from "../../src/http/gate/auth.ts";
import { Relay } from "../../src/relay.ts";
import { openUpgrade } from "../../src/room/admission.ts";
import { defineRoom, type Definition } from "../../src/room/definition.ts";
import { Room } from "../../src/room.ts";
import type { Opened } from "./relayed.ts";
import { kinds, spread } from "./rooms.ts";
import type { Present, TruthPage } from "./truth.ts";
import { brief, isBroken } from "./saying.ts";

interface Env {
  readonly AUTH_SECRET: string;
  readonly WIDE: DurableObjectNamespace<WideRoom>;
  readonly TIGHT: DurableObjectNamespace<TightRoom>;
  readonly LARGE: DurableObjectNamespace<LargeRoom>;
  readonly LARGE_RELAY: DurableObjectNamespace<ChaosRelay>;
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
  methods: {
    double: (_room, _me, n) => Number(n) * 2,
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
      CREATE TABLE IF NOT EXISTS chaos_epochs (id INTEGER PRIMARY KEY, epochs TEXT);
    `);
  }

  /** The room forgets old epochs; what it writes down of them is kept from before the first connection on. */
  override async fetch(request: Request): Promise<Response> {
    const { sql } = this.ctx.storage;
    if (sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'edgerooms_meta'").toArray().length > 0) {
      sql.exec(`CREATE TRIGGER IF NOT EXISTS chaos_epoch AFTER INSERT ON edgerooms_meta WHEN NEW.key = 'epochs' BEGIN
        INSERT INTO chaos_epochs (epochs) VALUES (NEW.value);
      END`);
    }
    return super.fetch(request);
  }

  /** Ends this instance as a crash would: its sockets are gone and no handler runs. */
  crash(): void {
    this.ctx.abort("chaos");
  }

  /** Names of the relays that somebody is connected to. */
  relays(): string[] {
    const { sql } = this.ctx.storage;
    if (sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'edgerooms_relays'").toArray().length === 0) return [];
    return sql
      .exec<{ name: string }>("SELECT name FROM edgerooms_relays WHERE attached = 1 ORDER BY id")
      .toArray()
      .map(({ name }) => name);
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
      epochs: after > 0 ? [] : (rows("SELECT epochs FROM chaos_epochs ORDER BY id").flat() as string[]),
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

/** Has relays. Tells how many members it has, and not who they are. */
export class LargeRoom extends ChaosRoom {
  override readonly definition = defineRoom({ ...kinds.large, ...hooks });
}

/** A relay that writes down whom it has opened a connection for. */
export class ChaosRelay extends Relay<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.sql.exec(
      "CREATE TABLE IF NOT EXISTS chaos_opened (id INTEGER PRIMARY KEY, at INTEGER, user TEXT, session TEXT)",
    );
  }

  override async fetch(request: Request): Promise<Response> {
    const admission = openUpgrade(request);
    const response = await super.fetch(request);
    if (!admission || !response.webSocket) return response;
    const { credentials, resume } = admission;
    this.ctx.storage.sql.exec(
      "INSERT INTO chaos_opened (at, user, session) VALUES (?, ?, ?)",
      Date.now(),
      credentials.user,
      resume?.session ?? "",
    );
    return response;
  }

  /** Ends this instance as a crash would. */
  crash(): void {
    this.ctx.abort("chaos");
  }

  /** Every connection that it has opened. */
  opened(): Opened[] {
    return this.ctx.storage.sql
      .exec<{ at: number; user: string; session: string }>("SELECT at, user, session FROM chaos_opened ORDER BY id")
      .toArray()
      .map(({ at, user, session }) => [at, user, session, this.ctx.id.name ?? ""]);
  }
}

const app = new Hono<{ Bindings: Env }>();

function stubOf(c: Context<{ Bindings: Env }>): DurableObjectStub<ChaosRoom> {
  const { kind, room = "" } = c.req.param() as { kind?: string; room?: string };
  const namespace = kind === "tight" ? c.env.TIGHT : kind === "large" ? c.env.LARGE : c.env.WIDE;
  return (namespace as DurableObjectNamespace<ChaosRoom>).getByName(room);
}

/** One of the relays that a room has at this moment, by a number that may be larger than there are relays. */
async function relayOf(c: Context<{ Bindings: Env }>): Promise<DurableObjectStub<ChaosRelay> | undefined> {
  const names = await stubOf(c).relays();
  const name = names[Number(c.req.query("nth")) % names.length];
  return name === undefined ? undefined : c.env.LARGE_RELAY.getByName(name);
}

/** Takes a room, or one of its relays, out of memory. */
async function evict(c: Context<{ Bindings: Env }>, stub: DurableObjectStub | undefined): Promise<Response> {
  if (!stub) return c.text("no relay", 409);
  try {
    await unsafe.evict(stub, { webSockets: "hibernate" });
    return c.text("evicted");
  } catch (error) {
    // It is out of memory already, or busy for longer than the runtime waits: no fault of the room's.
    if (!/evict Durable Object: it (?:is not currently running|still has active references)/.test(String(error)))
      throw error;
    return c.text("not now", 409);
  }
}

app.post("/chaos/:kind/:room/evict", (c) => evict(c, stubOf(c)));
app.post("/chaos/:kind/:room/relay-evict", async (c) => evict(c, await relayOf(c)));
app.post("/chaos/:kind/:room/relay-abort", async (c) => {
  const relay = await relayOf(c);
  if (!relay) return c.text("no relay", 409);
  await Promise.resolve(relay.crash()).catch(() => undefined);
  return c.text("aborted");
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
app.post("/chaos/:kind/:room/kick", async (c) => c.json(await stubOf(c).kick(c.req.query("user") ?? "")));
app.post("/chaos/:kind/:room/revoke", async (c) => c.json(await stubOf(c).revoke(c.req.query("user") ?? "")));
app.get("/chaos/:kind/:room/opened", async (c) =>
  c.json(await c.env.LARGE_RELAY.getByName(c.req.query("relay") ?? "").opened()),
);
app.get("/chaos/:kind/:room/present", async (c) => c.json(await stubOf(c).present()));
app.get("/chaos/:kind/:room/truth", async (c) => c.json(await stubOf(c).truth(Number(c.req.query("after") ?? 0))));
app.route(
  "/",
  // Clocks are one clock here: a tolerance would only make every token's end later.
  createApp<Env>({
    rooms: { wide: "WIDE", tight: "TIGHT", large: { room: "LARGE", relays: { binding: "LARGE_RELAY", ...spread } } },
    auth: jwt({ clockTolerance: 1 }),
    limits: false,
  }),
);

export default app;
