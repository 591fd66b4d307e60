/**
 * Calls without a reply yet: they wait for their turn, in order and bounded. A call is sent once; when its connection is
 * lost after that, its outcome is unknown.
 */
import type { Json } from "../../protocol/frames.ts";
import { RoomError } from "../error.ts";
import { whilePatient, type Patience } from "./patience.ts";

/** Calls without a reply, at most. */
const MOST_CALLS = 1_000;

interface Call {
  /** Empty once it was sent. */
  frame: string;
  readonly resolve: (data: Json) => void;
  readonly reject: (error: RoomError) => void;
}

/** The calls of one client. */
export class Calls {
  readonly #calls = new Map<number, Call>();

  /** Calls without a reply. */
  get size(): number {
    return this.#calls.size;
  }

  /** Takes a call. Returns its reply. */
  async add(ref: number, frame: string, patience: Patience): Promise<Json> {
    if (this.size >= MOST_CALLS) throw new RoomError("outbox_full", "Too many calls wait.", true);
    const reply = new Promise<Json>((resolve, reject) => this.#calls.set(ref, { frame, resolve, reject }));
    return whilePatient(reply, patience, (error) => this.#withdraw(ref, error));
  }

  /** The next call that was not sent, as a frame. The caller sends it. */
  next(): string | undefined {
    for (const call of this.#calls.values()) {
      const { frame } = call;
      call.frame = "";
      if (frame) return frame;
    }
    return undefined;
  }

  /** Settles a call. Returns whether there was one under this ref. */
  answer(ref: number, result: Json | RoomError): boolean {
    const call = this.#calls.get(ref);
    if (result instanceof RoomError) call?.reject(result);
    else call?.resolve(result);
    return this.#calls.delete(ref);
  }

  /** The connection is lost. */
  lose(): void {
    const error = new RoomError("not_connected", "The connection was lost.", true);
    for (const ref of this.#calls.keys()) this.#withdraw(ref, error);
  }

  /** There will be no answer: the error is for a call that was not sent. */
  #withdraw(ref: number, error: RoomError): void {
    const isWaiting = this.#calls.get(ref)?.frame;
    this.answer(ref, isWaiting ? error : new RoomError("outcome_unknown", error.message, error.retryable));
  }
}
