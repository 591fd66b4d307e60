/**
 * One part of the directory: which rooms are live, which have undelivered events, and what was counted in them. Rooms report
 * to their part with the first connection, after the last, and now and then with a heartbeat; the Worker's isolates report
 * too. Eventually consistent, and never in the path of an upgrade. All parts together are shards.ts.
 */
import { DurableObject } from "cloudflare:workers";
import type { LiveRoom } from "../protocol/api.ts";
import { matches } from "../protocol/patterns.ts";
import { sum, type Counts } from "../room/telemetry/counts.ts";
import type { FailureRecord } from "../room/telemetry/failure.ts";
import type { Listing } from "../room/telemetry/listing.ts";
import { Records, type Recorded } from "./records.ts";
import { Running, type Share } from "./running.ts";
import { addTotals, type KindTotals } from "./totals.ts";

/** What a room reports. A room of an older version reports the listing only, and of that a part. */
export type Report = Omit<Listing, "sessions" | "undelivered"> & {
  readonly sessions?: number;
  readonly undelivered?: Listing["undelivered"];
  readonly counts?: Counts;
  /** Failures since its last report. */
  readonly notes?: readonly FailureRecord[];
  /** What its isolate counted, whatever room it was for. */
  readonly own?: Counts;
};

/** What a relay reports. Its room reports how the room is: a relay has no place in a list. */
export interface RelayReport {
  readonly kind: string;
  readonly counts: Counts;
  readonly failures: readonly FailureRecord[];
  readonly own: Counts;
}

/** Which rooms of a part somebody wants. */
export interface Wanted {
  /** Only those after this mark of a page before. */
  readonly after?: string | undefined;
  /** Patterns of `kind/room`: only rooms that one of them matches. Absent: all rooms. */
  readonly patterns?: readonly string[] | undefined;
  /** Rooms with undelivered events instead of live ones. */
  readonly dead?: boolean | undefined;
  /** How many. Default and most: {@link PAGE}. */
  readonly limit?: number | undefined;
}

/** Some rooms, in no order that says anything. May be none though there are more. */
export interface Listed {
  readonly rooms: readonly LiveRoom[];
  /** The mark of the last that was looked at, when there may be more. */
  readonly after?: string;
}

/** Rooms of one page of a list, at most. */
export const PAGE = 500;
/** Rows that one call looks at, at most: rooms of this part report meanwhile, and must not wait long. */
export const MAX_ROWS = 5_000;
/** And characters of patterns that these rows are compared with, together: a token can have hundreds of patterns. */
const MAX_COMPARED = 500_000;

