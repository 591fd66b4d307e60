/**
 * Durable Object storage in plain Node, over node:sqlite, as far as rooms use it: SQL, nested transactions, the alarm.
 * A test can make any statement fail and put an earlier database back. The suite in test/contract/storage.ts holds it to
 * the real storage. Knows nothing of rooms.
 *
 * Where it differs on purpose: a cursor has read all its rows when `exec` returns (the real one reads on demand), rows
 * read and written are not counted (0 for those written), a row has at most 2 MB as in production (the real one takes more where it runs
 * locally), and a change outside `transactionSync` is committed at once (the real storage commits what one event did
 * together).
 */
import { readFileSync, writeFileSync } from "node:fs";
import {
  DatabaseSync,
  type DatabaseSyncOptions,
  type SQLInputValue,
  type SQLOutputValue,
  type StatementSync,
} from "node:sqlite";
import { NodeCursor, NodeSql } from "./sqlite-cursor.ts";
import { asInWorkerd, fromSql, toSql } from "./sqlite-values.ts";
import { parse, type Statement } from "./statements.ts";

/** Called with the text of each statement before it runs, `BEGIN`, `COMMIT` and their like included. May throw. */
export type Fault = (statement: string) => void;

declare module "node:sqlite" {
  // Node 24 has them, its types do not yet.
  interface DatabaseSync {
    serialize(): Uint8Array;
    deserialize(content: Uint8Array): void;
  }
}

/** One statement that SQLite has compiled. */
class Prepared {
  readonly statement: StatementSync;
  #columns: readonly string[] | undefined;

  constructor(statement: StatementSync) {
    this.statement = statement;
  }

  /** Names of its columns. */
  readonly columns = (): readonly string[] => (this.#columns ??= this.statement.columns().map(({ name }) => name));
}

/** Texts whose statements stay prepared, at most. */
const MAX_CACHED = 500;
/**
 * Bytes of a row, a text or a blob. Cloudflare's documentation says 2 MB; the runtime refuses no row when it runs locally,
 * so that only this storage can show that a room would write one that production refuses.
 */
const MAX_ROW_BYTES = 2_000_000;
/** The platform takes no alarm after the year 2189. */
const LATEST_ALARM_MS = 6_926_000_000_000;

/** The storage's own statements, which nobody may type by hand. */
const own = (text: string, isRead: boolean): Statement => ({ text, parameters: 0, changesSchema: false, isRead });
const ALARM = {
  table: own("SELECT 1 FROM sqlite_master WHERE name = '_cf_METADATA'", true),
  read: own("SELECT value FROM _cf_METADATA WHERE key = 1", true),
  set: own("INSERT OR REPLACE INTO _cf_METADATA VALUES (1, ?)", false),
  delete: own("DELETE FROM _cf_METADATA WHERE key = 1", false),
} as const;

/** The storage of one object. */
export class NodeStorage implements Pick<
  DurableObjectStorage,
  "sql" | "transactionSync" | "getAlarm" | "setAlarm" | "deleteAlarm" | "deleteAll" | "sync"
> {
  /** Set it to make statements fail. What a simulated crash must do: throw at one statement and at every later one. */
  fault: Fault | undefined;
  readonly sql: SqlStorage;
  readonly #path: string;
  #db: DatabaseSync;
  #depth = 0;
  /** Whether a transaction that is open, or was, has changed the schema. */
  #hasNewSchema = false;
  readonly #prepared = new Map<string, Prepared>();

  /** @param path of the database's file; in memory unless given */
  constructor(path = ":memory:") {
    this.#path = path;
    this.#db = open(path);
    const sql: Pick<SqlStorage, "exec" | "databaseSize"> = new NodeSql(
      (query, bindings) => this.#exec(query, bindings),
      () =>
        Number(
          this.#db.prepare("SELECT page_count * page_size AS n FROM pragma_page_count, pragma_page_size").get()?.["n"],
        ),
    );
    // The rest of the interface are two classes that nobody constructs.
    this.sql = sql as SqlStorage;
  }

  /** Runs a function in a transaction, or in a savepoint of the one that is open. A throw undoes it and is passed on. */
  transactionSync<T>(closure: () => T): T {
    const savepoint = `edge_${this.#depth}`;
    const isOuter = this.#depth === 0;
    this.#control(isOuter ? "BEGIN" : `SAVEPOINT ${savepoint}`);
    this.#depth++;
    try {
      const result = closure();
      this.#control(isOuter ? "COMMIT" : `RELEASE ${savepoint}`);
      return result;
    } catch (error) {
      // SQLite may have ended the whole transaction by itself.
      const undo = isOuter ? "ROLLBACK" : `ROLLBACK TO ${savepoint}; RELEASE ${savepoint}`;
      if (this.#db.isTransaction) this.#db.exec(undo);
      this.#forgetSchema();
      throw error;
    } finally {
      this.#depth--;
    }
  }

  /**
   * Begins a transaction that stays open from call to call, as the real storage's does until what one event wrote is on
   * the disk. {@link commit} or {@link rollback} ends it.
   */
  begin(): void {
    this.#refuseTransaction();
    this.#bracket("BEGIN");
    this.#depth = 1;
  }

  /** Makes what was written since {@link begin} durable. */
  commit(): void {
    this.#bracket("COMMIT");
    this.#depth = 0;
    this.#hasNewSchema = false;
  }

  /** Undoes what was written since {@link begin}. */
  rollback(): void {
    if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
    this.#forgetSchema();
    this.#depth = 0;
  }

  /** When the alarm is set to ring, in ms since the epoch. */
  getAlarm(): Promise<number | null> {
    return this.#later(() => {
      if (!this.#hasAlarmTable()) return null;
      const [row] = this.#run(ALARM.read).rows;
      return row ? Number(row[0]) : null;
    });
  }

  /** Sets the alarm: one row, undone with the transaction it is set in. Rejects times that the platform rejects. */
  setAlarm(time: number | Date): Promise<void> {
    return this.#later(() => {
      const ms = Math.trunc(Number(time));
      if (!Number.isFinite(ms)) throw new TypeError("The value cannot be converted because it is not a valid Date.");
      if (ms <= 0) throw new TypeError("setAlarm() cannot be called with an alarm time <= 0");
      if (ms > LATEST_ALARM_MS) throw new TypeError("This API doesn't support dates after 2189.");
      if (!this.#hasAlarmTable()) this.#db.exec("CREATE TABLE _cf_METADATA (key INTEGER PRIMARY KEY, value)");
      this.#run(ALARM.set, [ms]);
    });
  }

