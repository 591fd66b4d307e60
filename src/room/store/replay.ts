/**
 * Reads the log back: replays for clients that come again, the newest publications for snapshots and hooks, pages for
 * operators. Each stops by itself: no answer, and no search for one, is longer than its bounds.
 */
import { byteLength } from "../../protocol/codec.ts";
import type { Publication } from "../../protocol/frames.ts";
import { isVisible, type Log } from "./log.ts";
import type { Segment } from "./segments.ts";

/**
 * Bytes of the log that a search for the newest publications of one user looks through. In a log that is addressed to
 * others it would otherwise read all of it for an empty answer (464 ms at 16 MiB, measured).
 */
const SEARCH_BYTES = 1_048_576;

/** A run of the log: the offsets it covers, and its items as text. */
export interface Stretch {
  readonly from: number;
  readonly upto: number;
  readonly items: string;
}

/** What to read. */
interface Wanted {
  readonly limit: number;
  readonly maxBytes: number;
  /** The user that it is for; `undefined` sees everything. */
  readonly user?: string | undefined;
}

/** Reads the log of one room. */
export class Replay {
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  /**
   * What a user may see (`undefined` sees everything) of the offsets after `offset`, as stretches of about `maxBytes` at most each. Stops after the
   * head; yields nothing when there is nothing after `offset`. Only for an `offset` that the log covers.
   */
  *after(offset: number, user: string | undefined, maxBytes: number): Generator<Stretch> {
    let from = offset + 1;
    let upto = offset;
    let parts: string[] = [];
    let bytes = 0;
    for (const part of this.#parts(offset, user)) {
      if (bytes > 0 && bytes + part.bytes > maxBytes) {
        yield { from, upto, items: parts.join(",") };
        from = upto + 1;
        parts = [];
        bytes = 0;
      }
      if (part.items !== "") parts.push(part.items);
      bytes += part.bytes;
      upto = part.upto;
    }
    if (upto >= from) yield { from, upto, items: parts.join(",") };
  }

  /**
   * The newest publications, oldest first, as many as fit into `maxBytes`. One that is larger by itself is left out: it
   * must not hide all those before it. Reads about 1 MiB of what is left out or not for the user, at most.
   */
  recent({ limit, maxBytes, user }: Wanted): Publication[] {
    const newest: Publication[] = [];
    if (limit <= 0) return newest;
    let bytes = 0;
    let passed = 0;
    for (const { publication, share, exact } of this.#backwards(maxBytes)) {
      if (!mayRead(publication, user)) {
        passed += share;
      } else {
        const size = exact ?? byteLength(JSON.stringify(publication));
        if (size > maxBytes) {
          passed += size;
        } else {
          bytes += size;
          if (bytes > maxBytes) break;
          newest.push(publication);
        }
      }
      // Before the next row is read.
      if (newest.length >= limit || passed > SEARCH_BYTES) break;
    }
    return newest.toReversed();
  }

  /** Publications after an offset, oldest first. */
  page(after: number, { limit, maxBytes }: Wanted): Publication[] {
    const found: Publication[] = [];
    let bytes = 0;
    for (const segment of this.#log.segments.after(after)) {
      const average = segment.bytes / (segment.last - segment.first + 1);
      for (const publication of this.#load(segment)) {
        if (publication.offset <= after) continue;
        if (found.length >= limit || (found.length > 0 && bytes + average > maxBytes)) return found;
        found.push(publication);
        bytes += average;
      }
    }
    return found;
  }

  /**
   * Publications from the newest on. `share`: of the bytes of the row that was read for it. `exact`: its own bytes, where
   * they are known. A row with nothing but one publication of more than `maxBytes` is passed over unread.
   */
  *#backwards(maxBytes: number): Generator<{ publication: Publication; share: number; exact?: number }> {
    for (const { publication, bytes } of this.#log.staged.toReversed()) {
      yield { publication, share: bytes, exact: bytes };
    }
    for (const segment of this.#log.segments.backwards()) {
      if (segment.first === segment.last && segment.bytes > maxBytes) continue;
      const share = segment.bytes / (segment.last - segment.first + 1);
      for (const publication of this.#load(segment).toReversed()) yield { publication, share };
    }
  }

  /** Runs of items after `offset`: a whole segment as stored text where nothing has to be left out. */
  *#parts(offset: number, user: string | undefined): Generator<{ upto: number; items: string; bytes: number }> {
    for (const segment of this.#log.segments.after(offset)) {
      if (segment.first > offset && (user === undefined || !segment.addressed)) {
        yield { upto: segment.last, items: this.#log.items(segment), bytes: segment.bytes };
        continue;
      }
      const items = this.#load(segment).filter((p) => p.offset > offset && mayRead(p, user));
      // What the user may not see counts as well: it was read all the same.
      yield { upto: segment.last, items: items.map((p) => JSON.stringify(p)).join(","), bytes: segment.bytes };
    }
    for (const { publication, text, bytes } of this.#log.staged) {
      if (publication.offset > offset) {
        yield { upto: publication.offset, items: mayRead(publication, user) ? text : "", bytes };
      }
    }
  }

  #load(segment: Segment): Publication[] {
    return JSON.parse(`[${this.#log.items(segment)}]`) as Publication[];
  }
}

function mayRead(publication: Publication, user: string | undefined): boolean {
  return user === undefined || isVisible(publication, user);
}
