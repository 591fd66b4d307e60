/**
 * The position of a session in the log: what was handed over, what is missing, what to acknowledge. Kept in the store,
 * so that it outlives the program.
 */
import { encode } from "../../protocol/codec.ts";
import { load, save, type Saved, type SessionStore } from "../storage.ts";

/** When to acknowledge, as the protocol asks: an ack costs the room about 40 us (measured), as much as 60 deliveries. */
const ACK_OFFSETS = 640;
const ACK_BYTES = 262_144;
/** What a sync costs of the rate limit, in frames. */
const SYNC_COST_FRAMES = 10;

/** Sends a frame that costs so many frames of the rate limit. Returns whether there was a connection. */
export type SendAtCost = (frame: string, cost: number) => boolean;

/** What one message of the room says about positions. */
export interface MessageFacts {
  /** Whether publications are missing before those of the message. */
  readonly isGap: boolean;
  /** The offset of its heartbeat, 0 without one. */
  readonly heartbeat: number;
  /** Whether the room waits for an acknowledgement. */
  readonly isAsked: boolean;
  /** Its length. */
  readonly bytes: number;
}

/** One session's position; empty before the first welcome. */
export class Position {
  readonly #store: SessionStore;
  readonly #key: string;
  #saved: Saved | undefined;
  /** What the store has of it. */
  #stored: Saved | undefined;
  #epoch = "";
  #acked = 0;
  #bytes = 0;
  #isSyncing = false;

  constructor(store: SessionStore, key: string) {
    this.#store = store;
    this.#key = key;
    this.#saved = load(store, key);
  }

  get saved(): Saved | undefined {
    return this.#saved;
  }

  get offset(): number {
    return this.#saved?.offset ?? 0;
  }

  /** What to ask for when connecting. A session whose snapshot was not handed over yet has no position. */
  get resume(): Record<string, string | number> {
    if (!this.#saved) return {};
    const { session, epoch } = this.#saved;
    return epoch ? { ...this.#saved } : { session };
  }

  /**
   * A connection begins: at the old position if it resumed, at none before the snapshot otherwise.
   *
   * @returns whether the session is another one
   */
  begin(session: string, epoch: string, isResumed: boolean): boolean {
    const isNew = this.#saved?.session !== session;
    this.#saved = isResumed ? { session, epoch, offset: this.offset } : { session, epoch: "", offset: 0 };
    this.#epoch = epoch;
    this.#acked = this.offset;
    this.#bytes = 0;
    this.#isSyncing = false;
    return isNew;
  }

  /** What follows is of another epoch; what was handed over is of both. */
  enter(epoch: string): void {
    this.#epoch = epoch;
  }

  /** Everything up to `offset` was handed over, or replaced by a snapshot. */
  moveTo(offset: number, isSnapshot = false): void {
    if (this.#saved && (offset !== this.#saved.offset || isSnapshot)) {
      this.#saved = { session: this.#saved.session, epoch: this.#epoch, offset };
    }
    if (isSnapshot) this.#acked = offset;
    this.#isSyncing = false;
  }

  /** A message was handled: acknowledges or asks for what is missing, and saves. */
  read({ isGap, heartbeat, isAsked, bytes }: MessageFacts, send: SendAtCost): void {
    if (!this.#saved) return;
    const { offset } = this;
    const unacked = offset - this.#acked;
    this.#bytes = unacked > 0 ? this.#bytes + bytes : 0;
    const isBehind = heartbeat > offset;
    // One sync per gap. A heartbeat that is ahead asks again, because a sync may have been refused. But while there is
    // something to acknowledge, the room may only be waiting for that.
    if ((isGap && !this.#isSyncing) || (isBehind && (unacked === 0 || this.#isSyncing))) {
      this.#isSyncing = send(encode({ type: "sync", offset }), SYNC_COST_FRAMES);
      this.#acked = offset;
    } else if (unacked > 0 && (isAsked || isBehind || unacked >= ACK_OFFSETS || this.#bytes >= ACK_BYTES)) {
      send(encode({ type: "ack", offset }), 0);
      this.#acked = offset;
      this.#bytes = 0;
    }
    // A store may be slow. Most messages, such as those of signals, move nothing.
    if (this.#saved === this.#stored) return;
    this.#stored = this.#saved;
    save(this.#store, this.#key, this.#saved);
  }

  /** The room refused to say what is missing: the next message asks again. */
  syncRefused(): void {
    this.#isSyncing = false;
  }

  /** The session is over, or another client's. `everywhere`: in the store, too. */
  forget(everywhere = true): void {
    this.#saved = this.#stored = undefined;
    if (everywhere) save(this.#store, this.#key, undefined);
  }
}
