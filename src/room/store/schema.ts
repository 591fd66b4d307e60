/**
 * The room's tables and their migrations. Storage written by an older version is brought up step by step; storage written
 * by a newer one is refused, because guessing would lose data.
 */

import { UnreadableStorage } from "../telemetry/failure.ts";
import { factOf } from "./meta.ts";

/** Version of the tables below. Raise it together with a new entry in {@link migrations}. */
export const SCHEMA_VERSION = 4;

/** migrations[n] brings storage from version n to n + 1. Never edit one that was released. */
const migrations: readonly ((sql: SqlStorage) => void)[] = [
  (sql) => {
    // Every table is WITHOUT ROWID or has an INTEGER PRIMARY KEY: then one change is one row written on the bill.
    sql.exec(`
      CREATE TABLE edgerooms_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
      CREATE TABLE edgerooms_sessions (
        id TEXT PRIMARY KEY, user TEXT NOT NULL, name TEXT, grants TEXT NOT NULL, request_id TEXT NOT NULL,
        generation INTEGER NOT NULL, connected_at INTEGER NOT NULL, dropped_at INTEGER,
        present INTEGER NOT NULL, expires INTEGER NOT NULL, data TEXT, data_at INTEGER NOT NULL
      ) WITHOUT ROWID;
      CREATE TABLE edgerooms_log (
        slot INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, at INTEGER NOT NULL,
        bytes INTEGER NOT NULL, addressed INTEGER NOT NULL, items TEXT NOT NULL, refs TEXT NOT NULL
      );
      CREATE TABLE edgerooms_refs (session TEXT PRIMARY KEY, refs TEXT NOT NULL) WITHOUT ROWID;
      CREATE TABLE edgerooms_jobs (
        name TEXT PRIMARY KEY, due INTEGER NOT NULL, tries INTEGER NOT NULL, data TEXT NOT NULL
      ) WITHOUT ROWID;
      CREATE TABLE edgerooms_revoked (user TEXT PRIMARY KEY, before INTEGER NOT NULL) WITHOUT ROWID;
    `);
  },
  // From one epoch for ever to a list of them.
  (sql) => {
    sql.exec(`
      INSERT INTO edgerooms_meta (key, value) SELECT 'epochs', value || ' 0' FROM edgerooms_meta WHERE key = 'epoch';
      DELETE FROM edgerooms_meta WHERE key = 'epoch';
    `);
  },
  // Idempotency keys of publications over HTTP, and events on their way out.
  (sql) => {
    sql.exec(`
      CREATE TABLE edgerooms_keys (
        slot INTEGER PRIMARY KEY, nth INTEGER NOT NULL, name TEXT NOT NULL, offset INTEGER NOT NULL,
        at INTEGER NOT NULL, digest TEXT NOT NULL
      );
      CREATE TABLE edgerooms_outbox (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL, at INTEGER NOT NULL, tries INTEGER NOT NULL, due INTEGER NOT NULL,
        count INTEGER NOT NULL, events TEXT NOT NULL
      );
      CREATE TABLE edgerooms_dead (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL, at INTEGER NOT NULL, tries INTEGER NOT NULL, error TEXT NOT NULL,
        count INTEGER NOT NULL, events TEXT NOT NULL
      );
    `);
  },
  // `refs` before `items`: waking reads all refs, and SQLite reads a long row from its start (44 ms behind 16 MiB of items,
  // about 0 before them, measured). `total`: credit is counted in bytes that outlive the log. Refs in chunks of a queue.
  (sql) => {
    sql.exec(`
      CREATE TABLE edgerooms_log_4 (
        slot INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, at INTEGER NOT NULL,
        bytes INTEGER NOT NULL, total INTEGER NOT NULL, addressed INTEGER NOT NULL, refs TEXT NOT NULL, items TEXT NOT NULL
      );
      INSERT INTO edgerooms_log_4 (slot, first, last, at, bytes, total, addressed, refs, items)
        SELECT slot, first, last, at, bytes, sum(bytes) OVER (ORDER BY first), addressed, refs, items FROM edgerooms_log;
      DROP TABLE edgerooms_log;
      ALTER TABLE edgerooms_log_4 RENAME TO edgerooms_log;
      CREATE TABLE edgerooms_ref_chunks (slot INTEGER PRIMARY KEY, refs TEXT NOT NULL);
      INSERT INTO edgerooms_ref_chunks (slot, refs)
        SELECT row_number() OVER (ORDER BY session), json_object(session, json(refs)) FROM edgerooms_refs;
      DROP TABLE edgerooms_refs;
    `);
  },
];

/** The version of the tables in a storage; 0 for a storage that no room ever wrote to. Reads two rows at most. */
export function versionOf(sql: SqlStorage): number {
  return Number(factOf(sql, "schema") ?? 0);
}

/**
 * Makes sure that the tables exist in this version. Runs inside a transaction of its caller's.
 *
 * @param written told of rows that are billed and that SQLite does not count among the changes: those of the schema itself
 * @throws UnreadableStorage when a newer version of edgerooms wrote the storage
 */
export function migrate(sql: SqlStorage, written: (rows: number) => void = () => undefined): void {
  const found = versionOf(sql);
  if (found === SCHEMA_VERSION) return;
  if (!(found < SCHEMA_VERSION)) {
    throw new UnreadableStorage(
      `this room's storage has schema ${found}, newer than ${SCHEMA_VERSION}: deploy the newer edgerooms`,
    );
  }
  const before = changesOf(sql);
  const metered = new MeteredSql(sql);
  for (const migration of migrations.slice(found)) migration(metered);
  written(Math.max(0, metered.rowsWritten - (changesOf(sql) - before)));
  sql.exec("INSERT OR REPLACE INTO edgerooms_meta (key, value) VALUES ('schema', ?)", String(SCHEMA_VERSION));
}

function changesOf(sql: SqlStorage): number {
  return sql.exec<{ n: number }>("SELECT total_changes() AS n").one().n;
}

/** Runs statements one by one: a cursor says what the last one of a text wrote, not what all of them did. */
class MeteredSql implements SqlStorage {
  rowsWritten = 0;
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  exec<T extends Record<string, SqlStorageValue>>(text: string): SqlStorageCursor<T> {
    // No statement of a migration has a semicolon in it.
    const statements = text.split(";").filter((statement) => statement.trim() !== "");
    const cursors = statements.map((statement) => {
      const cursor = this.#sql.exec<T>(statement);
      this.rowsWritten += cursor.rowsWritten;
      return cursor;
    });
    return cursors.at(-1) ?? this.#sql.exec<T>(text);
  }

  get databaseSize(): number {
    return this.#sql.databaseSize;
  }

  get Cursor(): SqlStorage["Cursor"] {
    return this.#sql.Cursor;
  }

  get Statement(): SqlStorage["Statement"] {
    return this.#sql.Statement;
  }
}
