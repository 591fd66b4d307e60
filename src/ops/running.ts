/**
 * What a part of the directory adds up to, kept in memory with every report: a scrape reads the rows of all rooms only once
 * after the object was loaded, and again when a row may have run out. Storage has the truth; this owns no table.
 */
import type { Counts } from "../room/telemetry/counts.ts";
import { addTotals, type KindTotals } from "./totals.ts";

/** Between two searches for rooms that were lost, in ms: when many are lost at once, a scrape is no search of them all. */
const SEARCH_EVERY_MS = 60_000;

/** What one room adds to the totals of its kind. */
export type Share = Readonly<Record<"connections" | "members" | "sessions", number>>;

/** The running totals of one part. */
export class Running {
  #totals: Record<string, KindTotals> | undefined;
  /** Before this moment no row has run out, in ms since the epoch. */
  #firstEnd = -Infinity;

  /** Whether storage has to be read before the totals are known. */
  get isUnknown(): boolean {
    return this.#totals === undefined;
  }

  /** Takes what storage says for what there is. */
  load(totals: Record<string, KindTotals>): void {
    this.#totals = totals;
  }

  /** Something failed halfway: storage is to be read again. */
  forget(): void {
    this.#totals = undefined;
    this.#firstEnd = -Infinity;
  }

  /** A room of the list is no longer as it was, or no longer there. Absent: it was not, or is not, on the list. */
  changed(kind: string, before: Share | undefined, after: Share | undefined): void {
    this.#add(kind, {
      rooms: Number(after !== undefined) - Number(before !== undefined),
      connections: (after?.connections ?? 0) - (before?.connections ?? 0),
      members: (after?.members ?? 0) - (before?.members ?? 0),
      sessions: (after?.sessions ?? 0) - (before?.sessions ?? 0),
    });
  }

  /** Batches of events that a room has given up; `undefined` for a room without undelivered events. */
  undelivered(kind: string, before: number | undefined, after: number | undefined): void {
    this.#add(kind, {
      undelivered_rooms: Number(after !== undefined) - Number(before !== undefined),
      dead_letters: (after ?? 0) - (before ?? 0),
    });
  }

  /** More was counted. */
  counted(kind: string, counts: Counts): void {
    if (Object.keys(counts).length > 0) this.#add(kind, { counts });
  }

  /** What there is, by kind. Kinds of which there is nothing any more are left out. */
  get totals(): Record<string, KindTotals> {
    const kinds = Object.entries(this.#totals ?? {});
    return Object.fromEntries(kinds.filter(([, totals]) => !isNothing(totals)));
  }

  /** A row of the list counts until this moment. */
  endsAt(until: number): void {
    this.#firstEnd = Math.min(this.#firstEnd, until);
  }

  /** Whether a row may have run out. */
  mayHaveEnded(now: number): boolean {
    return now > this.#firstEnd;
  }

  /** All rows were looked at: the first of those that are left ends then; `undefined` when none is left. */
  searched(now: number, firstEnd: number | undefined): void {
    this.#firstEnd = Math.max(firstEnd ?? Infinity, now + SEARCH_EVERY_MS);
  }

  #add(kind: string, more: Partial<KindTotals>): void {
    if (this.#totals) addTotals(this.#totals, kind, more);
  }
}

function isNothing({ counts, ...gauges }: KindTotals): boolean {
  return Object.keys(counts).length === 0 && Object.values(gauges).every((n) => n === 0);
}
