/** What is to be done when a tick has committed, besides saying what it has to say. Data; each is performed in one place. */
import type { CodeName } from "../../protocol/codes.ts";
import type { Batch } from "../outlet.ts";
import type { Connection } from "../rules/connection.ts";
import type { Dismissal, ForwardedFrame, GoneKey } from "../relaying.ts";
import type { Session } from "../store/sessions.ts";
import type { Continuation } from "../store/state.ts";
import { Counters } from "../telemetry/counts.ts";
import type { End } from "../telemetry/end.ts";
import type { Failure } from "../telemetry/failure.ts";

/** A connection that the core has released: its client is told why, then its socket goes. */
export interface Closing {
  readonly connection: Connection;
  readonly code: CodeName;
}

/** Asynchronous work of a hook. */
export interface Work {
  /** What the event that tells of its end calls it. */
  readonly id: string;
  readonly run: () => Promise<unknown>;
  readonly followUp: Continuation | undefined;
}

/** A frame that only the room can answer, on its way there from a relay. */
export interface Forwarded {
  readonly connection: Connection;
  /** Its session as it was then: it may be over when the frame is on its way. */
  readonly session: Session;
  readonly frame: ForwardedFrame;
  /** It was asked before, and nobody knows what came of it. */
  readonly isRepeat?: true;
}

/** What a relay's room must learn of a session: that the others miss it, or that it is over. */
export type Farewelled = { readonly gone: GoneKey } | { readonly over: GoneKey };

/** Somebody who continues from before what a relay has: from there on it must have it. */
export interface Wanted {
  readonly connection: Connection;
  readonly offset: number;
}

/** What a tick asks the runtime for. */
export class Effects {
  /** Connections whose sockets are to be opened. */
  readonly accepted: Connection[] = [];
  readonly closed: Closing[] = [];
  /** How connections ended, by the room or without it. */
  readonly ends: End[] = [];
  readonly work: Work[] = [];
  /** Events that are to go out of the room now. */
  readonly batches: Batch[] = [];
  readonly counts = new Counters();
  readonly failures: Failure[] = [];
  /** Sessions elsewhere that the room has ended: their relays are told. */
  readonly dismissals: Dismissal[] = [];
  /** In a relay: what its room must answer, must learn, and must say again. */
  readonly forwarded: Forwarded[] = [];
  readonly farewells: Farewelled[] = [];
  readonly wanted: Wanted[] = [];
  /** The directory of live rooms must learn how this one is. */
  isListingDue = false;
  /** When everyone must be told how many members there are, in ms since the epoch. */
  countDue: number | undefined;
}
