/** Tokens that count no more: per user, everything issued before a moment. Owns edgerooms_revoked. */
export class Revocations {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Whether no user was ever revoked. */
  get isEmpty(): boolean {
    return this.#sql.exec("SELECT 1 FROM edgerooms_revoked LIMIT 1").toArray().length === 0;
  }

  revoke(user: string, before: number): void {
    this.#sql.exec("INSERT OR REPLACE INTO edgerooms_revoked (user, before) VALUES (?, ?)", user, before);
  }

  /** Whether a token of this user, issued at `issued` (0: it does not say), was revoked. */
  covers(user: string, issued: number): boolean {
    const [row] = this.#sql.exec("SELECT before FROM edgerooms_revoked WHERE user = ?", user);
    return row !== undefined && issued <= (row["before"] as number);
  }
}