/** One part of the directory. Bind it as `EDGEROOMS_DIRECTORY`; rooms and `createApp` find it by that name. */
export class Directory<Env = unknown> extends DurableObject<Env> {
  readonly #records: Records;
  readonly #running = new Running();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const { sql } = ctx.storage;
    sql.exec(`
      CREATE TABLE IF NOT EXISTS edgerooms_directory (
        kind TEXT, room TEXT, connections INTEGER NOT NULL, members INTEGER NOT NULL, offset INTEGER NOT NULL,
        at INTEGER NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (kind, room)) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS edgerooms_past (kind TEXT PRIMARY KEY, counts TEXT NOT NULL) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS edgerooms_undelivered (
        kind TEXT, room TEXT, dead INTEGER NOT NULL, pending INTEGER NOT NULL, offset INTEGER NOT NULL,
        at INTEGER NOT NULL, mark TEXT NOT NULL, PRIMARY KEY (kind, room)) WITHOUT ROWID;
      CREATE UNIQUE INDEX IF NOT EXISTS edgerooms_undelivered_mark ON edgerooms_undelivered (mark);`);
    const table = sql.exec<{ sql: string }>("SELECT sql FROM sqlite_master WHERE name = 'edgerooms_directory'").one();
    // The first version only had what a list needs.
    if (!table.sql.includes("counts")) {
      sql.exec(`
        ALTER TABLE edgerooms_directory ADD COLUMN sessions INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE edgerooms_directory ADD COLUMN counts TEXT NOT NULL DEFAULT '{}';`);
    }
    // A list goes on after a mark, which is random: a name could be that of a room that the caller must not know of.
    if (!table.sql.includes("mark")) {
      sql.exec(`
        ALTER TABLE edgerooms_directory ADD COLUMN mark TEXT;
        CREATE UNIQUE INDEX edgerooms_directory_mark ON edgerooms_directory (mark);`);
    }
    // Rows of before, and those that a version without marks has written since: a deploy can be taken back.
    sql.exec("UPDATE edgerooms_directory SET mark = lower(hex(randomblob(12))) WHERE mark IS NULL");
    this.#records = new Records(ctx.storage, () => Date.now());
  }

  /** Takes a room's report. A room without connections is not live. Writes one to four rows, and one for each failure. */
  update(report: Report): void {
    const { kind, counts = {}, notes: failures = [], own = {} } = report;
    this.#records.add(failures);
    this.#adding(() => {
      this.#keep("", own);
      this.#running.counted("", own);
      this.#keepUndelivered(report);
      this.#keepListed(report, counts);
      this.#running.counted(kind, counts);
    });
  }

  /** Takes what an isolate of the Worker counted. Writes one row, and one for each failure. */
  count(counts: Counts, failures: readonly FailureRecord[]): void {
    this.#records.add(failures);
    this.#adding(() => {
      this.#keep("", counts);
      this.#running.counted("", counts);
    });
  }

  /** Takes what a relay counted for its room's kind. Writes one or two rows, and one for each failure. */
  add({ kind, counts, failures, own }: RelayReport): void {
    this.#records.add(failures);
    this.#adding(() => {
      for (const [of, more] of [["", own] as const, [kind, counts] as const]) {
        this.#keep(of, more);
        this.#running.counted(of, more);
      }
    });
  }

  /**
   * A page of rooms. Rooms that the caller may not see are left out here: nothing of them leaves the directory, not even
   * how many they are.
   */
  list(wanted: Wanted = {}): Listed {
    const { patterns, dead = false } = wanted;
    let { after = "" } = wanted;
    this.#expire();
    const limit = Math.min(wanted.limit ?? PAGE, PAGE);
    const rooms: LiveRoom[] = [];
    for (let left = rowsFor(patterns); left > 0;) {
      const asked = Math.min(left, PAGE);
      // Read to its end: a cursor that is left halfway keeps its span open.
      const rows = this.ctx.storage.sql.exec<Row>(dead ? UNDELIVERED : LIVE, after, asked).toArray();
      for (const row of rows) {
        after = row.mark;
        if (patterns && !patterns.some((pattern) => matches(pattern, `${row.kind}/${row.room}`))) continue;
        rooms.push(roomOf(row));
        if (rooms.length === limit) return { rooms, after };
      }
      if (rows.length < asked) return { rooms };
      left -= asked;
    }
    return { rooms, after };
  }

  /**
   * What there is and what was counted, by kind; what the Worker counted is under the kind "". Reads all rows once after
   * the object was loaded, and else none, unless a room may have been lost.
   */
  totals(): Record<string, KindTotals> {
    if (this.#running.isUnknown) this.#running.load(this.#added());
    this.#expire();
    return this.#running.totals;
  }

  /** The newest failures and ends of connections that were reported here, each newest first. */
  failures(): Recorded {
    return this.#records.read();
  }

  /** Records have had their time. */
  override async alarm(): Promise<void> {
    this.#expire();
    await this.#records.expire();
  }

  /** Changes rows and the totals with them. When it fails halfway, storage says what there is. */
  #adding(change: () => void): void {
    try {
      change();
    } catch (error) {
      this.#running.forget();
      throw error;
    }
  }

  #keepListed({ kind, room, connections, members, sessions = 0, offset, ttl }: Report, counts: Counts): void {
    const { sql } = this.ctx.storage;
    const [known] = sql
      .exec<Share & { counts: string }>(
        "SELECT connections, members, sessions, counts FROM edgerooms_directory WHERE kind = ? AND room = ?",
        kind,
        room,
      )
      .toArray();
    const total = sum(known ? countsIn(known.counts) : {}, counts);
    this.#running.changed(kind, known, connections === 0 ? undefined : { connections, members, sessions });
    if (connections === 0) {
      sql.exec("DELETE FROM edgerooms_directory WHERE kind = ? AND room = ?", kind, room);
      this.#keep(kind, total);
      return;
    }
    const now = Date.now();
    this.#running.endsAt(now + ttl);
    sql.exec(
      `INSERT INTO edgerooms_directory (kind, room, connections, members, sessions, offset, at, until, counts, mark)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, lower(hex(randomblob(12))))
       ON CONFLICT DO UPDATE SET connections = excluded.connections, members = excluded.members,
         sessions = excluded.sessions, offset = excluded.offset, at = excluded.at, until = excluded.until,
         counts = excluded.counts, mark = coalesce(mark, excluded.mark)`,
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

  #keepUndelivered({ kind, room, offset, undelivered }: Report): void {
    // Before the first request through the Worker nobody knows the kind; the room reports again when it does.
    if (!undelivered || kind === "") return;
    const { dead, pending } = undelivered;
    const { sql } = this.ctx.storage;
    const [known] = sql
      .exec<{ dead: number }>("SELECT dead FROM edgerooms_undelivered WHERE kind = ? AND room = ?", kind, room)
      .toArray();
    this.#running.undelivered(kind, known?.dead, dead + pending === 0 ? undefined : dead);
    if (dead + pending === 0) sql.exec("DELETE FROM edgerooms_undelivered WHERE kind = ? AND room = ?", kind, room);
    else {
      sql.exec(
        `INSERT INTO edgerooms_undelivered (kind, room, dead, pending, offset, at, mark)
         VALUES (?, ?, ?, ?, ?, ?, lower(hex(randomblob(12))))
         ON CONFLICT DO UPDATE SET dead = excluded.dead, pending = excluded.pending, offset = excluded.offset,
           at = excluded.at`,
        kind,
        room,
        dead,
        pending,
        offset,
        Date.now(),
      );
    }
  }

  /** Adds up what storage has. */
  #added(): Record<string, KindTotals> {
    const { sql } = this.ctx.storage;
    const found: Record<string, KindTotals> = {};
    for (const { kind, counts } of sql.exec<Past>("SELECT kind, counts FROM edgerooms_past")) {
      addTotals(found, kind, { counts: countsIn(counts) });
    }
    const live = "SELECT kind, connections, members, sessions, counts FROM edgerooms_directory";
    for (const { kind, counts, ...share } of sql.exec<Share & Past>(live)) {
      addTotals(found, kind, { ...share, rooms: 1, counts: countsIn(counts) });
    }
    const undelivered = "SELECT kind, count(*) AS rooms, sum(dead) AS dead FROM edgerooms_undelivered GROUP BY kind";
    for (const { kind, rooms, dead } of sql.exec<{ kind: string; rooms: number; dead: number }>(undelivered)) {
      addTotals(found, kind, { undelivered_rooms: rooms, dead_letters: dead });
    }
    return found;
  }

  /** A room that is silent for that long was lost in a crash and never woke again. What it counted stays. */
  #expire(): void {
    const now = Date.now();
    if (!this.#running.mayHaveEnded(now)) return;
    const { sql } = this.ctx.storage;
    this.#adding(() => {
      const lost = "SELECT kind, room, connections, members, sessions, counts FROM edgerooms_directory WHERE until < ?";
      for (const { kind, room, counts, ...share } of sql.exec<Share & Past & { room: string }>(lost, now).toArray()) {
        sql.exec("DELETE FROM edgerooms_directory WHERE kind = ? AND room = ?", kind, room);
        this.#keep(kind, countsIn(counts));
        this.#running.changed(kind, share, undefined);
      }
      const { first } = sql.exec<{ first: number | null }>("SELECT min(until) AS first FROM edgerooms_directory").one();
      this.#running.searched(now, first ?? undefined);
    });
  }

  #keep(kind: string, counts: Counts): void {
    if (Object.keys(counts).length === 0) return;
    const { sql } = this.ctx.storage;
    const [known] = sql.exec<Past>("SELECT kind, counts FROM edgerooms_past WHERE kind = ?", kind).toArray();
    const total = sum(known ? countsIn(known.counts) : {}, counts);
    sql.exec("INSERT OR REPLACE INTO edgerooms_past (kind, counts) VALUES (?, ?)", kind, JSON.stringify(total));
  }
}

