/** Calls that wait for their replies. A call is sent once; when the connection is lost first, nobody knows. */
import type { Json } from "../../protocol/frames.ts";
import { RoomError } from "../error.ts";

interface Waiting {
  readonly resolve: (data: Json) => void;
  readonly reject: (error: RoomError) => void;
}

/** The calls of one client. */
export class Calls {
  readonly #waiting = new Map<number, Waiting>();

  /** The answer to the call that was sent under this ref. */
  wait(ref: number): Promise<Json> {
    return new Promise((resolve, reject) => this.#waiting.set(ref, { resolve, reject }));
  }

  /** Returns whether there was such a call. */
  answer(ref: number, result: Json | RoomError): boolean {
    const call = this.#waiting.get(ref);
    if (result instanceof RoomError) call?.reject(result);
    else call?.resolve(result);
    return this.#waiting.delete(ref);
  }

  /** The connection is lost. */
  lose(): void {
    for (const ref of this.#waiting.keys()) {
      this.answer(ref, new RoomError("outcome_unknown", "The connection was lost.", true));
    }
  }
}
