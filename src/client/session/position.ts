/**
 * Where in the log a session is: what was handed over, what is missing, what to acknowledge. Kept in the store, so that
 * it outlives the program.
 */
import { encode } from "../../protocol/codec.ts";
import { load, save, type Saved, type SessionStore } from "../storage.ts";

/** When to acknowledge, as the protocol asks: offsets, and bytes. */
const ACK_EVERY = 128;
const ACK_BYTES = 65_536;
/** An ack of so many offsets costs nothing of the rate limit; a sync costs ten frames of it. */
const FREE_ACK = 64;
const SYNC_COST = 10;

/** Sends a frame that costs so much of the rate limit. */
export type SendPlace = (frame: string, cost: number) => boolean;

/** One session's place; empty before the first welcome. */
export class Place {
  readonly #store: SessionStore;
  readonly #key: string;
  #saved: Saved | undefined;
  #epoch = "";
  #acked = 0;
  #bytes = 0;
  #syncing = false;

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

  /** A connection begins: where it was if it resumed, else nowhere before the snapshot. Returns whether it is new. */
  begin(session: string, epoch: string, resumed: boolean): boolean {
    const isNew = this.#saved?.session !== session;
    this.#saved = resumed ? { session, epoch, offset: this.offset } : { session, epoch: "", offset: 0 };
    this.#epoch = epoch;
    this.#acked = this.offset;
    this.#bytes = 0;
    this.#syncing = false;
    return isNew;
  }

  /** Everything up to `offset` is handed over, or replaced by a snapshot. */
  moveTo(offset: number, isSnapshot = false): void {
    if (this.#saved) this.#saved = { session: this.#saved.session, epoch: this.#epoch, offset };
    if (isSnapshot) this.#acked = offset;
    this.#syncing = false;
  }

  /**
   * A message was read.
   *
   * @param gap whether publications are missing before those it had
   * @param beat the offset of its heartbeat, 0 for none
   * @param bytes its length
   */
  read(gap: boolean, beat: number, bytes: number, send: SendPlace): void {
    if (!this.#saved) return;
    const { offset } = this;
    const unacked = offset - this.#acked;
    this.#bytes = unacked > 0 ? this.#bytes + bytes : 0;
    const isBehind = beat > offset;
    // One sync per gap. A heartbeat that is ahead asks again, should a sync have been refused; but when there is
    // something to acknowledge, the room may only be waiting for that.
    if ((gap && !this.#syncing) || (isBehind && (unacked === 0 || this.#syncing))) {
      this.#syncing = send(encode({ type: "sync", offset }), SYNC_COST);
      this.#acked = offset;
    } else if (unacked > 0 && (isBehind || unacked >= ACK_EVERY || this.#bytes >= ACK_BYTES)) {
      send(encode({ type: "ack", offset }), unacked >= FREE_ACK ? 0 : 1);
      this.#acked = offset;
      this.#bytes = 0;
    }
    save(this.#store, this.#key, this.#saved);
  }

  /** The session is over, or somebody else's. */
  forget(everywhere = true): void {
    this.#saved = undefined;
    if (everywhere) save(this.#store, this.#key, undefined);
  }
}
