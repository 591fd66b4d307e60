/** Calls that wait for their replies. A call is sent once; when the connection is lost first, nobody knows. */
import type { Json } from "../protocol/frames.ts";
import { RoomError } from "./error.ts";

interface Waiting {
  readonly resolve: (data: Json) => void;
  readonly reject: (error: RoomError) => void;
}

/** The calls of one client. */
export class Calls {
  readonly #waiting = new Map<number, Waiting>();
  #nextRef = 1;

  /** @param send sends the call under a ref; `false`: it cannot */
  make(send: (ref: number) => boolean): Promise<Json> {
    return new Promise((resolve, reject) => {
      const ref = this.#nextRef++;
      if (send(ref)) this.#waiting.set(ref, { resolve, reject });
      else reject(new RoomError("not_connected", "There is no connection.", true));
    });
  }

  answer(ref: number, result: Json | RoomError): void {
    const call = this.#waiting.get(ref);
    this.#waiting.delete(ref);
    if (result instanceof RoomError) call?.reject(result);
    else call?.resolve(result);
  }

  /** The connection is lost. */
  lose(): void {
    for (const { reject } of this.#waiting.values()) {
      reject(new RoomError("outcome_unknown", "The connection was lost before the reply.", true));
    }
    this.#waiting.clear();
  }
}
