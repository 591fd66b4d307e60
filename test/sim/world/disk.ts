/**
 * The storage of one simulated object: SQLite in memory under the rules of a Durable Object. What an object writes is one
 * open transaction until it is committed; a crash before that undoes it, the alarm included. Statements can be made to
 * fail, and the whole can be put back to an earlier copy. Knows nothing of rooms.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import type { RoomStorage } from "../../../src/room/runtime/platform.ts";

type Row = Record<string, SqlStorageValue>;

/** Everything that a storage held at one moment. */
export interface Copy {
  readonly tables: readonly { readonly name: string; readonly sql: string; readonly rows: readonly Row[] }[];
  readonly alarm: number | undefined;
  /** Offset of the newest publication in it. */
  readonly head: number;
}

/** A storage, and what can happen to it. */
export class Disk {
  /** Called before every statement and every change of the alarm; what it throws is what the object gets. */
  beforeStatement: (query: string) => void = () => {};
  /** Called when something is written that no commit is under way for. */
  whenDirty: () => void = () => {};
  readonly #db = new DatabaseSync(":memory:");
  readonly #statements = new Map<string, StatementSync>();
  readonly #known = new Map<string, { readonly isRead: boolean; readonly statement: StatementSync | undefined }>();
  #isDirty = false;
  #isOpen = false;
  #depth = 0;
  #alarm: number | undefined;
  #durableAlarm: number | undefined;
  /** The alarm whose handler runs. */
  #ringing: number | undefined;

  /** Whether something is written and not committed. */
  get isDirty(): boolean {
    return this.#isDirty;
  }

  /** When the alarm is set to ring, uncommitted changes included. */
  get alarm(): number | undefined {
    return this.#alarm;
  }

  /** When the alarm is set to ring, as far as it is durable. */
  get durableAlarm(): number | undefined {
    return this.#durableAlarm;
  }

