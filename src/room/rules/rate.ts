/**
 * How much a connection may send and be sent. In: a token bucket. Out: credit, for clients that acknowledge what they
 * read, and a backlog guard for every socket, so that memory per connection is bounded whatever a client fails to
 * read. Pure arithmetic on values that the engine keeps; time and socket readings are handed in.
 */

/** A token bucket. May run into debt: a peer that goes on sending while it is refused is soon closed. */
export interface Bucket {
  tokens: number;
  at: number;
}

export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** What the bucket says to one frame. */
export type Verdict =
  | { readonly ok: true }
  /** Refused; `abuse` once the debt is as large as the burst. */
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

/** Unacknowledged publications past which a connection with credit is fed no more. */
export const CREDIT_ITEMS = 1_024;
/** The same in bytes of publications. */
export const CREDIT_BYTES = 1_048_576;

/** Whether a connection with this much sent and not acknowledged may be fed more. */
export function hasCredit(items: number, bytes: number): boolean {
  return items < CREDIT_ITEMS && bytes < CREDIT_BYTES;
}

/** Bytes that may wait for a peer, beyond what any honest reader leaves unread; about, where text is not ASCII. */
export const BACKLOG_BYTES = 4 * 1_048_576;
/** And at least, however many others are behind: less would be met by one message. */
const LEAST_BACKLOG_BYTES = 131_072;
/** Milliseconds after which who is still behind has a share instead of the whole: a burst reaches everyone at once. */
const PATIENCE = 10_000;
/** Bytes sent after which a runtime that tells what it holds is asked. */
const ASK_AFTER = 65_536;

/** What a socket can say of itself. */
export interface SocketReading {
  /** Bytes handed to the socket and not yet to the network; `undefined` on runtimes that cannot tell. */
  readonly buffered: number | undefined;
  /** When the peer last answered a heartbeat, in ms since the epoch; 0 for never. */
  readonly answeredAt: number;
}

/**
 * Bytes sent to a peer that nothing has shown to be read. Where the runtime tells what it holds, that counts; elsewhere
 * half the bound asks the peer for a sign of life, and the sign shows that all before it was read. Judged before a
 * tick's messages, so that one large tick is no reason to give up a peer that reads.
 */
export class Backlog {
  #bytes = 0;
  #probe: { at: number; bytes: number } | undefined;
  #behindSince: number | undefined;

  /** So little was sent since the peer was last found to read that there is nothing to judge. */
  get isLight(): boolean {
    return this.#bytes < ASK_AFTER;
  }

  /** Whether the runtime was found to hold more than a message or two. */
  get isBehind(): boolean {
    return this.#behindSince !== undefined;
  }

  sent(bytes: number): void {
    this.#bytes += bytes;
  }

  /**
   * More is about to be sent: go on, ask for a sign of life first, or give the peer up.
   *
   * @param share what this peer may leave unread for long of what all may, in bytes
   */
  judge(reading: () => SocketReading, now: number, share: number): "ok" | "probe" | "slow" {
    if (this.isLight) return "ok";
    const { buffered, answeredAt } = reading();
    if (buffered !== undefined) {
      this.#bytes = buffered;
      this.#behindSince = buffered > ASK_AFTER ? (this.#behindSince ?? now) : undefined;
      const isLasting = this.#behindSince !== undefined && now - this.#behindSince >= PATIENCE;
      const bound = isLasting ? Math.min(BACKLOG_BYTES, Math.max(LEAST_BACKLOG_BYTES, share)) : BACKLOG_BYTES;
      return buffered > bound ? "slow" : "ok";
    }
    // Without knowing what is read, the share of a room in which much is sent would be everyone's end.
    if (this.#bytes < BACKLOG_BYTES / 2) return "ok";
    if (this.#probe && answeredAt > this.#probe.at) {
      this.#bytes -= this.#probe.bytes;
      this.#probe = undefined;
    }
    if (this.#bytes > BACKLOG_BYTES) return "slow";
    if (this.#probe || this.#bytes < BACKLOG_BYTES / 2) return "ok";
    this.#probe = { at: now, bytes: this.#bytes };
    return "probe";
  }
}
