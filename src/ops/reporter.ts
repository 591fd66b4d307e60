/**
 * How a Durable Object reports to its part of the directory, with what its isolate counted besides. Knows which part that is and
 * how long it is waited for; what is reported is the caller's business.
 */
import { withTimeout } from "../protocol/with-timeout.ts";
import type { Counts } from "../room/telemetry/counts.ts";
import { shardOf } from "../room/telemetry/listing.ts";
import type { Directory } from "./directory.ts";
import { isolate } from "./isolate.ts";
import type { Jurisdiction } from "./jurisdiction.ts";

/** How long a report may take, in ms: a call that never ends would keep the object in memory, and its next report away. */
const TIMEOUT_MS = 10_000;

/** The way of one object to the directory. */
export class Reporter {
  readonly #directory: DurableObjectNamespace<Directory>;
  #part: DurableObjectStub<Directory> | undefined;

  /** @param jurisdiction of the object: not even the name of a room may leave that */
  constructor(directory: DurableObjectNamespace<Directory>, jurisdiction: string | undefined) {
    this.#directory = jurisdiction === undefined ? directory : directory.jurisdiction(jurisdiction as Jurisdiction);
  }

  /**
   * Reports once.
   *
   * @param name of the object, which says the part together with its kind
   * @param call gets what this isolate counted for all its objects, such as its breakers: no object counts it
   * @throws when it did not arrive
   */
  async send(
    { kind, name }: { readonly kind: string; readonly name: string },
    call: (part: DurableObjectStub<Directory>, own: Counts) => PromiseLike<unknown>,
  ): Promise<void> {
    const own = isolate.take();
    try {
      // One stub: its calls arrive in their order.
      this.#part ??= this.#directory.getByName(String(shardOf(kind, name)));
      await withTimeout(call(this.#part, own), "the directory", TIMEOUT_MS);
    } catch (error) {
      // A report that arrived though its answer did not is counted twice: better than not at all.
      isolate.merge(own);
      // A stub that failed once fails for ever.
      this.#part = undefined;
      throw error;
    }
  }
}
