/**
 * The index of the log in memory: which offsets each row holds. A queue that is searched by offset; nothing here walks it
 * from its start. Knows nothing of SQL.
 */
import type { RefTable } from "./refs.ts";

/** One row of the log: the publications of a tick. */
export interface Segment {
  readonly slot: number;
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
  /** Bytes of everything that was ever published, up to the end of this row. */
  readonly total: number;
  /** Whether some of its publications are not for everyone. */
  readonly addressed: boolean;
  /** Refs stored in the row: its own, and those it carries for rows that are gone. */
  readonly refs: RefTable;
}

/** The segments of one log, oldest first. */
export class Segments {
  #all: Segment[] = [];
  #start = 0;

  get oldest(): Segment | undefined {
    return this.#all[this.#start];
  }

  get newest(): Segment | undefined {
    return this.#all.length > this.#start ? this.#all.at(-1) : undefined;
  }

  /** Bytes of the segments together. */
  get bytes(): number {
    const { oldest, newest } = this;
    return oldest && newest ? newest.total - oldest.total + oldest.bytes : 0;
  }

  clear(): void {
    this.#all = [];
    this.#start = 0;
  }

  push(segment: Segment): void {
    this.#all.push(segment);
  }

  /** Forgets the oldest. What is gone is given up in blocks, so that a long log is not moved each time. */
  shift(): void {
    this.#start++;
    if (this.#start < 1_024 || this.#start * 2 < this.#all.length) return;
    this.#all = this.#all.slice(this.#start);
    this.#start = 0;
  }

  /** Segments that hold anything after an offset, oldest first. */
  *after(offset: number): Generator<Segment> {
    for (let i = this.#indexAfter(offset); i < this.#all.length; i++) {
      const segment = this.#all[i];
      if (segment) yield segment;
    }
  }

  /** Newest first. */
  *backwards(): Generator<Segment> {
    for (let i = this.#all.length - 1; i >= this.#start; i--) {
      const segment = this.#all[i];
      if (segment) yield segment;
    }
  }

  /** Bytes of everything ever published in the segments that end at or before an offset. */
  totalUpTo(offset: number): number {
    const index = this.#indexAfter(offset);
    if (index > this.#start) return this.#all[index - 1]?.total ?? 0;
    return this.oldest ? this.oldest.total - this.oldest.bytes : 0;
  }

  /** The place of the first segment that ends after an offset. */
  #indexAfter(offset: number): number {
    let low = this.#start;
    let high = this.#all.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#all[middle]?.last ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
