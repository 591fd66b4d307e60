/**
 * The room's tables and their migrations, and the few facts about the room itself. Storage written by an older version
 * is brought up step by step; storage written by a newer one is refused, because guessing would lose data.
 */

/** Version of the tables below. Raise it together with a new entry in {@link migrations}. */
export const SCHEMA_VERSION = 3;

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
];

/** Storage that this version must not touch. */
export class UnreadableStorage extends Error {
  override readonly name = "UnreadableStorage";
}

/** The room's own durable facts. */
export class Meta {
  readonly #sql: SqlStorage;
  readonly #values = new Map<string, string>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    for (const row of sql.exec<{ key: string; value: string }>("SELECT key, value FROM edgerooms_meta")) {
      this.#values.set(row.key, row.value);
    }
  }

  get(key: string): string | undefined {
    return this.#values.get(key);
  }

  /** Writes one row, or none when the value is already there. */
  set(key: string, value: string): void {
    if (this.#values.get(key) === value) return;
    this.#sql.exec("INSERT OR REPLACE INTO edgerooms_meta (key, value) VALUES (?, ?)", key, value);
    this.#values.set(key, value);
  }

  delete(key: string): void {
    if (this.#values.delete(key)) this.#sql.exec("DELETE FROM edgerooms_meta WHERE key = ?", key);
  }
}

/**
 * Makes sure the tables exist in this version. Reads one row when they do.
 *
 * @throws UnreadableStorage when a newer version of edgerooms wrote the storage
 */
export function migrate(storage: DurableObjectStorage): void {
  const { sql } = storage;
  const exists = sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'edgerooms_meta'").toArray().length > 0;
  const found = exists
    ? Number(sql.exec("SELECT value FROM edgerooms_meta WHERE key = 'schema'").toArray()[0]?.["value"] ?? 0)
    : 0;
  if (found === SCHEMA_VERSION) return;
  if (!(found < SCHEMA_VERSION)) {
    throw new UnreadableStorage(
      `this room's storage has schema ${found}, newer than ${SCHEMA_VERSION}: deploy the newer edgerooms`,
    );
  }
  storage.transactionSync(() => {
    for (const migration of migrations.slice(found)) migration(sql);
    sql.exec("INSERT OR REPLACE INTO edgerooms_meta (key, value) VALUES ('schema', ?)", String(SCHEMA_VERSION));
  });
}
