/**
 * When a room's tables come to be: with the first row that is written. Until then reading finds nothing, so that a question
 * about a room that never was, or a join that is refused, costs no row and leaves nothing. Owns no table.
 */
import { migrate, versionOf } from "./schema.ts";

/** Only a new row needs a table: without one there is nothing to change or delete. */
const WRITES = /^\s*(?:INSERT|REPLACE)\b/i;
const NOTHING = "SELECT 1 WHERE 0";

/** The tables of a storage that has none so far. */
class LazyTables implements SqlStorage {
  readonly #sql: SqlStorage;
  #areThere = false;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  exec<T extends Record<string, SqlStorageValue>>(query: string, ...values: SqlStorageValue[]): SqlStorageCursor<T> {
    if (!this.#areThere && WRITES.test(query)) {
      migrate(this.#sql);
      this.#areThere = true;
    }
    return this.#areThere ? this.#sql.exec<T>(query, ...values) : this.#sql.exec<T>(NOTHING);
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

/**
 * How the stores of one room in memory read and write its tables. When a transaction with the first row in it is undone, the
 * tables go with it: then this must be thrown away, as everything in memory is.
 *
 * @param sql the storage, whose tables are of this version or absent
 */
export function openTables(sql: SqlStorage): SqlStorage {
  return versionOf(sql) === 0 ? new LazyTables(sql) : sql;
}
