/**
 * What became of every publish that a session may still repeat: (session, ref) -> offset. One rule says what is
 * remembered, in memory and in the tables alike: the refs of publications that are still in the log, and besides them
 * enough older ones to make {@link REMEMBERED_REFS} a session. Knows nothing of SQL.
 */
import { REMEMBERED_REFS } from "../../protocol/limits.ts";

/** Refs as a row stores them: for each session a flat list of ref, offset, at, ref, offset, at, ... */
export type RefTable = Record<string, number[]>;

const WIDTH = 3;

/** Where and when a ref took effect. */
export interface Taken {
  readonly offset: number;
  readonly at: number;
}

/** What one room remembers of refs. Within a session, refs and offsets rise together. */
export class RefMemory {
  readonly #lists = new Map<string, RefList>();

  /** How many refs there are, of all sessions together. */
  get size(): number {
    let size = 0;
    for (const list of this.#lists.values()) size += list.count;
    return size;
  }

  /** A publish took effect. `oldest`: the oldest offset that is in the log. */
  add(session: string, ref: number, taken: Taken, oldest: number): void {
    const list = this.#lists.get(session) ?? new RefList();
    this.#lists.set(session, list);
    list.push(ref, taken);
    list.trim(oldest);
  }

  /** Learns what rows say, in any order: rows are not read back in the order in which they were written. */
  load(tables: Iterable<RefTable>, oldest: number): void {
    const together: RefTable = {};
    for (const table of tables) {
      for (const [session, list] of Object.entries(table)) {
        const mine = (together[session] ??= []);
        for (const value of list) mine.push(value);
      }
    }
    for (const [session, flat] of Object.entries(together)) {
      const list = new RefList(sorted(flat));
      list.trim(oldest);
      this.#lists.set(session, list);
    }
  }

  /** The highest ref of a session that took effect; 0 for none. */
  last(session: string): number {
    return this.#lists.get(session)?.last ?? 0;
  }

  /** What came of a ref, or `undefined` when it took no effect or is too old to be remembered. */
  find(session: string, ref: number): Taken | undefined {
    return this.#lists.get(session)?.find(ref);
  }

  /** Whether the room knows of a ref that is not above the last: then it took effect just when {@link find} finds it. */
  remembers(session: string, ref: number): boolean {
    return ref >= (this.#lists.get(session)?.first ?? Infinity);
  }

  /** The refs of a session that took effect after an offset, oldest first. */
  after(session: string, offset: number): (Taken & { readonly ref: number })[] {
    return this.#lists.get(session)?.after(offset) ?? [];
  }

  /** The session is over. */
  forget(session: string): void {
    this.#lists.delete(session);
  }

  /**
   * A row with these refs is about to go: what another row must hold from now on.
   *
   * @param alive whether a session still exists; refs of others are forgotten
   * @param oldest the oldest offset that is in the log once the row is gone
   */
  carry(table: RefTable, alive: (session: string) => boolean, oldest: number): RefTable {
    const carried: RefTable = {};
    for (const [session, flat] of Object.entries(table)) {
      const list = this.#lists.get(session);
      if (!list || !alive(session)) {
        this.forget(session);
        continue;
      }
      list.trim(oldest);
      const kept: number[] = [];
      for (let i = 0; i < flat.length; i += WIDTH) {
        if ((flat[i] ?? 0) >= list.first) kept.push(flat[i] ?? 0, flat[i + 1] ?? 0, flat[i + 2] ?? 0);
      }
      if (kept.length > 0) carried[session] = kept;
    }
    return carried;
  }
}

/** The refs of one session, oldest first. What is forgotten goes from the front, without moving the rest each time. */
class RefList {
  #flat: number[];
  #start = 0;

  constructor(flat: number[] = []) {
    this.#flat = flat;
  }

  get count(): number {
    return (this.#flat.length - this.#start) / WIDTH;
  }

  get first(): number {
    return this.#flat[this.#start] ?? Infinity;
  }

  get last(): number {
    return this.#flat.at(-WIDTH) ?? 0;
  }

  push(ref: number, { offset, at }: Taken): void {
    this.#flat.push(ref, offset, at);
  }

  trim(oldest: number): void {
    while (this.count > REMEMBERED_REFS && (this.#flat[this.#start + 1] ?? Infinity) < oldest) this.#start += WIDTH;
    if (this.#start > 1_024 && this.#start * 2 > this.#flat.length) {
      this.#flat = this.#flat.slice(this.#start);
      this.#start = 0;
    }
  }

  find(ref: number): Taken | undefined {
    let low = this.#start / WIDTH;
    let high = this.#flat.length / WIDTH - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = this.#flat[middle * WIDTH] ?? 0;
      if (found === ref) return this.#at(middle * WIDTH);
      if (found < ref) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }

  after(offset: number): (Taken & { readonly ref: number })[] {
    const found: (Taken & { readonly ref: number })[] = [];
    for (let i = this.#flat.length - WIDTH; i >= this.#start && (this.#flat[i + 1] ?? 0) > offset; i -= WIDTH) {
      found.push({ ref: this.#flat[i] ?? 0, ...this.#at(i) });
    }
    return found.toReversed();
  }

  #at(i: number): Taken {
    return { offset: this.#flat[i + 1] ?? 0, at: this.#flat[i + 2] ?? 0 };
  }
}

/** Two tables of one row as one; neither is changed. */
export function mergeRefs(a: RefTable, b: RefTable): RefTable {
  const merged: RefTable = { ...a };
  for (const [session, list] of Object.entries(b)) {
    const mine = merged[session];
    merged[session] = mine ? [...mine, ...list] : list;
  }
  return merged;
}

/** A flat list by ref, each once. */
function sorted(flat: readonly number[]): number[] {
  const entries: [number, number, number][] = [];
  let isSorted = true;
  for (let i = 0; i < flat.length; i += WIDTH) {
    if (i > 0 && (flat[i] ?? 0) <= (flat[i - WIDTH] ?? 0)) isSorted = false;
    entries.push([flat[i] ?? 0, flat[i + 1] ?? 0, flat[i + 2] ?? 0]);
  }
  if (isSorted) return [...flat];
  entries.sort(([a], [b]) => a - b);
  return entries.filter(([ref], i) => ref !== entries[i - 1]?.[0]).flat();
}
