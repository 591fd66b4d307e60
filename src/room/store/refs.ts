/**
 * What became of every publish a session may still repeat: (session, ref) -> offset. Held in memory, stored inside the
 * log's rows: a row that overwrites an older one carries on what the older one still had to remember, so remembering
 * costs no row of its own. Knows nothing of SQL.
 */

/** Refs as a log row stores them: for each session a flat list of ref, offset, at, ref, offset, at, ... */
export type RefTable = Record<string, number[]>;

const WIDTH = 3;

/** Where and when a ref took effect. */
export interface Taken {
  readonly offset: number;
  readonly at: number;
}

/** What one room remembers of refs. */
export class RefMemory {
  /** Per session a flat list as in {@link RefTable}, by ref once `#sorted`. */
  readonly #lists = new Map<string, number[]>();
  readonly #unsorted = new Set<string>();

  /** Learns refs, in any order; rows are not read back in the order they were written. */
  add(table: RefTable): void {
    for (const [session, list] of Object.entries(table)) {
      const mine = this.#lists.get(session) ?? [];
      this.#lists.set(session, mine);
      for (let i = 0; i < list.length; i += WIDTH) {
        if ((list[i] ?? 0) < (mine.at(-WIDTH) ?? 0)) this.#unsorted.add(session);
        mine.push(...list.slice(i, i + WIDTH));
      }
    }
  }

  /** The highest ref of a session that took effect; 0 for none. */
  last(session: string): number {
    return this.#list(session).at(-WIDTH) ?? 0;
  }

  /** What came of a ref, or `undefined` when it took no effect or is too old to be remembered. */
  find(session: string, ref: number): Taken | undefined {
    const list = this.#list(session);
    let low = 0;
    let high = list.length / WIDTH - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = list[middle * WIDTH] ?? 0;
      if (found === ref) return this.#at(list, middle * WIDTH);
      if (found < ref) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }

  /** The refs of a session that took effect after an offset, oldest first. */
  after(session: string, offset: number): (Taken & { readonly ref: number })[] {
    const list = this.#list(session);
    const found: (Taken & { readonly ref: number })[] = [];
    for (let i = list.length - WIDTH; i >= 0 && (list[i + 1] ?? 0) > offset; i -= WIDTH) {
      found.push({ ref: list[i] ?? 0, ...this.#at(list, i) });
    }
    return found.toReversed();
  }

  /** The session is over. */
  forget(session: string): void {
    this.#lists.delete(session);
    this.#unsorted.delete(session);
  }

  /**
   * A row with these refs is about to be overwritten: what its successor must carry on, namely what is among the
   * newest `keep` refs of a session that still exists. The rest is forgotten here too.
   */
  carry(table: RefTable, alive: (session: string) => boolean, keep: number): RefTable {
    const carried: RefTable = {};
    for (const [session, list] of Object.entries(table)) {
      const mine = this.#list(session);
      if (!alive(session) || mine.length === 0) {
        this.forget(session);
        continue;
      }
      const oldestKept = mine[Math.max(0, mine.length - keep * WIDTH)] ?? 0;
      const kept: number[] = [];
      for (let i = 0; i < list.length; i += WIDTH) {
        if ((list[i] ?? 0) >= oldestKept) kept.push(...list.slice(i, i + WIDTH));
      }
      if (kept.length > 0) carried[session] = kept;
      if (kept.length < list.length) this.#drop(session, mine, list, oldestKept);
    }
    return carried;
  }

  /** Forgets of a session's refs those of `gone` that lie below `oldestKept`. */
  #drop(session: string, mine: number[], gone: readonly number[], oldestKept: number): void {
    const refs = new Set<number>();
    for (let i = 0; i < gone.length; i += WIDTH) if ((gone[i] ?? 0) < oldestKept) refs.add(gone[i] ?? 0);
    // Almost always they are the oldest ones.
    let oldest = 0;
    while (refs.delete(mine[oldest] ?? 0)) oldest += WIDTH;
    mine.splice(0, oldest);
    if (refs.size === 0) return;
    const rest: number[] = [];
    for (let i = 0; i < mine.length; i += WIDTH) {
      if (!refs.has(mine[i] ?? 0)) rest.push(...mine.slice(i, i + WIDTH));
    }
    this.#lists.set(session, rest);
  }

  #at(list: readonly number[], i: number): Taken {
    return { offset: list[i + 1] ?? 0, at: list[i + 2] ?? 0 };
  }

  #list(session: string): number[] {
    const list = this.#lists.get(session) ?? [];
    if (!this.#unsorted.delete(session)) return list;
    const sorted = newestRefs(list, Infinity);
    this.#lists.set(session, sorted);
    return sorted;
  }
}

/** Two tables of the same row as one. */
export function mergeRefs(a: RefTable, b: RefTable): RefTable {
  const merged: RefTable = { ...a };
  for (const [session, list] of Object.entries(b)) merged[session] = [...(merged[session] ?? []), ...list];
  return merged;
}

/** The newest `keep` refs of a flat list in any order, oldest first. */
export function newestRefs(list: readonly number[], keep: number): number[] {
  const entries: number[][] = [];
  for (let i = 0; i < list.length; i += WIDTH) entries.push(list.slice(i, i + WIDTH));
  return entries
    .toSorted((a, b) => (a[0] ?? 0) - (b[0] ?? 0))
    .slice(-keep)
    .flat();
}