  /** Takes the alarm back. */
  deleteAlarm(): Promise<void> {
    return this.#later(() => {
      if (this.#hasAlarmTable()) this.#run(ALARM.delete);
    });
  }

  /** Removes everything: rows, tables and the alarm. */
  deleteAll(): Promise<void> {
    return this.#later(() => {
      this.fault?.("deleteAll");
      this.#reopen(new Uint8Array());
    });
  }

  /** Everything is written already; a {@link fault} may say that it is not. */
  sync(): Promise<void> {
    return this.#later(() => this.fault?.("sync"));
  }

  /** A copy of the whole database, alarm included. Not within a transaction. */
  snapshot(): Uint8Array {
    this.#refuseTransaction();
    return this.#path === ":memory:" ? this.#db.serialize() : readFileSync(this.#path);
  }

  /** Puts a copy back that {@link snapshot} made, of this storage or of another one. Not within a transaction. */
  restore(snapshot: Uint8Array): void {
    this.#refuseTransaction();
    this.#reopen(snapshot);
  }

  /** Frees the database. */
  close(): void {
    this.#db.close();
  }

  /** A transaction was undone, and with it what it may have changed of the schema. */
  #forgetSchema(): void {
    if (!this.#hasNewSchema) return;
    this.#prepared.clear();
    // An outer transaction may still undo what it changed itself.
    this.#hasNewSchema = this.#depth > 1;
  }

  #refuseTransaction(): void {
    if (this.#depth > 0) throw new Error("a transaction is open");
  }

  #reopen(content: Uint8Array): void {
    this.#prepared.clear();
    if (this.#path === ":memory:" && content.length > 0) return this.#db.deserialize(content);
    this.#db.close();
    if (this.#path !== ":memory:") writeFileSync(this.#path, content);
    this.#db = open(this.#path);
  }

  /** The real storage answers by a promise, but the change is made before `setAlarm` returns. */
  #later<T>(run: () => T): Promise<T> {
    return new Promise((resolve) => {
      resolve(run());
    });
  }

  #exec(query: string, bindings: readonly unknown[]): NodeCursor {
    const statements = parse(query);
    const last = statements.at(-1);
    for (let i = 0; i < statements.length - 1; i++) this.#run(statements[i] as Statement);
    if (bindings.length !== last?.parameters) throw new Error("Wrong number of parameter bindings for SQL query.");
    const { columns, rows } = this.#run(last, bindings.map(toSql));
    return new NodeCursor(columns, rows);
  }

  /** Runs one statement to its end. */
  #run(
    { text, changesSchema, isRead }: Statement,
    values: readonly SQLInputValue[] = [],
  ): { columns: () => readonly string[]; rows: SqlStorageValue[][] } {
    this.fault?.(text);
    try {
      const { statement, columns } = this.#prepare(text, isRead);
      // Rows are arrays because of `setReturnArrays`.
      const rows = all(statement, values) as unknown as SQLOutputValue[][];
      if (changesSchema) {
        this.#hasNewSchema = true;
        this.#prepared.clear();
      }
      return { columns, rows: rows.map((row) => row.map(fromSql)) };
    } catch (error) {
      throw asInWorkerd(error);
    }
  }

  #prepare(text: string, isRead: boolean): Prepared {
    const known = this.#prepared.get(text);
    if (known) return known;
    if (this.#prepared.size >= MAX_CACHED) this.#prepared.clear();
    const statement = this.#db.prepare(text);
    statement.setReturnArrays(true);
    // Whatever changes something must not be run again by `all`.
    statement.setReadBigInts(!isRead);
    const prepared = new Prepared(statement);
    this.#prepared.set(text, prepared);
    return prepared;
  }

  #control(text: string): void {
    this.fault?.(text);
    this.#bracket(text);
  }

  /** The beginning or the end of a transaction: compiled once, because there are as many as statements. */
  #bracket(text: string): void {
    this.#prepare(text, false).statement.run();
  }

  #hasAlarmTable(): boolean {
    return this.#run(ALARM.table).rows.length > 0;
  }
}

/** Rows of a statement. An integer past 2^53 is an error of Node's, and the runtime rounds it: then it is read as a BigInt. */
function all(statement: StatementSync, values: readonly SQLInputValue[]): unknown[] {
  try {
    return statement.all(...values);
  } catch (error) {
    if ((error as { code?: string }).code !== "ERR_OUT_OF_RANGE") throw error;
    statement.setReadBigInts(true);
    return statement.all(...values);
  }
}

function open(path: string): DatabaseSync {
  const options: DatabaseSyncOptions & { readonly limits: { readonly length: number } } = {
    enableDoubleQuotedStringLiterals: true,
    limits: { length: MAX_ROW_BYTES },
  };
  return new DatabaseSync(path, options);
}
