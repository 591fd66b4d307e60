/**
 * What a receiver of a room's events must be able to rely on: every event at least once, again as it was, first times in
 * order, joins and leaves by turns.
 */
import type { Batch, OutEvent } from "../../../src/room/outlet.ts";
import { check } from "./history.ts";

/** The receiver of one room's events. */
export class Outgoing {
  readonly #taken = new Map<string, string>();
  readonly #here = new Set<string>();
  #offset = 0;
  #isSure = true;
  /** Events that came for the first time. */
  taken = 0;

  /** The storage was put back: what goes out from now on may repeat, and may lack what the copy had delivered. */
  restored(): void {
    this.#isSure = false;
  }

  /** @param era which history the batch belongs to */
  take(batch: Batch, _era: number): void {
    for (const event of batch.events) {
      const text = JSON.stringify(event);
      const before = this.#taken.get(event.id);
      if (before !== undefined) {
        check(before === text || !this.#isSure, () => `event ${event.id} came again as another`);
        continue;
      }
      this.#taken.set(event.id, text);
      this.taken++;
      if (this.#isSure) this.#judge(event);
    }
  }

  #judge({ type, member, user, publication }: OutEvent): void {
    if (type === "publication") {
      check(
        publication?.offset === this.#offset + 1,
        () => `offset ${publication?.offset} went out after ${this.#offset}`,
      );
      this.#offset++;
    } else if (type === "join") {
      const id = member?.id ?? "";
      check(!this.#here.has(id), () => `${id} joined twice, the receiver was told`);
      this.#here.add(id);
    } else if (type === "leave") {
      check(this.#here.delete(user ?? ""), () => `${user} left twice, the receiver was told`);
    } else
      check(
        this.#here.size === 0,
        () => `the room is empty, the receiver was told, with ${[...this.#here].join()} in it`,
      );
  }

  /** The members who are here, as the receiver was told; `undefined` when it cannot know. */
  get here(): string | undefined {
    return this.#isSure ? [...this.#here].toSorted().join() : undefined;
  }

  /** The offset of the newest publication that went out; `undefined` when it cannot know. */
  get offset(): number | undefined {
    return this.#isSure ? this.#offset : undefined;
  }
}
