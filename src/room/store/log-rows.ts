/**
 * Where the rows of a log are kept: in the table edgerooms_log, which this file owns, or in memory, where the log is a copy of
 * one that another object keeps. Knows what is in a row, and nothing of how a log grows.
 */
import type { RefTable } from "./refs.ts";
import type { Segment } from "./segments.ts";

/** A segment, and when its newest publication was stored, in ms since the epoch. */
export interface LogRow extends Segment {
  readonly at: number;
}

/** Where a log begins that has no rows: its newest offset, and the bytes of everything up to there. */
export interface LogBase {
  readonly offset: number;
  readonly total: number;
}

/** The rows of one log. */
export interface LogRows {
  /** Where the log is when there are no rows. */
  readonly base: LogBase;
  /** Every row without its items, oldest first. */
  load(): LogRow[];
  /** Writes a row over the one that has its slot. `items`: as JSON, joined by commas. */
  put(row: LogRow, items: string): void;
  delete(slot: number): void;
  items(slot: number): string;
  /** Forgets every row, and begins anew. */
  clear(base: LogBase): void;
}

/** Rows in storage. */
export class StoredRows implements LogRows {
  readonly base: LogBase = { offset: 0, total: 0 };
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  load(): LogRow[] {
    const rows = this.#sql.exec(
      "SELECT slot, first, last, at, bytes, total, addressed, refs FROM edgerooms_log ORDER BY first",
    );
    return rows.toArray().map((row) => ({
      slot: row["slot"] as number,
      first: row["first"] as number,
      last: row["last"] as number,
      at: row["at"] as number,
      bytes: row["bytes"] as number,
      total: row["total"] as number,
      addressed: row["addressed"] === 1,
      refs: JSON.parse(row["refs"] as string) as RefTable,
    }));
  }

  put({ slot, first, last, at, bytes, total, addressed, refs }: LogRow, items: string): void {
    this.#sql.exec(
      `INSERT OR REPLACE INTO edgerooms_log (slot, first, last, at, bytes, total, addressed, refs, items)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      slot,
      first,
      last,
      at,
      bytes,
      total,
      addressed ? 1 : 0,
      JSON.stringify(refs),
      items,
    );
  }

  delete(slot: number): void {
    this.#sql.exec("DELETE FROM edgerooms_log WHERE slot = ?", slot);
  }

  items(slot: number): string {
    return this.#sql.exec("SELECT items FROM edgerooms_log WHERE slot = ?", slot).one()["items"] as string;
  }

  clear(): never {
    throw new Error("what a room has stored is the truth: only a copy begins anew");
  }
}

/** Rows in memory. They outlive the log that is made of them: what a transaction has undone is taken out by {@link rewind}. */
export class MemoryRows implements LogRows {
  #base: LogBase = { offset: 0, total: 0 };
  readonly #rows = new Map<number, { readonly row: LogRow; readonly items: string }>();

  get base(): LogBase {
    return this.#base;
  }

  load(): LogRow[] {
    return [...this.#rows.values()].map(({ row }) => row).toSorted((a, b) => a.first - b.first);
  }

  put(row: LogRow, items: string): void {
    this.#rows.set(row.slot, { row, items });
  }

  delete(slot: number): void {
    this.#rows.delete(slot);
  }

  items(slot: number): string {
    return this.#rows.get(slot)?.items ?? "";
  }

  clear(base: LogBase): void {
    this.#rows.clear();
    this.#base = base;
  }

  /** Takes out what came after a base: it was written in a transaction that was undone. */
  rewind(base: LogBase): void {
    for (const [slot, { row }] of this.#rows) if (row.last > base.offset) this.#rows.delete(slot);
    this.#base = base;
  }
}
