/** The few durable facts about the room itself, by name. Owns edgerooms_meta. */

/** The facts of one room, held in memory. */
export class Meta {
  readonly #sql: SqlStorage;
  readonly #values = new Map<string, string>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    // That of schema.ts is about the tables: they say nothing of the room, which may only have been looked at.
    const facts = "SELECT key, value FROM edgerooms_meta WHERE key <> 'schema'";
    for (const row of sql.exec<{ key: string; value: string }>(facts)) {
      this.#values.set(row.key, row.value);
    }
  }

  /** Whether nothing is known. */
  get isEmpty(): boolean {
    return this.#values.size === 0;
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

/** One fact of a storage that nobody has opened yet; `undefined` when it does not say. */
export function factOf(sql: SqlStorage, key: string): string | undefined {
  const [table] = sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'edgerooms_meta'").toArray();
  if (!table) return undefined;
  return sql.exec("SELECT value FROM edgerooms_meta WHERE key = ?", key).toArray()[0]?.["value"] as string | undefined;
}
