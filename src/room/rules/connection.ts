/**
 * One live WebSocket of a session as the core knows it, and what its socket must remember while the room sleeps. A
 * connection records by itself that its socket's memory is out of date.
 */
import { Backlog } from "./backlog.ts";
import { fullBucket, take, type Bucket, type Rate, type Verdict } from "./rate.ts";

/** Unacknowledged publications past which a connection with credit is fed no more. */
export const CREDIT_ITEMS = 1_024;
/** The same in bytes of publications. */
export const CREDIT_BYTES = 1_048_576;

/** Up to where a client has acknowledged. */
export interface Credit {
  readonly offset: number;
  /** Bytes of everything the room ever published up to there. */
  readonly bytes: number;
}

/** One of the attempts of a client to connect: they may arrive in another order than they were made. */
export interface Attempt {
  /** The client that makes it: of two holders of one session, neither knows of the other's attempts. */
  readonly client: string;
  readonly nth: number;
}

/** What survives of a connection with its socket while the room is out of memory. Kept small: storage is the truth. */
export interface Pointer {
  readonly session: string;
  readonly generation: number;
  readonly since: number;
  readonly traceparent?: string;
  readonly attempt?: Attempt;
  readonly missed?: number;
  readonly bucket?: Bucket;
  readonly credit?: Credit;
  readonly stoppedAt?: number;
  readonly presenceStale?: boolean;
}

/** What a connection is made of. */
export interface Opening {
  readonly user: string;
  readonly pointer: Pointer;
  readonly rate: Rate;
  readonly now: number;
  /** Connections whose sockets remember something that is out of date. */
  readonly changed: Set<Connection>;
}

/**
 * A live connection. It is never the truth. It is changed inside a tick's transaction, but for credit that is given back
 * between ticks: nothing in storage depends on that.
 */
export class Connection {
  readonly session: string;
  readonly user: string;
  readonly generation: number;
  /** When it opened, in ms since the epoch. */
  readonly since: number;
  /** The trace that its upgrade belongs to. */
  readonly traceparent: string | undefined;
  readonly backlog = new Backlog();
  /** Which of its client's attempts to connect it came from; `undefined` for clients that do not say. */
  readonly #attempt: Attempt | undefined;
  readonly #changed: Set<Connection>;
  readonly #bucket: Bucket;
  #stoppedAt: number | undefined;
  #credit: Credit | undefined;
  #missed: number;
  #presenceStale: boolean;
  #rejectedRef = 0;

  constructor({ user, pointer, rate, now, changed }: Opening) {
    const { session, generation, since, traceparent, attempt, missed = 0, presenceStale = false } = pointer;
    this.session = session;
    this.user = user;
    this.generation = generation;
    this.since = since;
    this.traceparent = traceparent;
    this.#attempt = attempt;
    this.#credit = pointer.credit;
    this.#stoppedAt = pointer.stoppedAt;
    this.#bucket = pointer.bucket ? { ...pointer.bucket } : fullBucket(rate, now);
    this.#missed = missed;
    this.#presenceStale = presenceStale;
    this.#changed = changed;
  }

  /**
   * The offset after which it was fed nothing more, because it lacks credit; `undefined` while it gets everything it may
   * see.
   */
  get stoppedAt(): number | undefined {
    return this.#stoppedAt;
  }

  /** Up to where it has acknowledged; `undefined` for clients that did not ask for credit. */
  get credit(): Credit | undefined {
    return this.#credit;
  }

  /** Heartbeats in a row left unanswered. */
  get missed(): number {
    return this.#missed;
  }

  /** The highest ref that was refused for good. Forgotten while the room sleeps: then a publish is sent once more. */
  get rejectedRef(): number {
    return this.#rejectedRef;
  }

  /** Presence changed while it lacked credit: it needs the whole list once it has caught up. */
  get isPresenceStale(): boolean {
    return this.#presenceStale;
  }

  /** What its socket must remember. */
  get pointer(): Pointer {
    const { session, generation, since, traceparent } = this;
    return {
      session,
      generation,
      since,
      ...(traceparent !== undefined && { traceparent }),
      ...(this.#attempt && { attempt: this.#attempt }),
      ...(this.#missed > 0 && { missed: this.#missed }),
      bucket: this.#bucket,
      ...(this.#credit && { credit: this.#credit }),
      ...(this.#stoppedAt !== undefined && { stoppedAt: this.#stoppedAt }),
      ...(this.#presenceStale && { presenceStale: true }),
    };
  }

  /** Whether its client made it after an attempt that arrives only now. */
  isNewerThan(attempt: Attempt | undefined): boolean {
    return isNewer(this.#attempt, attempt);
  }

  /** Whether it may be fed more after `offset`, where everything up to there is `bytes` in all. */
  mayFeed(offset: number, bytes: number): boolean {
    const credit = this.#credit;
    return credit === undefined || (offset - credit.offset < CREDIT_ITEMS && bytes - credit.bytes < CREDIT_BYTES);
  }

  /** Takes `cost` from the sender's bucket. */
  spend(rate: Rate, now: number, cost: number): Verdict {
    this.#changed.add(this);
    return take(this.#bucket, rate, now, cost);
  }

  /** A frame with this ref was refused for good. */
  reject(ref: number): void {
    this.#rejectedRef = Math.max(this.#rejectedRef, ref);
  }

  /** It was fed up to `offset` and lacks the credit for more. */
  stop(offset: number): void {
    if (this.#stoppedAt === offset) return;
    this.#stoppedAt = offset;
    this.#changed.add(this);
  }

  /** It has been fed everything there is. */
  catchUp(): void {
    if (this.#stoppedAt === undefined) return;
    this.#stoppedAt = undefined;
    this.#changed.add(this);
  }

  /** It has everything up to here, for all that matters to its credit. Does nothing for clients without credit. */
  grant(credit: Credit): void {
    if (!this.#credit) return;
    this.#credit = credit;
    this.#changed.add(this);
  }

  /** Heartbeats in a row that it has left unanswered now. */
  miss(count: number): void {
    if (this.#missed === count) return;
    this.#missed = count;
    this.#changed.add(this);
  }

  /** The list of members that it knows is out of date, or whole again. */
  markPresence(isStale: boolean): void {
    if (this.#presenceStale === isStale) return;
    this.#presenceStale = isStale;
    this.#changed.add(this);
  }
}

/** Whether a client made an attempt after another one that arrives only now. */
export function isNewer(held: Attempt | undefined, attempt: Attempt | undefined): boolean {
  return attempt !== undefined && attempt.client === held?.client && attempt.nth < held.nth;
}