/** Counts of a kind, as they are stored. */
type Past = { kind: string; counts: string };

const LIVE = `
  SELECT d.kind AS kind, d.room AS room, connections, members, sessions, d.offset AS offset, d.at AS at, dead, pending,
    d.mark AS mark
  FROM edgerooms_directory d LEFT JOIN edgerooms_undelivered u ON u.kind = d.kind AND u.room = d.room
  WHERE d.mark > ? ORDER BY d.mark LIMIT ?`;
const UNDELIVERED = `
  SELECT u.kind AS kind, u.room AS room, connections, members, sessions, coalesce(d.offset, u.offset) AS offset,
    coalesce(d.at, u.at) AS at, dead, pending, u.mark AS mark
  FROM edgerooms_undelivered u LEFT JOIN edgerooms_directory d ON u.kind = d.kind AND u.room = d.room
  WHERE u.mark > ? ORDER BY u.mark LIMIT ?`;

/** A row of either list; what the other table knows of the room is `null` where it is not there. */
type Row = {
  [Column in "connections" | "members" | "sessions" | "dead" | "pending"]: number | null;
} & { kind: string; room: string; offset: number; at: number; mark: string };

function roomOf({ kind, room, connections, members, sessions, offset, at, dead, pending }: Row): LiveRoom {
  return {
    kind,
    room,
    connections: connections ?? 0,
    members: members ?? 0,
    sessions: sessions ?? 0,
    offset,
    at,
    ...(dead !== null && dead > 0 && { dead }),
    ...(pending !== null && pending > 0 && { pending }),
  };
}

/** How many rows one call looks at. At least one: a list has to come to its end. */
function rowsFor(patterns: readonly string[] = []): number {
  const length = patterns.reduce((before, pattern) => before + pattern.length, 0);
  return Math.max(1, Math.min(MAX_ROWS, Math.floor(MAX_COMPARED / Math.max(1, length))));
}

function countsIn(text: string): Counts {
  return JSON.parse(text) as Counts;
}
