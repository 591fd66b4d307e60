/**
 * Which rooms are live, what was counted in them, and what went wrong lately. Sharded Durable Objects that rooms report
 * to: with the first connection, after the last, and now and then with a heartbeat; the Worker's isolates report here too.
 * Eventually consistent, and never in the path of an upgrade.
 */
import { DurableObject } from "cloudflare:workers";
import { isGrave, type FailureRecord } from "../room/telemetry/failure.ts";
import { DIRECTORY_SHARDS, type Listing } from "../room/telemetry/listing.ts";
import { sum, type Counts } from "../room/telemetry/counts.ts";
import type { KindTotals } from "./metrics.ts";

/** A live room and when it last said so, in ms since the epoch. */
export interface Listed extends Omit<Listing, "ttl"> {
  readonly at: number;
}

/** What a room tells. A room of an older version tells only how it is. */
export type Report = Omit<Listing, "sessions"> & {
  readonly sessions?: number;
  readonly counts?: Counts;
  readonly notes?: readonly FailureRecord[];
  /** What its isolate counted, whatever room it was for. */
  readonly own?: Counts;
};

/** Rooms of one page of a list, at most. */
const PAGE = 500;
/** Failures that one part remembers of those that are grave, and of those that are not. */
const MAX_NOTES = 100;
/** Grave failures that have a place in a list, however many others are newer. */
const MAX_GRAVE = 50;

