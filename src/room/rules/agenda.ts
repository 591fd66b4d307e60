/**
 * Deadlines by key, the nearest first: a binary heap whose outdated entries stay until they come up. Setting and removing
 * cost O(log n), so that no tick looks at every session or timer. Pure: the time is handed in.
 */

/** One deadline: what is due, and when, in ms since the epoch. */
export interface Deadline {
  readonly key: string;
  readonly at: number;
}

/** Deadlines of one kind of thing. What is left out of an answer is named `kind:key`. */
export class Agenda {
  readonly #kind: string;
  readonly #due = new Map<string, number>();
  #heap: Deadline[] = [];

  constructor(kind: string) {
    this.#kind = kind;
  }

  /** How many deadlines there are. */
  get size(): number {
    return this.#due.size;
  }

  /** Sets or moves a deadline, in ms since the epoch. */
  set(key: string, at: number): void {
    if (this.#due.get(key) === at) return;
    this.#due.set(key, at);
    this.#push({ key, at });
    // Moved deadlines leave entries behind; before they outnumber the rest, the heap is built anew.
    if (this.#heap.length > 64 && this.#heap.length > 2 * this.#due.size) this.#rebuild();
  }

  delete(key: string): void {
    this.#due.delete(key);
  }

  /** The nearest deadline, those of `except` left out; `undefined` when there is none. */
  next(except?: ReadonlyMap<string, unknown>): number | undefined {
    const [nearest] = this.#take((_, taken) => taken.length < 1, except);
    return nearest?.at;
  }

  /** What is due at `now`, those of `except` left out: at most `limit`, the longest overdue first. */
  due(now: number, limit: number, except?: ReadonlyMap<string, unknown>): Deadline[] {
    return this.#take(({ at }, taken) => at <= now && taken.length < limit, except);
  }

  /** Entries from the nearest on while `wanted` says so. They stay in the heap. */
  #take(
    wanted: (entry: Deadline, taken: readonly unknown[]) => boolean,
    except: ReadonlyMap<string, unknown> = new Map(),
  ): Deadline[] {
    const taken: Deadline[] = [];
    const passed: Deadline[] = [];
    for (let top = this.#top(); top && wanted(top, taken); top = this.#top()) {
      this.#pop();
      const previous = passed.at(-1);
      // A deadline that was moved away and back has two equal entries.
      if (previous && !isBefore(previous, top)) continue;
      passed.push(top);
      if (except.size === 0 || !except.has(`${this.#kind}:${top.key}`)) taken.push(top);
    }
    for (const entry of passed) this.#push(entry);
    return taken;
  }

  /** The nearest entry that is not outdated. */
  #top(): Deadline | undefined {
    for (let top = this.#heap[0]; top; top = this.#heap[0]) {
      if (this.#due.get(top.key) === top.at) return top;
      this.#pop();
    }
    return undefined;
  }

  #push(entry: Deadline): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(entry);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent];
      if (!above || !isBefore(entry, above)) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    let i = 0;
    for (;;) {
      const left = 2 * i + 1;
      const right = left + 1;
      const l = heap[left];
      const r = heap[right];
      const child = l && r && isBefore(r, l) ? r : l;
      if (!child || !isBefore(child, last)) break;
      heap[i] = child;
      i = child === l ? left : right;
    }
    heap[i] = last;
  }

  #rebuild(): void {
    this.#heap = [];
    for (const [key, at] of this.#due) this.#push({ key, at });
  }
}

/** By moment, then by key in order of UTF-16 code units: an order that waking from storage cannot change. */
function isBefore(a: Deadline, b: Deadline): boolean {
  return a.at < b.at || (a.at === b.at && a.key < b.key);
}
