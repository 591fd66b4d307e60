/**
 * Publications that came over HTTP: how many a user may make, and what became of those that carried an Idempotency-Key.
 * Owns edgerooms_keys, a ring: keeping it costs one row for a publication with a key, and no deletes.
 */
import { fullBucket, take, type Bucket, type Verdict } from "../rules/rate.ts";

/** Keys remembered, at most; a row takes up to 600 bytes. */
const SLOTS = 4_096;
/** For how long at least a key is good, unless {@link SLOTS} newer ones came: a day, as is usual. */
const KEPT = 86_400_000;
/** Users whose pace is remembered; a user that is forgotten starts with a full bucket. */
const PACED = 1_000;

/** What became of a publication that carried a key. */
export interface Posted {
  readonly offset: number;
  readonly at: number;
  /** Of what was asked for; another one under the same key is another publication. */
  readonly digest: string;
}

/** The publications over HTTP of one room. */
export class Idempotency {
  readonly #sql: SqlStorage;
  readonly #buckets = new Map<string, Bucket>();
  #known: Map<string, Posted & { readonly slot: number }> | undefined;
  #keys: string[] = [];
  #next = 0;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Whether a user may make another one now, at the rate of a connection. */
  pace(user: string, rate: { readonly perSecond: number; readonly burst: number }, now: number): Verdict {
    let bucket = this.#buckets.get(user);
    if (!bucket) {
      if (this.#buckets.size >= PACED) this.#buckets.clear();
      this.#buckets.set(user, (bucket = fullBucket(rate, now)));
    }
    const verdict = take(bucket, rate, now, 1);
    // A caller that asks again before its time gets the same answer; there is no connection that debts could end.
    if (!verdict.ok) bucket.tokens++;
    return verdict;
  }

  /** What became of an earlier one under this key, if it is remembered. */
  find(user: string, key: string, now: number): Posted | undefined {
    const posted = this.#load().get(nameOf(user, key));
    return posted && posted.at + KEPT > now ? posted : undefined;
  }

  /** Remembers one. One row written. */
  remember(user: string, key: string, posted: Posted): void {
    const known = this.#load();
    const slot = this.#next++ % SLOTS;
    const name = nameOf(user, key);
    const { offset, at, digest } = posted;
    this.#sql.exec(
      "INSERT OR REPLACE INTO edgerooms_keys (slot, nth, name, offset, at, digest) VALUES (?, ?, ?, ?, ?, ?)",
      slot,
      this.#next,
      name,
      offset,
      at,
      digest,
    );
    const overwritten = this.#keys[slot];
    // A key that was used again after a day has two slots; the later one counts.
    if (overwritten !== undefined && known.get(overwritten)?.slot === slot) known.delete(overwritten);
    this.#keys[slot] = name;
    known.set(name, { ...posted, slot });
  }

  /** Not before somebody uses a key: most rooms never do. */
  #load(): Map<string, Posted & { readonly slot: number }> {
    if (this.#known) return this.#known;
    this.#known = new Map();
    this.#keys = [];
    const rows = this.#sql.exec("SELECT slot, nth, name, offset, at, digest FROM edgerooms_keys ORDER BY nth");
    for (const row of rows) {
      const name = row["name"] as string;
      const slot = row["slot"] as number;
      this.#keys[slot] = name;
      this.#known.set(name, {
        slot,
        offset: row["offset"] as number,
        at: row["at"] as number,
        digest: row["digest"] as string,
      });
      this.#next = row["nth"] as number;
    }
    return this.#known;
  }
}

/** A user's own key: nobody else's is meant by it. User ids have no control characters. */
function nameOf(user: string, key: string): string {
  return `${user}\n${key}`;
}
