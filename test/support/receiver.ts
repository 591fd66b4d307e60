/**
 * The outlet of the rooms of kind `events`: takes, fails, refuses or never answers, as a test wants, and keeps what it was
 * handed. An outlet is the deployer's own code; this one stands where theirs would.
 */
import { OutletRefused, type Batch, type OutEvent, type OutEventType } from "../../src/room/outlet.ts";
import { untilNextLook } from "./patience.ts";

/** What becomes of a batch. `hang`: nothing, until the test changes its mind. */
export type Mood = "take" | "fail" | "refuse" | "hang";

/** Where one room's events go. Like real receivers it outlives the room. */
export class Receiver {
  /** What becomes of the batches from now on, those that hang included. `nth`: of all that were handed over, from 0. */
  mood: Mood | ((batch: Batch, nth: number) => Mood) = "take";
  /** Which events go out; all when not set. Counts from when the room is next built. */
  types: readonly OutEventType[] | undefined;
  /** The definition has no `events`. Counts from when the room is next built. */
  off = false;
  /** Takes batches and does not say so. */
  isMute = false;
  /** Every batch that was handed over, in that order. */
  readonly tried: Batch[] = [];
  /** Those that were taken. */
  readonly taken: Batch[] = [];

  async take(batch: Batch): Promise<void> {
    const nth = this.tried.push(batch) - 1;
    // Asks again and again: a promise that a test settles would belong to another object's context.
    while (this.#moodFor(batch, nth) === "hang") await untilNextLook();
    const mood = this.#moodFor(batch, nth);
    if (mood === "fail") throw new Error("the receiver is down");
    if (mood === "refuse") throw new OutletRefused("the receiver does not want it");
    this.taken.push(batch);
    while (this.isMute) await untilNextLook();
  }

  /** Every event taken, in the order it came, again where it came again. */
  get events(): OutEvent[] {
    return this.taken.flatMap(({ events }) => events);
  }

  /** What a receiver makes of it that remembers ids. */
  get deduplicated(): OutEvent[] {
    return [...new Map(this.events.toReversed().map((event) => [event.id, event])).values()].toReversed();
  }

  #moodFor(batch: Batch, nth: number): Mood {
    return typeof this.mood === "function" ? this.mood(batch, nth) : this.mood;
  }
}

const receivers = new Map<string, Receiver>();

/** The receiver of a room's events, by the room's name. */
export function receiverOf(room: string): Receiver {
  let receiver = receivers.get(room);
  if (!receiver) receivers.set(room, (receiver = new Receiver()));
  return receiver;
}