/** One part of the directory. Bind it as `EDGEROOMS_DIRECTORY`; rooms and `createApp` find it by that name. */
export class Directory<Env = unknown> extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const { sql } = ctx.storage;
    sql.exec(`
      CREATE TABLE IF NOT EXISTS edgerooms_directory (
        kind TEXT, room TEXT, connections INTEGER NOT NULL, members INTEGER NOT NULL, offset INTEGER NOT NULL,
        at INTEGER NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (kind, room)) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS edgerooms_past (kind TEXT PRIMARY KEY, counts TEXT NOT NULL) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS edgerooms_notes (slot INTEGER PRIMARY KEY, nth INTEGER NOT NULL, note TEXT NOT NULL);`);
    const table = sql.exec<{ sql: string }>("SELECT sql FROM sqlite_master WHERE name = 'edgerooms_directory'").one();
    // The first version only had what a list needs.
    if (!table.sql.includes("counts")) {
      sql.exec(`
        ALTER TABLE edgerooms_directory ADD COLUMN sessions INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE edgerooms_directory ADD COLUMN counts TEXT NOT NULL DEFAULT '{}';`);
    }
  }

  /** A room tells how it is and what happened; one without connections is not live. Writes one to three rows. */
  update(report: Report): void {
    const { kind, room, connections, members, sessions = 0, offset, ttl, counts = {}, notes = [], own = {} } = report;
    const { sql } = this.ctx.storage;
    this.#note(notes);
    this.#keep("", own);
    const known = sql.exec("SELECT counts FROM edgerooms_directory WHERE kind = ? AND room = ?", kind, room);
    const total = sum(countsIn(known), counts);
    if (connections === 0) {
      sql.exec("DELETE FROM edgerooms_directory WHERE kind = ? AND room = ?", kind, room);
      this.#keep(kind, total);
      return;
    }
    const now = Date.now();
    sql.exec(
      `INSERT OR REPLACE INTO edgerooms_directory (kind, room, connections, members, sessions, offset, at, until, counts)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      kind,
      room,
      connections,
      members,
      sessions,
      offset,
      now,
      now + ttl,
      JSON.stringify(total),
    );
  }

  /** An isolate of the Worker tells what it counted. Writes one row, and one for each failure. */
  count(counts: Counts, notes: readonly FailureRecord[]): void {
    this.#note(notes);
    this.#keep("", counts);
  }

  /** A page of live rooms, ordered by kind and name, after the given one. */
  list(after: { readonly kind: string; readonly room: string } | undefined): Listed[] {
    this.#expire();
    const { kind = "", room = "" } = after ?? {};
    const rows = this.ctx.storage.sql.exec(
      `SELECT kind, room, connections, members, sessions, offset, at FROM edgerooms_directory
       WHERE (kind, room) > (?, ?) ORDER BY kind, room LIMIT ?`,
      kind,
      room,
      PAGE,
    );
    return rows.toArray() as unknown as Listed[];
  }

  /** What there is and what was counted, by kind; the Worker's own under no kind. */
  totals(): Record<string, KindTotals> {
    this.#expire();
    const { sql } = this.ctx.storage;
    const found: Record<string, KindTotals> = {};
    for (const { kind, counts } of sql.exec("SELECT kind, counts FROM edgerooms_past")) {
      add(found, kind as string, { ...NOTHING, counts: JSON.parse(counts as string) as Counts });
    }
    for (const row of sql.exec("SELECT kind, connections, members, sessions, counts FROM edgerooms_directory")) {
      add(found, row["kind"] as string, {
        rooms: 1,
        connections: row["connections"] as number,
        members: row["members"] as number,
        sessions: row["sessions"] as number,
        counts: JSON.parse(row["counts"] as string) as Counts,
      });
    }
    return found;
  }

  /** The newest failures that were told here, newest first within grave and not. */
  failures(): FailureRecord[] {
    const rows = this.ctx.storage.sql.exec("SELECT note FROM edgerooms_notes ORDER BY nth DESC");
    return [...rows].map((row) => JSON.parse(row["note"] as string) as FailureRecord);
  }

  /** Who has been silent for that long was lost in a crash and never woke again; what it counted stays. */
  #expire(): void {
    const { sql } = this.ctx.storage;
    const gone = sql.exec("SELECT kind, room, counts FROM edgerooms_directory WHERE until < ?", Date.now()).toArray();
    for (const { kind, room, counts } of gone) {
      sql.exec("DELETE FROM edgerooms_directory WHERE kind = ? AND room = ?", kind, room);
      this.#keep(kind as string, JSON.parse(counts as string) as Counts);
    }
  }

  #keep(kind: string, counts: Counts): void {
    if (Object.keys(counts).length === 0) return;
    const { sql } = this.ctx.storage;
    const total = sum(countsIn(sql.exec("SELECT counts FROM edgerooms_past WHERE kind = ?", kind)), counts);
    sql.exec("INSERT OR REPLACE INTO edgerooms_past (kind, counts) VALUES (?, ?)", kind, JSON.stringify(total));
  }

  #note(notes: readonly FailureRecord[]): void {
    const { sql } = this.ctx.storage;
    for (const note of notes) {
      // Two rings: what clients do wrong must not push out what is grave.
      const first = isGrave(note) ? 0 : MAX_NOTES;
      const { last } = sql
        .exec<{
          last: number;
        }>(
          "SELECT coalesce(max(nth), 0) AS last FROM edgerooms_notes WHERE slot BETWEEN ? AND ?",
          first,
          first + MAX_NOTES - 1,
        )
        .one();
      const nth = last + 1;
      const slot = first + (nth % MAX_NOTES);
      sql.exec(
        "INSERT OR REPLACE INTO edgerooms_notes (slot, nth, note) VALUES (?, ?, ?)",
        slot,
        nth,
        JSON.stringify(note),
      );
    }
  }
}

/** The counts of a row, or none where there is no row. */
function countsIn(rows: SqlStorageCursor<Record<string, SqlStorageValue>>): Counts {
  const [row] = rows.toArray();
  return row ? (JSON.parse(row["counts"] as string) as Counts) : {};
}

const NOTHING: KindTotals = { rooms: 0, connections: 0, members: 0, sessions: 0, counts: {} };

/** Adds what there is of a kind to what was found of it so far. */
function add(found: Record<string, KindTotals>, kind: string, more: KindTotals): void {
  const { rooms, connections, members, sessions, counts } = found[kind] ?? NOTHING;
  found[kind] = {
    rooms: rooms + more.rooms,
    connections: connections + more.connections,
    members: members + more.members,
    sessions: sessions + more.sessions,
    counts: sum(counts, more.counts),
  };
}

/** Where a list goes on: a part of the directory, and the last room of the page before. */
const CURSOR = /^(\d{1,2})(?::([^/]+)\/(.+))?$/;

/**
 * One page of all live rooms.
 *
 * @param cursor what the page before said; absent for the first
 * @returns `undefined` when the cursor is none of ours; `next` is absent on the last page
 */
export async function listRooms(
  directory: DurableObjectNamespace<Directory>,
  cursor = "0",
): Promise<{ rooms: Listed[]; next?: string } | undefined> {
  const [whole, digits, kind, room] = CURSOR.exec(cursor) ?? [];
  const shard = Number(digits);
  if (whole === undefined || shard >= DIRECTORY_SHARDS) return undefined;
  const after = kind !== undefined && room !== undefined ? { kind, room } : undefined;
  const rooms = await directory.getByName(String(shard)).list(after);
  const last = rooms.length === PAGE ? rooms.at(-1) : undefined;
  if (last) return { rooms, next: `${shard}:${last.kind}/${last.room}` };
  return shard + 1 < DIRECTORY_SHARDS ? { rooms, next: String(shard + 1) } : { rooms };
}

/** Hands over what this isolate counted. Any part will do; each isolate has its own, so that none is hot. */
export async function tellCounts(
  directory: DurableObjectNamespace<Directory>,
  counts: Counts,
  notes: readonly FailureRecord[],
): Promise<void> {
  mine ??= String(Math.floor(Math.random() * DIRECTORY_SHARDS));
  await directory.getByName(mine).count(counts, notes);
}

let mine: string | undefined;

/** What every part of the directory has counted, together. */
export async function allTotals(directory: DurableObjectNamespace<Directory>): Promise<Record<string, KindTotals>> {
  const together: Record<string, KindTotals> = {};
  for (const totals of await Promise.all(parts(directory).map(async (part) => part.totals()))) {
    for (const [kind, more] of Object.entries(totals)) add(together, kind, more);
  }
  return together;
}

/** The newest failures of all parts, newest first, at most a hundred: grave ones have half of the places for sure. */
export async function allFailures(directory: DurableObjectNamespace<Directory>): Promise<FailureRecord[]> {
  const found = await Promise.all(parts(directory).map(async (part) => part.failures()));
  const newest = found.flat().toSorted((a, b) => b.at - a.at);
  const grave = newest.filter(isGrave).slice(0, MAX_GRAVE);
  const others = newest.filter((note) => !grave.includes(note)).slice(0, MAX_NOTES - grave.length);
  return [...grave, ...others].toSorted((a, b) => b.at - a.at);
}

function parts(directory: DurableObjectNamespace<Directory>): DurableObjectStub<Directory>[] {
  return Array.from({ length: DIRECTORY_SHARDS }, (_, shard) => directory.getByName(String(shard)));
}
