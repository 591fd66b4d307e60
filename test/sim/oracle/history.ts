/**
 * What was published, as far as anybody has been told: one publication for each offset, one offset for each publication.
 * A storage that is put back begins another history that shares its beginning with the one it left. Knows nothing of
 * connections, and nothing of how rooms work.
 */

/** What breaks a promise. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** Throws what is wrong. */
export function check(holds: unknown, what: () => string): asserts holds {
  if (!holds) throw new Violation(what());
}

/** Somebody's wish to publish something. Every text is wished for once. */
export interface Wish {
  readonly by: string | null;
  readonly to: readonly string[] | undefined;
}

/** A publication that somebody was told of. */
export interface Known extends Wish {
  readonly text: string;
}

/** What the world knew at a moment; travels with what leaves the room. */
export interface Stamp {
  readonly era: Era;
  /** The highest offset that anybody had been told of. */
  readonly newest: number;
  /** When it was, in ms of the simulation. */
  readonly at: number;
}

/** One history: what lies after `fork` is its own, what lies before is its parent's. */
export class Era {
  readonly nth: number;
  readonly parent: Era | undefined;
  readonly fork: number;
  /** When the copy was made that it began with, in ms of the simulation. */
  readonly copiedAt: number;
  /** The highest offset that anybody has been told of. */
  newest: number;
  readonly #published = new Map<number, Known>();
  readonly #offsets = new Map<string, number>();

  constructor(nth: number, parent: Era | undefined, fork: number, copiedAt: number) {
    this.nth = nth;
    this.copiedAt = copiedAt;
    this.parent = parent;
    this.fork = fork;
    this.newest = Math.min(fork, parent?.newest ?? 0);
  }

  at(offset: number): Known | undefined {
    return offset <= this.fork ? this.parent?.at(offset) : this.#published.get(offset);
  }

  /** Where a text took effect, as far as this history goes. */
  find(text: string): number | undefined {
    const inherited = this.parent?.find(text);
    return inherited !== undefined && inherited <= this.fork ? inherited : this.#offsets.get(text);
  }

  put(offset: number, known: Known): void {
    this.newest = Math.max(this.newest, offset);
    if (offset <= this.fork) {
      this.parent?.put(offset, known);
      return;
    }
    this.#published.set(offset, known);
    this.#offsets.set(known.text, offset);
  }

  /** Whether a position in another era is part of this history. */
  includes(other: Era, offset: number): boolean {
    if (other === this) return true;
    if (!this.parent || other.nth > this.nth) return false;
    return offset <= this.fork && this.parent.includes(other, offset);
  }
}

/** Everything that was ever wished for and what came of it. */
export class History {
  era = new Era(0, undefined, 0, 0);
  readonly #eras: Era[] = [this.era];
  readonly #wishes = new Map<string, Wish>();
  /** Texts that were refused for good: nobody may ever see them. */
  readonly #refused = new Map<string, { readonly why: string; readonly era: Era }>();

  wish(text: string, wish: Wish): void {
    this.#wishes.set(text, wish);
  }

  /** The publisher of this was told that it took no effect. What a restore has undone is not meant. */
  refuse(text: string, why: string): void {
    const { era } = this;
    const offset = era.find(text);
    check(offset === undefined, () => `${text} was refused (${why}) and took effect at ${offset}`);
    this.#refused.set(text, { why, era });
  }

  /** Whether a text was refused for good. */
  isRefused(text: string): boolean {
    return this.#refused.get(text)?.era === this.era;
  }

  /** Somebody was told that this text is at this offset. */
  learn(era: Era, offset: number, text: string, by: string | null): Known {
    const before = era.at(offset);
    if (before) {
      check(before.text === text && before.by === by, () => `offset ${offset} is both "${before.text}" and "${text}"`);
      return before;
    }
    const wish = this.#wishes.get(text);
    check(wish, () => `"${text}" at ${offset} was never published by anybody`);
    check(wish.by === by, () => `"${text}" of ${wish.by} came as of ${by}`);
    const refused = this.#refused.get(text);
    check(refused?.era !== era, () => `"${text}" was refused (${refused?.why}) and is at ${offset}`);
    const elsewhere = era.find(text);
    check(elsewhere === undefined, () => `"${text}" took effect twice, at ${elsewhere} and at ${offset}`);
    const known = { ...wish, text };
    era.put(offset, known);
    return known;
  }

  /** The storage was put back to a copy that was made in this era, when its newest publication had this offset. */
  restored(head: number, of: Era, copiedAt: number): void {
    this.era = new Era(this.#eras.length, of, head, copiedAt);
    this.#eras.push(this.era);
  }
}

/** Whether a user may see a publication. */
export function isFor(user: string, { to, by }: Wish): boolean {
  return to === undefined || by === user || to.includes(user);
}

/** The text of a publication: what is published here are texts, and hooks publish objects with one. */
export function textOf({ data }: { readonly data: unknown }): string {
  return typeof data === "string" ? data : JSON.stringify(data);
}
