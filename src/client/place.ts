/**
 * Where in the log a session is: what was handed over, what is missing, what to acknowledge. Kept in the store, so that
 * it outlives the program.
 */
import { encode } from "../protocol/codec.ts";
import { load, save, type Saved, type SessionStore } from "./storage.ts";

/** When to acknowledge, as the protocol asks: offsets, and bytes. */
const ACK_EVERY = 128;
const ACK_BYTES = 65_536;

/** One session's place; empty before the first welcome. */
export class Place {
  readonly #store: SessionStore;
  readonly #key: string;
  #saved: Saved | undefined;
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

  /** A connection begins: where it was if it resumed, else at `offset`. Returns whether the session is a new one. */
  begin(session: string, epoch: string, resumed: boolean, offset: number): boolean {
    const isNew = this.#saved?.session !== session;
    this.#saved = { session, epoch, offset: resumed ? this.offset : offset };
    this.#acked = this.#saved.offset;
    this.#bytes = 0;
    this.#syncing = false;
    return isNew;
  }

  /** Everything up to `offset` is handed over, or replaced by a snapshot. */
  moveTo(offset: number, isSnapshot = false): void {
    if (this.#saved) this.#saved = { ...this.#saved, offset };
    if (isSnapshot) this.#acked = offset;
    this.#syncing = false;
  }

  /**
   * A message was read.
   *
   * @param ahead the furthest offset it told of
   * @param bytes its length
   * @param send sends a frame
   */
  read(ahead: number, bytes: number, send: (frame: string) => boolean): void {
    if (!this.#saved) return;
    const { offset } = this;
    if (ahead > offset && !this.#syncing) this.#syncing = send(encode({ type: "sync", offset }));
    this.#bytes += bytes;
    if (offset - this.#acked >= ACK_EVERY || this.#bytes >= ACK_BYTES) {
      if (offset > this.#acked) send(encode({ type: "ack", offset }));
      this.#acked = offset;
      this.#bytes = 0;
    }
    save(this.#store, this.#key, this.#saved);
  }

  /** The session is over, or somebody else's. */
  forget(): void {
    this.#saved = undefined;
    save(this.#store, this.#key, undefined);
  }
}
