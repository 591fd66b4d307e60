/**
 * What was published, as far as anybody has been told: one publication for each offset, one offset for each publication.
 * A storage that is put back begins another history that shares its beginning with the one it left. Knows nothing of
 * connections, and nothing of how rooms work.
 */
import type { Publication } from "../../../src/protocol/frames.ts";

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

/** One history: what lies after `fork` is its own, what lies before is its parent's. */
export class Era {
  readonly nth: number;
  readonly parent: Era | undefined;
  readonly fork: number;
  /** The highest offset that anybody has been told of. */
  newest: number;
  readonly #published = new Map<number, Known>();
  readonly #offsets = new Map<string, number>();

  constructor(parent: Era | undefined, fork: number) {
    this.nth = parent ? parent.nth + 1 : 0;
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
  era = new Era(undefined, 0);
  readonly #eras: Era[] = [this.era];
  readonly #wishes = new Map<string, Wish>();
  /** Texts that were refused for good: nobody may ever see them. */
  readonly #refused = new Map<string, string>();

  /** What the world knows now, as one number that travels with what leaves the room. */
  get stamp(): number {
    return this.era.nth * 2 ** 32 + this.era.newest;
  }

  /** The era in which something was sent, and what was known then. */
  read(stamp: number): { readonly era: Era; readonly newest: number } {
    const nth = Math.floor(stamp / 2 ** 32);
    return { era: this.#eras[nth] ?? this.era, newest: stamp % 2 ** 32 };
  }

  wish(text: string, wish: Wish): void {
    this.#wishes.set(text, wish);
  }

  /** Whoever published this was told that it took no effect. */
  refuse(text: string, why: string): void {
    for (const era of this.#eras) {
      const offset = era.find(text);
      check(offset === undefined, () => `${text} was refused (${why}) and took effect at ${offset}`);
    }
    this.#refused.set(text, why);
  }

  /** Whether a text was refused for good. */
  isRefused(text: string): boolean {
    return this.#refused.has(text);
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
    const why = this.#refused.get(text);
    check(why === undefined, () => `"${text}" was refused (${why}) and is at ${offset}`);
    const elsewhere = era.find(text);
    check(elsewhere === undefined, () => `"${text}" took effect twice, at ${elsewhere} and at ${offset}`);
    const known = { ...wish, text };
    era.put(offset, known);
    return known;
  }

  /** The storage was put back to when its newest publication had this offset. */
  restored(head: number, of: Era): void {
    this.era = new Era(of, Math.min(head, Number.MAX_SAFE_INTEGER));
    // Eras count up, whatever they continue.
    Object.assign(this.era, { nth: this.#eras.length });
    this.#eras.push(this.era);
  }
}

/** Whether a user may see a publication. */
export function isFor(user: string, { to, by }: Wish): boolean {
  return to === undefined || by === user || to.includes(user);
}

/** The text of a publication: what is published here are texts, and hooks publish objects with one. */
export function textOf({ data }: Pick<Publication, "data">): string {
  return typeof data === "string" ? data : JSON.stringify(data);
}
