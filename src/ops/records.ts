/**
 * The failures that one part of the directory remembers, in rings: grave ones, those that clients cause, and ends of
 * connections. None pushes out another kind, and none outlives its time: records can name users. Owns edgerooms_notes.
 */
import { codes } from "../protocol/codes.ts";
import { END } from "../room/telemetry/end.ts";
import { isGrave, type FailureRecord } from "../room/telemetry/failure.ts";

/** Records of each ring. */
export const MAX_RECORDS = 100;
/** How long a record is kept, in ms. */
export const KEPT_MS = 7 * 86_400_000;

/** What a part remembers, newest first. */
export interface Recorded {
  readonly failures: readonly FailureRecord[];
  readonly ends: readonly FailureRecord[];
}

/** The records of one part. */
export class Records {
  readonly #storage: DurableObjectStorage;
  readonly #now: () => number;
  /** The number of the newest record of each ring, once it was read. */
  readonly #newest = new Map<number, number>();
  #isArmed = false;

  constructor(storage: DurableObjectStorage, now: () => number) {
    this.#storage = storage;
    this.#now = now;
    storage.sql.exec(
      "CREATE TABLE IF NOT EXISTS edgerooms_notes (slot INTEGER PRIMARY KEY, nth INTEGER NOT NULL, note TEXT NOT NULL)",
    );
    // A version that knows no alarm may have written them, or let the alarm pass.
    if (!this.#isEmpty) this.#armSoon();
  }

  /** Remembers failures. Writes one row for each, and one for the alarm when there is none yet. */
  add(failures: readonly FailureRecord[]): void {
    const { sql } = this.#storage;
    for (const failure of failures) {
      const first = MAX_RECORDS * ringOf(failure);
      const nth = (this.#newest.get(first) ?? this.#newestIn(first)) + 1;
      sql.exec(
        "INSERT OR REPLACE INTO edgerooms_notes (slot, nth, note) VALUES (?, ?, ?)",
        first + (nth % MAX_RECORDS),
        nth,
        JSON.stringify(failure),
      );
      this.#newest.set(first, nth);
    }
    if (failures.length > 0) this.#armSoon();
  }

  /** What is remembered and is not too old. */
  read(): Recorded {
    const rows = this.#storage.sql.exec("SELECT note FROM edgerooms_notes ORDER BY nth DESC");
    const oldest = this.#now() - KEPT_MS;
    const records = [...rows].flatMap((row) => readRecord(row["note"] as string) ?? []).filter(({ at }) => at > oldest);
    const newestFirst = records.toSorted((a, b) => b.at - a.at);
    return {
      failures: newestFirst.filter((record) => !isEnd(record)),
      ends: newestFirst.filter(isEnd),
    };
  }

  /** Deletes what is too old, and sees to it that the rest is deleted in its time. */
  async expire(): Promise<void> {
    const { sql } = this.#storage;
    const oldest = this.#now() - KEPT_MS;
    for (const row of sql.exec("SELECT * FROM edgerooms_notes").toArray()) {
      const { at } = JSON.parse(row["note"] as string) as Partial<FailureRecord>;
      if (!(Number(at) > oldest)) sql.exec("DELETE FROM edgerooms_notes WHERE slot = ?", row["slot"]);
    }
    this.#isArmed = false;
    if (!this.#isEmpty) await this.#arm();
  }

  #newestIn(first: number): number {
    const newest = "SELECT coalesce(max(nth), 0) AS nth FROM edgerooms_notes WHERE slot BETWEEN ? AND ?";
    return this.#storage.sql.exec<{ nth: number }>(newest, first, first + MAX_RECORDS - 1).one().nth;
  }

  get #isEmpty(): boolean {
    return this.#storage.sql.exec("SELECT 1 FROM edgerooms_notes LIMIT 1").toArray().length === 0;
  }

  #armSoon(): void {
    this.#arm().catch(() => (this.#isArmed = false));
  }

  /** Once a day is enough: what is too old is not read any more. */
  async #arm(): Promise<void> {
    if (this.#isArmed) return;
    this.#isArmed = true;
    if ((await this.#storage.getAlarm()) === null) await this.#storage.setAlarm(this.#now() + KEPT_MS / 7);
  }
}

function isEnd({ source }: FailureRecord): boolean {
  return source === END;
}

function ringOf(failure: FailureRecord): 0 | 1 | 2 {
  if (isEnd(failure)) return 2;
  return isGrave(failure) ? 0 : 1;
}

/** A failure as it was stored. Before 0.1.0 `source` was `where`; a code of a later version has no severity here. */
function readRecord(text: string): FailureRecord | undefined {
  const { where, ...record } = JSON.parse(text) as FailureRecord & { readonly where?: string };
  if (!Object.hasOwn(codes, record.code)) return undefined;
  return { ...record, source: record.source ?? where ?? "" };
}