  /** The storage as an object sees it. `check` throws once that object is dead. */
  open(check: () => void): RoomStorage {
    const sql = {
      exec: (query: string, ...values: SqlStorageValue[]) => {
        check();
        return this.#exec(query, values);
      },
    } as unknown as SqlStorage;
    return {
      sql,
      transactionSync: (run) => {
        check();
        return this.#atomic(run);
      },
      getAlarm: () => Promise.resolve(this.#alarm ?? null),
      setAlarm: (at) => this.#setAlarm(check, at),
      deleteAlarm: () => this.#setAlarm(check, undefined),
      sync: () => Promise.resolve(),
    };
  }

  /** The alarm's handler begins: the alarm is set no more, but a crash before its end brings it back. */
  beginAlarm(): void {
    this.#ringing = this.#durableAlarm;
    this.#alarm = undefined;
  }

  /** The alarm's handler has ended. `again`: when it must run once more, unless another alarm is set. */
  endAlarm(again?: number): void {
    this.#ringing = undefined;
    this.#alarm ??= again;
    if (!this.#isDirty) this.#durableAlarm = this.#alarm;
  }

  /** Makes everything written so far durable. */
  commit(): void {
    if (this.#isOpen) this.#db.exec("COMMIT");
    this.#isOpen = false;
    this.#isDirty = false;
    this.#durableAlarm = this.#alarm ?? this.#ringing;
  }

  /** Ends a transaction in which nothing was written. */
  rest(): void {
    if (this.#isOpen && !this.#isDirty) this.#db.exec("COMMIT");
    if (!this.#isDirty) this.#isOpen = false;
  }

  /** Undoes everything that is not durable. */
  rollback(): void {
    if (this.#isOpen) this.#db.exec("ROLLBACK");
    this.#isOpen = false;
    this.#isDirty = false;
    this.#depth = 0;
    this.#ringing = undefined;
    this.#alarm = this.#durableAlarm;
  }

  /** What is durable now. Only while nothing is being written. */
  copy(): Copy {
    const tables = this.#all("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
    return {
      tables: tables.map(({ name, sql }) => ({
        name: String(name),
        sql: String(sql),
        rows: this.#all(`SELECT * FROM "${String(name)}"`),
      })),
      alarm: this.#durableAlarm,
      head: this.head,
    };
  }

  /** Puts the storage back to what it was. */
  restore(copy: Copy): void {
    this.rollback();
    for (const { name } of this.#all("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")) {
      this.#db.exec(`DROP TABLE "${String(name)}"`);
    }
    for (const { name, sql, rows } of copy.tables) {
      this.#db.exec(sql);
      for (const row of rows) {
        const marks = Object.keys(row).map(() => "?");
        const values = Object.values(row) as SQLInputValue[];
        this.#statement(`INSERT INTO "${name}" VALUES (${marks.join()})`).run(...values);
      }
    }
    this.#alarm = this.#durableAlarm = copy.alarm;
  }

  /** Offset of the newest publication in the log, as the rows say. */
  get head(): number {
    if (!this.#has("edgerooms_log")) return 0;
    return Number(this.#all("SELECT max(last) AS head FROM edgerooms_log")[0]?.["head"] ?? 0);
  }

  /** Rows in each of the room's own tables. */
  get rows(): ReadonlyMap<string, number> {
    const names = this.#all("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'edgerooms_%'");
    return new Map(
      names.map(({ name }) => [String(name), Number(this.#all(`SELECT count(*) AS n FROM "${String(name)}"`)[0]?.["n"])]),
    );
  }

  /** Rows of a query that no fault touches; none where the table is not there. */
  look(table: string, query: string): Row[] {
    return this.#has(table) ? this.#all(query) : [];
  }

  close(): void {
    this.#db.close();
  }

  #has(table: string): boolean {
    return this.#statement("SELECT 1 FROM sqlite_master WHERE name = ?").get(table) !== undefined;
  }

  #all(query: string): Row[] {
    return this.#statement(query).all() as Row[];
  }

  #exec(query: string, values: readonly SqlStorageValue[]) {
    this.beforeStatement(query);
    let known = this.#known.get(query);
    if (!known) {
      const isRead = /^\s*(?:SELECT|WITH)\b/i.test(query);
      // Several statements at once have no values and no rows.
      known = { isRead, statement: /;\s*\S/.test(query) ? undefined : this.#db.prepare(query) };
      this.#known.set(query, known);
    }
    if (!known.isRead) this.#write();
    if (!known.statement) this.#db.exec(query);
    else if (known.isRead) return cursorOver(known.statement.all(...(values as SQLInputValue[])) as Row[]);
    else known.statement.run(...(values as SQLInputValue[]));
    return cursorOver([]);
  }

  #atomic<T>(run: () => T): T {
    this.#begin();
    const name = `s${++this.#depth}`;
    this.#db.exec(`SAVEPOINT ${name}`);
    try {
      const value = run();
      this.#db.exec(`RELEASE ${name}`);
      return value;
    } catch (error) {
      this.#db.exec(`ROLLBACK TO ${name}`);
      this.#db.exec(`RELEASE ${name}`);
      throw error;
    } finally {
      this.#depth--;
    }
  }

  async #setAlarm(check: () => void, at: number | undefined): Promise<void> {
    check();
    this.beforeStatement("alarm");
    this.#write();
    this.#alarm = at;
  }

  #begin(): void {
    if (!this.#isOpen) this.#db.exec("BEGIN");
    this.#isOpen = true;
  }

  #write(): void {
    this.#begin();
    if (this.#isDirty) return;
    this.#isDirty = true;
    this.whenDirty();
  }

  #statement(query: string): StatementSync {
    let statement = this.#statements.get(query);
    if (!statement) this.#statements.set(query, (statement = this.#db.prepare(query)));
    return statement;
  }
}

/** Rows as Durable Objects hand them out. */
function cursorOver(rows: Row[]) {
  return {
    [Symbol.iterator]: () => rows[Symbol.iterator](),
    toArray: () => rows,
    one: () => {
      const [row] = rows;
      if (!row || rows.length > 1) throw new Error(`expected exactly one row, got ${rows.length}`);
      return row;
    },
    columnNames: Object.keys(rows[0] ?? {}),
    rowsRead: rows.length,
    rowsWritten: 0,
  };
}
