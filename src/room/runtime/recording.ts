/**
 * A tick that failed, as data: what the room was, and what was to happen. A test replays it on plain SQLite. It holds what
 * users said, so it is written nowhere unless the deployer asks for it.
 */
import type { TickInput } from "../core/tick.ts";
import type { Pointer } from "../rules/connection.ts";
import { messageOf } from "../telemetry/failure.ts";
import type { Platform } from "./platform.ts";

/** UTF-16 units of rows that a recording holds, at most; a larger room is recorded without its rows. */
const MAX_LENGTH = 4_194_304;

/** What a table held. */
export interface Table {
  readonly name: string;
  /** How the table is created. */
  readonly sql: string;
  readonly rows: readonly Readonly<Record<string, SqlStorageValue>>[];
}

/** One failed tick. JSON can carry it, but for deferred work of hooks. */
export class Recording {
  readonly room: string;
  readonly input: TickInput;
  /** What the room's sockets remembered. */
  readonly pointers: readonly Pointer[];
  /** The room's own tables before the tick; `undefined` when they are too large. */
  readonly tables: readonly Table[] | undefined;
  readonly error: string;

  private constructor(room: string, input: TickInput, facts: Pick<Recording, "pointers" | "tables" | "error">) {
    this.room = room;
    this.input = input;
    this.pointers = facts.pointers;
    this.tables = facts.tables;
    this.error = facts.error;
  }

  /** What was to happen, and to what. The transaction has been undone: storage is as it was before. */
  static of({ name, storage, sockets }: Platform, input: TickInput, error: unknown): Recording {
    const pointers = sockets.all().flatMap((socket) => {
      const attachment = socket.deserializeAttachment() as (Pointer & { bye?: unknown; carried?: unknown }) | null;
      if (!attachment || attachment.bye) return [];
      const { carried: _, ...pointer } = attachment;
      return [pointer];
    });
    return new Recording(name, input, { pointers, tables: tablesOf(storage.sql), error: messageOf(error) });
  }
}

/** The tables of the room, those of users left out. */
function tablesOf(sql: SqlStorage): Table[] | undefined {
  const tables: Table[] = [];
  let length = 0;
  const found = sql.exec<{ name: string; sql: string }>(
    "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name LIKE 'edgerooms\\_%' ESCAPE '\\' ORDER BY name",
  );
  for (const { name, sql: create } of found.toArray()) {
    const rows: Record<string, SqlStorageValue>[] = [];
    for (const row of sql.exec(`SELECT * FROM ${name}`)) {
      length += JSON.stringify(row).length;
      if (length > MAX_LENGTH) return undefined;
      rows.push(row);
    }
    tables.push({ name, sql: create, rows });
  }
  return tables;
}
