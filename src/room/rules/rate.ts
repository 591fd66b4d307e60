/**
 * How much a connection may send: a token bucket. Pure arithmetic on values that others keep; the time is handed in.
 */

/** A token bucket. It may run into debt: a peer that goes on sending while it is refused is soon disconnected. */
export interface Bucket {
  tokens: number;
  /** When the tokens were counted, in ms since the epoch. */
  at: number;
}

/** How fast a bucket fills, and how much it holds. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** What the bucket says to one frame. */
export type Verdict =
  | { readonly ok: true }
  /** Refused. `abuse`: the debt is larger than the burst. */
  | { readonly ok: false; readonly retryAfter: number; readonly abuse: boolean };

/** A full bucket. */
export function fullBucket(rate: Rate, now: number): Bucket {
  return { tokens: rate.burst, at: now };
}

/** Takes `cost` tokens, refused or not. */
export function take(bucket: Bucket, rate: Rate, now: number, cost: number): Verdict {
  const gained = Math.max(0, now - bucket.at) * (rate.perSecond / 1_000);
  bucket.tokens = Math.min(rate.burst, bucket.tokens + gained) - cost;
  bucket.at = Math.max(bucket.at, now);
  if (bucket.tokens >= 0) return { ok: true };
  return {
    ok: false,
    retryAfter: Math.ceil((-bucket.tokens / rate.perSecond) * 1_000),
    abuse: bucket.tokens < -rate.burst,
  };
}
