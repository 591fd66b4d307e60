/** What can happen to a room, as data: applied to the same room, the same events give the same room. Types only. */
import type { Malformed } from "../../protocol/codec.ts";
import type { CodeName } from "../../protocol/codes.ts";
import type { ClientFrame, Json } from "../../protocol/frames.ts";
import type { Refusal } from "../../protocol/refusal.ts";
import type { Admission, Credentials } from "../admission.ts";
import type { Outcome } from "../definition.ts";
import type { Caller, Facts, OperatorCommand } from "../operator.ts";
import type {
  Admitted,
  Down,
  Joining,
  Mirrored,
  RelayAddress,
  Replied,
  Said,
  SessionKey,
  Up,
  Via,
} from "../relaying.ts";
import type { Connection } from "../rules/connection.ts";
import type { Present } from "../store/members.ts";
import type { Delivered, Undelivered } from "../store/outbox.ts";
import type { Continuation } from "../store/state.ts";

/** Something a server-side caller or a hook asks for. */
export type Command =
  | { readonly type: "publish"; readonly data: Json; readonly to?: readonly string[] | undefined }
  | { readonly type: "signal"; readonly data: Json; readonly to?: readonly string[] | undefined }
  | { readonly type: "kick"; readonly user: string; readonly session?: never }
  | { readonly type: "kick"; readonly session: string; readonly user?: never }
  | { readonly type: "revoke"; readonly user: string; readonly before: number }
  | { readonly type: "drain"; readonly within: number; readonly reopenAfter: number }
  | { readonly type: "refresh"; readonly session: string; readonly credentials: Credentials }
  | { readonly type: "members" }
  | { readonly type: "schedule"; readonly name: string; readonly due: number; readonly data: Json }
  | { readonly type: "cancel"; readonly name: string }
  | { readonly type: "defer"; readonly work: () => Promise<unknown>; readonly followUp: Continuation | undefined };

/** What each command gives to its caller. */
export interface CommandResults {
  readonly publish: { readonly offset: number; readonly at: number };
  readonly signal: undefined;
  readonly kick: { readonly sessions: number };
  readonly revoke: { readonly sessions: number };
  readonly drain: { readonly until: number; readonly reopens: number; readonly connections: number };
  /** `relay`: the session is there. */
  readonly refresh: { readonly expires?: number; readonly relay?: RelayAddress | undefined };
  readonly members: Present[];
  readonly schedule: undefined;
  readonly cancel: undefined;
  readonly defer: undefined;
}

/** One thing that happened. Applied wholly or not at all. */
export type RoomEvent =
  /** `id`: for the session, should it be a new one. */
  | { readonly type: "connect"; readonly admission: Admission; readonly id: string }
  | {
      readonly type: "frame";
      readonly session: string;
      readonly generation: number;
      readonly frame: ClientFrame | Malformed;
    }
  /** The socket is gone. `close`: its close code; absent for one that was lost in a reset. */
  | { readonly type: "drop"; readonly session: string; readonly generation: number; readonly close?: number }
  /** The socket must go: the runtime found that it does not read. */
  | { readonly type: "cut"; readonly session: string; readonly generation: number; readonly code: CodeName }
  | { readonly type: "command"; readonly command: Command }
  /** Somebody asks over HTTP. */
  | { readonly type: "operate"; readonly caller: Caller; readonly command: OperatorCommand; readonly facts: Facts }
  /** What came of a delivery of events. `batch`: its id. */
  | { readonly type: "settled"; readonly batch: string; readonly outcome: Delivered }
  /** A report has arrived that said this of undelivered events. */
  | { readonly type: "reported"; readonly undelivered: Undelivered }
  /** Everyone may be told how many members there are. */
  | { readonly type: "countDue" }
  /** Work of a hook has ended. `work`: its id. */
  | { readonly type: "deferred"; readonly work: string; readonly outcome: Outcome<unknown> }
  | RelayEvent
  | DueEvent;

/** What the events of one exchange may still put into its answer, in UTF-16 units: an answer by RPC has an end. */
export interface Allowance {
  left: number;
}

/** What happens between a room and its relays. */
export type RelayEvent =
  /** What relays bring, in the room. */
  | {
      readonly type: "admit";
      readonly relay: RelayAddress;
      readonly joining: Joining;
      readonly allowance?: Allowance;
    }
  | { readonly type: "said"; readonly relay: string; readonly said: Said; readonly allowance?: Allowance }
  | { readonly type: "report"; readonly up: Omit<Up, "joins" | "said"> }
  | { readonly type: "detached"; readonly relay: string }
  | { readonly type: "removed"; readonly relay: string }
  /** What happens in a relay: it is used for the first time, or its room brings something. */
  | { readonly type: "settled in"; readonly via: Via }
  | { readonly type: "expected"; readonly admission: Admission }
  | { readonly type: "forgone"; readonly key: SessionKey }
  | { readonly type: "admitted"; readonly admission: Admission; readonly admitted: Extract<Admitted, { ok: true }> }
  | { readonly type: "mirrored"; readonly mirrored: Mirrored | Down; readonly replies: readonly Reply[] }
  | { readonly type: "found"; readonly session: string; readonly generation: number; readonly offset: number };

/** What the room answers one connection of a relay. */
export interface Reply {
  readonly session: string;
  readonly generation: number;
  readonly replied: Replied;
}

/** Something whose time has come. Each is an event of its own: what cannot be done must not stop the others. */
export type DueEvent =
  | { readonly type: "drainOver" }
  | { readonly type: "sessionDue"; readonly session: string }
  | { readonly type: "timerDue"; readonly name: string }
  | { readonly type: "outboxDue" }
  /** `answeredAt`: when each session last answered one, in ms since the epoch; absent for never. */
  | { readonly type: "heartbeatDue"; readonly answeredAt: Readonly<Record<string, number>> };

/** Why something asked for was not done. */
export type Refused = { readonly ok: false } & Refusal;

/** What became of an event, for the caller that waits for it. */
export type Result<T = unknown> = { readonly ok: true; readonly value: T } | Refused;

/** What a connect gives: the connection whose socket the runtime has opened. */
export type Connected = Result<Connection>;
