/**
 * One part of the directory: which rooms are live, what was counted in them, and the newest failures. Rooms report to their
 * part with the first connection, after the last, and now and then with a heartbeat; the Worker's isolates report too.
 * Eventually consistent, and never in the path of an upgrade. All parts together are shards.ts.
 */
import { DurableObject } from "cloudflare:workers";
import type { LiveRoom } from "../protocol/api.ts";
import { codes } from "../protocol/codes.ts";
import { isGrave, type FailureRecord } from "../room/telemetry/failure.ts";
import type { Listing } from "../room/telemetry/listing.ts";
import { sum, type Counts } from "../room/telemetry/counts.ts";
import type { KindTotals } from "./metrics.ts";

/** What a room reports. A room of an older version reports the listing only. */
export type Report = Omit<Listing, "sessions"> & {
  readonly sessions?: number;
  readonly counts?: Counts;
  /** Failures since its last report. */
  readonly notes?: readonly FailureRecord[];
  /** What its isolate counted, whatever room it was for. */
  readonly own?: Counts;
};

/** Rooms of one page of a list, at most. */
export const PAGE = 500;
/** Failures that one part remembers of those that are grave, and as many of those that are not. */
export const MAX_FAILURES = 100;

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

  /** Takes a room's report. A room without connections is not live. Writes one to three rows, and one for each failure. */
  update(report: Report): void {
    const {
      kind,
      room,
      connections,
      members,
      sessions = 0,
      offset,
      ttl,
      counts = {},
      notes: failures = [],
      own = {},
    } = report;
    const { sql } = this.ctx.storage;
    this.#remember(failures);
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

  /** Takes what an isolate of the Worker counted. Writes one row, and one for each failure. */
  count(counts: Counts, failures: readonly FailureRecord[]): void {
    this.#remember(failures);
    this.#keep("", counts);
  }

  /** A page of live rooms, ordered by kind and name in Unicode order, after the given one. */
  list(after: { readonly kind: string; readonly room: string } | undefined): LiveRoom[] {
    this.#expire();
    const { kind = "", room = "" } = after ?? {};
    const rows = this.ctx.storage.sql.exec(
      `SELECT kind, room, connections, members, sessions, offset, at FROM edgerooms_directory
       WHERE (kind, room) > (?, ?) ORDER BY kind, room LIMIT ?`,
      kind,
      room,
      PAGE,
    );
    return rows.toArray() as unknown as LiveRoom[];
  }

  /** What there is and what was counted, by kind; what the Worker counted is under the kind "". */
  totals(): Record<string, KindTotals> {
    this.#expire();
    const { sql } = this.ctx.storage;
    const found: Record<string, KindTotals> = {};
    for (const { kind, counts } of sql.exec("SELECT kind, counts FROM edgerooms_past")) {
      addTotals(found, kind as string, { ...NOTHING, counts: JSON.parse(counts as string) as Counts });
    }
    for (const row of sql.exec("SELECT kind, connections, members, sessions, counts FROM edgerooms_directory")) {
      addTotals(found, row["kind"] as string, {
        rooms: 1,
        connections: row["connections"] as number,
        members: row["members"] as number,
        sessions: row["sessions"] as number,
        counts: JSON.parse(row["counts"] as string) as Counts,
      });
    }
    return found;
  }

  /** The newest failures that were reported here, newest first within grave ones and others. */
  failures(): FailureRecord[] {
    const rows = this.ctx.storage.sql.exec("SELECT note FROM edgerooms_notes ORDER BY nth DESC");
    return [...rows].flatMap((row) => readRecord(row["note"] as string) ?? []);
  }

  /** A room that is silent for that long was lost in a crash and never woke again. What it counted stays. */
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

  #remember(failures: readonly FailureRecord[]): void {
    const { sql } = this.ctx.storage;
    for (const failure of failures) {
      // Two rings: failures that clients cause must not push out grave ones.
      const first = isGrave(failure) ? 0 : MAX_FAILURES;
      const { last } = sql
        .exec<{ last: number }>(
          "SELECT coalesce(max(nth), 0) AS last FROM edgerooms_notes WHERE slot BETWEEN ? AND ?",
          first,
          first + MAX_FAILURES - 1,
        )
        .one();
      const nth = last + 1;
      sql.exec(
        "INSERT OR REPLACE INTO edgerooms_notes (slot, nth, note) VALUES (?, ?, ?)",
        first + (nth % MAX_FAILURES),
        nth,
        JSON.stringify(failure),
      );
    }
  }
}

/** A failure as it was stored. Before 0.1.0 `source` was `where`; a code of a later version has no severity here. */
function readRecord(text: string): FailureRecord | undefined {
  const { where, ...record } = JSON.parse(text) as FailureRecord & { readonly where?: string };
  if (!Object.hasOwn(codes, record.code)) return undefined;
  return { ...record, source: record.source ?? where ?? "" };
}

/** The counts of a row, or none where there is no row. */
function countsIn(rows: SqlStorageCursor<Record<string, SqlStorageValue>>): Counts {
  const [row] = rows.toArray();
  return row ? (JSON.parse(row["counts"] as string) as Counts) : {};
}

const NOTHING: KindTotals = { rooms: 0, connections: 0, members: 0, sessions: 0, counts: {} };

/** Adds what there is of a kind to what was found of it so far. */
export function addTotals(found: Record<string, KindTotals>, kind: string, more: KindTotals): void {
  const { rooms, connections, members, sessions, counts } = found[kind] ?? NOTHING;
  found[kind] = {
    rooms: rooms + more.rooms,
    connections: connections + more.connections,
    members: members + more.members,
    sessions: sessions + more.sessions,
    counts: sum(counts, more.counts),
  };
}
