/**
 * A tick that failed, as data: what the room was, and what was to happen. `test/support/replayed.ts` of the repository plays
 * it again on plain SQLite. It holds what users said, so it is written nowhere unless the deployer asks for it.
 *
 * Not in it: tables of users, `env`, deferred work and what follows on it, due things held back after a failure, and when the
 * last heartbeat was sent. A hook that reads one of these may go another way in a replay.
 */
import type { TickInput } from "../core/tick.ts";
import type { Pointer } from "../rules/connection.ts";
import { messageOf } from "../telemetry/failure.ts";
import type { Platform } from "./platform.ts";

/**
 * UTF-16 units of rows that the recordings of one batch hold together, at most: when 512 events fail one after the other, the
 * room must not be copied 512 times. What does not fit is recorded without rows.
 */
export const MAX_RECORDED = 4_194_304;

/** UTF-16 units of rows that the recordings of a batch may still hold. */
export interface RowBudget {
  left: number;
}

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
  /** The room's own tables before the tick; `undefined` when they are too large, alone or with those of its batch. */
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
  static of({ name, storage, sockets }: Platform, input: TickInput, error: unknown, budget: RowBudget): Recording {
    const pointers = sockets.all().flatMap((socket) => {
      const attachment = socket.deserializeAttachment() as (Pointer & { bye?: unknown; carried?: unknown }) | null;
      if (!attachment || attachment.bye) return [];
      const { carried: _, ...pointer } = attachment;
      return [pointer];
    });
    return new Recording(name, input, { pointers, tables: tablesOf(storage.sql, budget), error: messageOf(error) });
  }
}

/** The tables of the room, those of users left out, as far as the batch may still copy them. */
function tablesOf(sql: SqlStorage, budget: RowBudget): Table[] | undefined {
  // What did not fit once is not read again for the next failure, to be thrown away again.
  if (budget.left <= 0) return undefined;
  const tables: Table[] = [];
  const found = sql.exec<{ name: string; sql: string }>(
    "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name LIKE 'edgerooms\\_%' ESCAPE '\\' ORDER BY name",
  );
  for (const { name, sql: create } of found.toArray()) {
    const rows: Record<string, SqlStorageValue>[] = [];
    for (const row of sql.exec(`SELECT * FROM ${name}`)) {
      budget.left -= JSON.stringify(row).length;
      if (budget.left < 0) return undefined;
      rows.push(row);
    }
    tables.push({ name, sql: create, rows });
  }
  return tables;
}
