/**
 * Which rooms are live. Sharded Durable Objects that rooms report to: with the first connection, after the last, and
 * now and then with a heartbeat. Eventually consistent, and never in the path of an upgrade.
 */
import { DurableObject } from "cloudflare:workers";
import { DIRECTORY_SHARDS, type Listing } from "../room/listing.ts";

/** A live room and when it last said so, in ms since the epoch. */
export interface Listed extends Omit<Listing, "ttl"> {
  readonly at: number;
}

/** Rooms of one page of a list, at most. */
const PAGE = 500;

/** One part of the directory. Bind it as `EDGEROOMS_DIRECTORY`; rooms and `createApp` find it by that name. */
export class Directory<Env = unknown> extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.sql.exec(`CREATE TABLE IF NOT EXISTS edgerooms_directory (
      kind TEXT, room TEXT, connections INTEGER NOT NULL, members INTEGER NOT NULL, offset INTEGER NOT NULL,
      at INTEGER NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (kind, room)) WITHOUT ROWID`);
  }

  /** A room tells how it is; one without connections is not live. Writes one row. */
  update({ kind, room, connections, members, offset, ttl }: Listing): void {
    const { sql } = this.ctx.storage;
    const now = Date.now();
    if (connections === 0) sql.exec("DELETE FROM edgerooms_directory WHERE kind = ? AND room = ?", kind, room);
    else {
      sql.exec(
        `INSERT OR REPLACE INTO edgerooms_directory (kind, room, connections, members, offset, at, until)
         VALUES (?, ?, ?, ?, ?, ?, ?)`,
        kind,
        room,
        connections,
        members,
        offset,
        now,
        now + ttl,
      );
    }
  }

  /** A page of live rooms, ordered by kind and name, after the given one. */
  list(after: { readonly kind: string; readonly room: string } | undefined): Listed[] {
    const { sql } = this.ctx.storage;
    // Who has been silent for that long was lost in a crash and never woke again.
    sql.exec("DELETE FROM edgerooms_directory WHERE until < ?", Date.now());
    const { kind = "", room = "" } = after ?? {};
    const rows = sql.exec(
      `SELECT kind, room, connections, members, offset, at FROM edgerooms_directory
       WHERE (kind, room) > (?, ?) ORDER BY kind, room LIMIT ?`,
      kind,
      room,
      PAGE,
    );
    return rows.toArray() as unknown as Listed[];
  }
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
