/** Timers that users set: one row each in edgerooms_jobs, at least once each, overdue ones included. */
import type { Json } from "../../protocol/frames.ts";

/** A timer that is set. */
export interface Timer {
  readonly name: string;
  readonly due: number;
  /** Runs that threw so far. */
  readonly tries: number;
  readonly data: Json;
}

const FIRST_RETRY = 2_000;
const LONGEST_RETRY = 3_600_000;

/** The timers of one room. */
export class Timers {
  readonly #sql: SqlStorage;
  readonly #jobs = new Map<string, Timer>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    for (const row of sql.exec("SELECT name, due, tries, data FROM edgerooms_jobs")) {
      const { name, due, tries, data } = row as { name: string; due: number; tries: number; data: string };
      this.#jobs.set(name, { name, due, tries, data: JSON.parse(data) as Json });
    }
  }

  /** When the next one is due. */
  get next(): number | undefined {
    return this.#jobs.size === 0 ? undefined : Math.min(...[...this.#jobs.values()].map((job) => job.due));
  }

  /** What is due, in the order it was to run. */
  due(now: number): Timer[] {
    return [...this.#jobs.values()]
      .filter((job) => job.due <= now)
      .toSorted((a, b) => a.due - b.due || (a.name < b.name ? -1 : 1));
  }

  /** Whether a job is still set as it was: another one may have moved or cancelled it. */
  isSet(job: Timer): boolean {
    return this.#jobs.get(job.name) === job;
  }

  /** Sets a timer, or moves the one of that name. One row written. */
  schedule(name: string, due: number, data: Json): void {
    this.#write({ name, due, tries: 0, data });
  }

  cancel(name: string): void {
    if (this.#jobs.delete(name)) this.#sql.exec("DELETE FROM edgerooms_jobs WHERE name = ?", name);
  }

  /** It threw: 2 s, 4 s, ... up to an hour later again. */
  retry(job: Timer, now: number): void {
    const wait = Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** Math.min(job.tries, 20));
    this.#write({ ...job, due: now + wait, tries: job.tries + 1 });
  }

  #write(job: Timer): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO edgerooms_jobs (name, due, tries, data) VALUES (?, ?, ?, ?)",
      job.name,
      job.due,
      job.tries,
      JSON.stringify(job.data),
    );
    this.#jobs.set(job.name, job);
  }
}
