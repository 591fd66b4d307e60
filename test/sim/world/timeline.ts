/**
 * Virtual time: the one queue of everything that is going to happen. Nothing in a simulation waits for real time.
 * Knows nothing of rooms, sockets or disks.
 */

interface Entry {
  readonly at: number;
  /** Orders what happens at the same moment: the lower goes first. */
  readonly rank: number;
  readonly nth: number;
  run: (() => void) | undefined;
}

/** Time since the simulation began, in ms, and what is going to happen. */
export class Timeline {
  #now = 0;
  #nth = 0;
  readonly #heap: Entry[] = [];

  get now(): number {
    return this.#now;
  }

  /**
   * Runs something `ms` from now. What this returns calls it off.
   *
   * @param rank among what happens at the same moment; entries of one rank keep their order
   */
  after(ms: number, run: () => void, rank = 0): () => void {
    const entry: Entry = { at: this.#now + Math.max(0, ms), rank, nth: this.#nth++, run };
    this.#push(entry);
    return () => {
      entry.run = undefined;
    };
  }

  /** The next thing that happens no later than `limit`, after moving the time to it; `undefined` when there is none. */
  take(limit: number): (() => void) | undefined {
    for (let top = this.#heap[0]; top && top.at <= limit; top = this.#heap[0]) {
      this.#pop();
      if (!top.run) continue;
      this.#now = Math.max(this.#now, top.at);
      return top.run;
    }
    this.#now = Math.max(this.#now, limit);
    return undefined;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let i = heap.push(entry) - 1;
    while (i > 0) {
      const up = (i - 1) >> 1;
      const parent = heap[up];
      if (!parent || !before(entry, parent)) break;
      heap[i] = parent;
      i = up;
    }
    heap[i] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      let least = heap[child];
      const right = heap[child + 1];
      if (least && right && before(right, least)) {
        least = right;
        child++;
      }
      if (!least || !before(least, last)) break;
      heap[i] = least;
      i = child;
    }
    heap[i] = last;
  }
}

function before(a: Entry, b: Entry): boolean {
  if (a.at !== b.at) return a.at < b.at;
  return a.rank === b.rank ? a.nth < b.nth : a.rank < b.rank;
}
