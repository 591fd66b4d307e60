/** Which events of a tick go out of the room, in the order in which they happened. Knows nothing of how they travel. */
import type { OutEvent, OutEventType } from "../outlet.ts";
import type { Item } from "../store/log.ts";
import type { NewEvent } from "../store/outbox.ts";
import type { PresenceChange } from "./outgoing.ts";

/** Collects the events of one tick. */
export class EventsOut {
  readonly #events: NewEvent[] = [];
  readonly #types: ReadonlySet<OutEventType>;
  #members: number;

  /** @param members how many were here before the tick */
  constructor(types: ReadonlySet<OutEventType>, members: number) {
    this.#types = types;
    this.#members = members;
  }

  get events(): readonly NewEvent[] {
    return this.#events;
  }

  /** The text of the log: what a hook has returned may have become something else since. */
  published({ publication, text }: Item): void {
    if (!this.#types.has("publication")) return;
    this.#events.push(`"type":"publication","at":${publication.at},"publication":${text}}`);
  }

  /** Somebody came or went; what members look like does not go out. */
  presence(change: PresenceChange, now: number): void {
    if (change.change === "join") {
      this.#members++;
      this.#add("join", { at: now, member: change.member });
    } else if (change.change === "leave") {
      this.#members--;
      this.#add("leave", { at: now, user: change.user });
      if (this.#members === 0) this.#add("empty", { at: now });
    }
  }

  #add(type: OutEventType, more: Omit<OutEvent, "id" | "type">): void {
    if (this.#types.has(type)) this.#events.push(JSON.stringify({ type, ...more }).slice(1));
  }
}
