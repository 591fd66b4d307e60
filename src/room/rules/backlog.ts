/**
 * How much may wait for a peer that does not read. Memory per connection is bounded whatever a client fails to read, with
 * what the runtime tells of a socket and without. Pure arithmetic: time and readings are handed in.
 */

/** Bytes that may wait for one peer, beyond what any honest reader leaves unread. Text that is not ASCII counts as UTF-16. */
export const BACKLOG_BYTES = 4 * 1_048_576;
/** What every peer may leave unread, however many others are behind: one message must not end a connection. */
const LEAST_BACKLOG_BYTES = 131_072;
/** How long a peer may stay behind before its bound shrinks to its share: a burst reaches everyone at once. */
const PATIENCE_MS = 10_000;
/** Bytes sent after which a runtime that tells what it holds is asked. */
const ASK_AFTER_BYTES = 65_536;

/** What a socket can say of itself. */
export interface SocketReading {
  /** Bytes handed to the socket and not yet to the network; `undefined` on runtimes that cannot tell. */
  readonly buffered: number | undefined;
  /** When the peer last answered a heartbeat, in ms since the epoch; 0 for never. */
  readonly answeredAt: number;
}

/**
 * Bytes sent to a peer that nothing has shown to be read. Where the runtime tells what it holds, that counts. Elsewhere
 * the peer is asked for a sign of life, which shows that it has read everything before the question. A peer is judged
 * before a tick's messages, so that one large tick is no reason to give up a peer that reads.
 */
export class Backlog {
  #bytes = 0;
  /** The question that waits for an answer: when it was asked, and what had been sent before it. */
  #question: { readonly at: number; readonly bytes: number } | undefined;
  #behindSince: number | undefined;

  /** So little was sent since the peer was last found to read that there is nothing to judge. */
  get isLight(): boolean {
    return this.#bytes < ASK_AFTER_BYTES;
  }

  /** Whether more than a message or two waited for the peer when it was judged last: signals are lost on it until then. */
  get isBehind(): boolean {
    return this.#behindSince !== undefined;
  }

  /** Counts what was handed to the socket. */
  sent(bytes: number): void {
    this.#bytes += bytes;
  }

  /** A heartbeat goes out. Its answer will show that the peer has read all that was sent before it. */
  asked(now: number): void {
    if (this.#bytes > 0) this.#question ??= { at: now, bytes: this.#bytes };
  }

  /**
   * More is about to be sent: go on, ask for a sign of life first, or give the peer up.
   *
   * @param share what this peer may leave unread for long of what all may, in bytes
   */
  judge(reading: () => SocketReading, now: number, share: number): "ok" | "ask" | "slow" {
    if (this.isLight) return "ok";
    const { buffered, answeredAt } = reading();
    if (buffered !== undefined) return this.#judgeBuffered(buffered, now, share);
    if (this.#question && answeredAt > this.#question.at) {
      this.#bytes -= this.#question.bytes;
      this.#question = undefined;
    }
    // Half of the bound asks; only a peer that was asked, and was sent as much again, is given up. A heartbeat asks everyone:
    // to be asked is not to be behind.
    this.#behindSince = this.#bytes < BACKLOG_BYTES / 2 ? undefined : (this.#behindSince ?? now);
    if (this.#behindSince === undefined) return "ok";
    if (!this.#question) {
      this.#question = { at: now, bytes: this.#bytes };
      return "ask";
    }
    return this.#bytes - this.#question.bytes > BACKLOG_BYTES / 2 ? "slow" : "ok";
  }

  #judgeBuffered(buffered: number, now: number, share: number): "ok" | "slow" {
    this.#bytes = buffered;
    this.#question = undefined;
    this.#behindSince = buffered > ASK_AFTER_BYTES ? (this.#behindSince ?? now) : undefined;
    const isLasting = this.#behindSince !== undefined && now - this.#behindSince >= PATIENCE_MS;
    const bound = isLasting ? Math.min(BACKLOG_BYTES, Math.max(LEAST_BACKLOG_BYTES, share)) : BACKLOG_BYTES;
    return buffered > bound ? "slow" : "ok";
  }
}
