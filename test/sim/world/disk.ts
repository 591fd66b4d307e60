/**
 * The storage of one simulated object, under the rules of a Durable Object: what an object writes is one open transaction
 * until it is committed; a crash before that undoes it, the alarm included. Statements can be made to fail, and the whole
 * can be put back to an earlier copy. Knows nothing of rooms but where their log ends.
 */
import type { RoomStorage } from "../../../src/room/runtime/platform.ts";
import { NodeStorage } from "../../support/sqlite.ts";

type Row = Record<string, SqlStorageValue>;

/** Everything that a storage held at one moment. */
export interface Copy {
  readonly content: Uint8Array;
  readonly alarm: number | undefined;
  /** Offset of the newest publication in it. */
  readonly head: number;
}

/** A storage, and what can happen to it. */
export class Disk {
  /** Called before every statement and every change of the alarm; what it throws is what the object gets. */
  beforeStatement: (statement: string) => void = () => {};
  readonly #storage = new NodeStorage();
  readonly #reads = new Map<string, boolean>();
  #isDirty = false;
  #isOpen = false;
  #alarm: number | undefined;
  #durableAlarm: number | undefined;
  /** The alarm whose handler runs. */
  #ringing: number | undefined;

  /** Whether something is written and not committed. */
  get isDirty(): boolean {
    return this.#isDirty;
  }

  /** When the alarm is set to ring, as far as it is durable. */
  get durableAlarm(): number | undefined {
    return this.#durableAlarm;
  }

  /** The storage as an object sees it. `check` throws once that object is dead. */
  open(check: () => void): RoomStorage {
    const storage = this.#storage;
    storage.fault = (statement) => {
      check();
      this.beforeStatement(statement);
    };
    const sql = {
      exec: (query: string, ...values: SqlStorageValue[]) => {
        check();
        if (!this.#isRead(query)) this.#write();
        return storage.sql.exec(query, ...values);
      },
    };
    return {
      // Sound: rooms and their hooks use nothing else of it.
      sql: sql as unknown as SqlStorage,
      transactionSync: (run) => {
        check();
        this.#begin();
        return storage.transactionSync(run);
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
    this.#close();
    this.#isDirty = false;
    this.#durableAlarm = this.#alarm ?? this.#ringing;
  }

  /** Ends a transaction in which nothing was written. */
  rest(): void {
    if (!this.#isDirty) this.#close();
  }

  /** Undoes everything that is not durable. */
  rollback(): void {
    if (this.#isOpen) this.#storage.rollback();
    this.#isOpen = false;
    this.#isDirty = false;
    this.#ringing = undefined;
    this.#alarm = this.#durableAlarm;
  }

  /** What is durable now. Only while nothing is being written. */
  copy(): Copy {
    return { content: this.#storage.snapshot(), alarm: this.#durableAlarm, head: this.head };
  }

  /** Puts the storage back to what it was. */
  restore({ content, alarm }: Copy): void {
    this.rollback();
    this.#storage.restore(content);
    this.#alarm = this.#durableAlarm = alarm;
  }

  /** Offset of the newest publication in the log, as the rows say. */
  get head(): number {
    return Number(this.look("edgerooms_log", "SELECT max(last) AS head FROM edgerooms_log")[0]?.["head"] ?? 0);
  }

  /** Rows in a table. */
  count(table: string): number {
    return Number(this.look(table, `SELECT count(*) AS n FROM "${table}"`)[0]?.["n"] ?? 0);
  }

  /** Rows of a query that no fault touches; none where the table is not there. */
  look(table: string, query: string): Row[] {
    const storage = this.#storage;
    const { fault } = storage;
    storage.fault = undefined;
    const { length } = storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = ?", table).toArray();
    const rows = length > 0 ? storage.sql.exec(query).toArray() : [];
    storage.fault = fault;
    return rows;
  }

  /** Frees it. */
  close(): void {
    this.#storage.close();
  }

  async #setAlarm(check: () => void, at: number | undefined): Promise<void> {
    check();
    this.beforeStatement("setAlarm");
    this.#write();
    this.#alarm = at;
  }

  #isRead(query: string): boolean {
    let isRead = this.#reads.get(query);
    if (isRead === undefined) this.#reads.set(query, (isRead = /^\s*(?:SELECT|WITH)\b/i.test(query)));
    return isRead;
  }

  #begin(): void {
    if (!this.#isOpen) this.#storage.begin();
    this.#isOpen = true;
  }

  #close(): void {
    if (this.#isOpen) this.#storage.commit();
    this.#isOpen = false;
  }

  #write(): void {
    this.#begin();
    this.#isDirty = true;
  }
}
