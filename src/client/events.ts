/** The events of a client. Types only. */
import type { ResetReason } from "../protocol/frames.ts";
import type { Of, Person, RoomTypes, Typed } from "../protocol/room-types.ts";
import type { RoomError } from "./error.ts";
import type { State } from "./connection/state.ts";

/** The values of events, by event name. */
export interface RoomEvents<T extends RoomTypes = RoomTypes> {
  /** A publication: in order, each once. */
  publication: Typed<T> & {
    /** The ref of its {@link Ack}, where this client published it. */
    readonly ref?: number;
  };
  signal: { readonly by: string | null; readonly data: Of<T, "signal"> };
  /** The members, whenever they, their number or what they show changes. */
  members: readonly Person<T>[];
  /**
   * The state to start from, instead of what was missed. The first join is one too, with the reason `new`. `data` is `null`
   * where the room's `snapshot` failed.
   */
  reset: { readonly reason: ResetReason; readonly data: Of<T, "snapshot"> | null; readonly offset: number };
  /** Joined again, with nothing missed. */
  resumed: { readonly offset: number };
  state: State;
  /** The client has been without its line for some seconds (`lostAfter`). `since`: in ms since 1970. */
  lost: { readonly since: number };
  /** The client is in the room again after a `lost`. `lasted`: how long it was not, in ms. */
  restored: { readonly since: number; readonly lasted: number };
  /** The room is going to close in `within` ms. */
  goaway: { readonly within: number };
  /** A failure that no promise tells of. */
  error: RoomError;
  /** Round trip of a ping, in ms. */
  latency: number;
}

/** One event of a {@link RoomEvents}, with its name. */
export type Streamed<T extends RoomTypes, K extends keyof RoomEvents<T>> = {
  [E in K]: { readonly event: E; readonly value: RoomEvents<T>[E] };
}[K];
