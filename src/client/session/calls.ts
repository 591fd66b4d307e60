/** Calls without a reply yet. A call is sent once; when its connection is lost first, its outcome is unknown. */
import type { Json } from "../../protocol/frames.ts";
import { RoomError } from "../error.ts";

interface Pending {
  readonly resolve: (data: Json) => void;
  readonly reject: (error: RoomError) => void;
}

/** The calls of one client. */
export class Calls {
  readonly #pending = new Map<number, Pending>();

  /** Calls without a reply. */
  get size(): number {
    return this.#pending.size;
  }

  /** The reply to the call that was sent under this ref. */
  wait(ref: number): Promise<Json> {
    return new Promise((resolve, reject) => this.#pending.set(ref, { resolve, reject }));
  }

  /** Settles a call. Returns whether there was one under this ref. */
  answer(ref: number, result: Json | RoomError): boolean {
    const call = this.#pending.get(ref);
    if (result instanceof RoomError) call?.reject(result);
    else call?.resolve(result);
    return this.#pending.delete(ref);
  }

  /** The connection is lost. */
  lose(): void {
    for (const ref of this.#pending.keys()) {
      this.answer(ref, new RoomError("outcome_unknown", "The connection was lost.", true));
    }
  }
}
