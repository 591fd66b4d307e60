/**
 * The names that a room's history had, one after another, and where each of them ended. A position under a name that had
 * ended before it is one that nobody was ever at: the room would call it a lie.
 */

/** What a room's storage said of its epochs at one moment: each id, and the offset of the newest publication when it began. */
export type Chronicle = readonly (readonly [id: string, from: number])[];

/** All epochs of one room. The room itself forgets those that its log has outlived. */
export class Epochs {
  readonly #places = new Map<string, number>();
  readonly #ends: number[] = [];

  /** @param texts what the room wrote down, each time that it did, the oldest first: `id from id from ...` */
  constructor(texts: readonly string[]) {
    for (const chronicle of texts.map(read)) {
      for (const [i, [id, from]] of chronicle.entries()) {
        if (this.#places.has(id)) continue;
        if (i > 0 || this.#places.size > 0) this.#ends[this.#places.size - 1] = from;
        this.#places.set(id, this.#places.size);
      }
    }
  }

  /** Whether anything is known of them: a record of before they were written down says nothing. */
  get areKnown(): boolean {
    return this.#places.size > 0;
  }

  has(id: string): boolean {
    return this.#places.has(id);
  }

  /** Whether one began after another. */
  isAfter(id: string, other: string): boolean {
    return (this.#places.get(id) ?? -1) > (this.#places.get(other) ?? -1);
  }

  /** The newest offset of one; infinite for the last. */
  endOf(id: string): number {
    return this.#ends[this.#places.get(id) ?? -1] ?? Infinity;
  }
}

function read(text: string): Chronicle {
  const words = text.split(" ");
  return words.flatMap((id, i) => (i % 2 === 0 ? [[id, Number(words[i + 1])] as const] : []));
}
