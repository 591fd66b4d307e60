/**
 * Timers that users set. Owns edgerooms_jobs: one row a timer, run at least once, overdue ones included. Their data stays
 * in the table until they run.
 */
import type { Json } from "../../protocol/frames.ts";
import { Agenda } from "../rules/agenda.ts";

/** A timer that is set. */
export interface Timer {
  readonly name: string;
  /** In ms since the epoch. */
  readonly due: number;
  /** Runs that threw so far. */
  readonly tries: number;
}

/** Timers of one room, at most. */
export const MAX_TIMERS = 100_000;
/** Length of a timer's name in UTF-16 units, at most. */
export const MAX_TIMER_NAME = 256;
const FIRST_RETRY_MS = 2_000;
const LONGEST_RETRY_MS = 3_600_000;

/** The timers of one room. */
export class Timers {
  readonly #sql: SqlStorage;
  readonly #timers = new Map<string, Timer>();
  readonly #agenda = new Agenda("timer");

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    for (const row of sql.exec<{ name: string; due: number; tries: number }>(
      "SELECT name, due, tries FROM edgerooms_jobs",
    )) {
      this.#timers.set(row.name, row);
      this.#agenda.set(row.name, row.due);
    }
  }

  /** How many there are. */
  get size(): number {
    return this.#timers.size;
  }

  get(name: string): Timer | undefined {
    return this.#timers.get(name);
  }

  /** When the next one is due; those of `except` left out. */
  nextDeadline(except?: ReadonlyMap<string, unknown>): number | undefined {
    return this.#agenda.next(except);
  }

  /** What is due at `now`, in the order in which it was to run: at most `limit`, those of `except` left out. */
  due(now: number, limit: number, except?: ReadonlyMap<string, unknown>): Timer[] {
    return this.#agenda.due(now, limit, except).flatMap(({ key }) => this.#timers.get(key) ?? []);
  }

  /** What a timer was given. */
  dataOf({ name }: Timer): Json {
    const row = this.#sql.exec("SELECT data FROM edgerooms_jobs WHERE name = ?", name).one();
    return JSON.parse(row["data"] as string) as Json;
  }

  /** Sets a timer, or moves the one of that name. One row written. */
  schedule(name: string, due: number, data: Json): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO edgerooms_jobs (name, due, tries, data) VALUES (?, ?, 0, ?)",
      name,
      due,
      JSON.stringify(data),
    );
    this.#remember({ name, due, tries: 0 });
  }

  /** Forgets a timer. One row written, if there was one. */
  cancel(name: string): void {
    if (!this.#timers.delete(name)) return;
    this.#agenda.delete(name);
    this.#sql.exec("DELETE FROM edgerooms_jobs WHERE name = ?", name);
  }

  /** It threw: 2 s, 4 s, ... up to an hour later again. One row written. */
  retry({ name, tries }: Timer, now: number): void {
    const due = now + Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(tries, 20));
    this.#sql.exec("UPDATE edgerooms_jobs SET due = ?, tries = ? WHERE name = ?", due, tries + 1, name);
    this.#remember({ name, due, tries: tries + 1 });
  }

  #remember(timer: Timer): void {
    this.#timers.set(timer.name, timer);
    this.#agenda.set(timer.name, timer.due);
  }
}
