/** What can happen to a room, and what the engine wants done about it. Types only. */
import type { ClientFrame, Json, Member } from "../../protocol/frames.ts";
import type { Malformed } from "../../protocol/codec.ts";
import type { CodeName } from "../../protocol/codes.ts";
import type { Admission, Credentials } from "../admission.ts";
import type { Outcome, RoomContext } from "../definition.ts";
import type { Failure } from "../telemetry/failure.ts";
import type { Caller, Facts, OperatorCommand } from "./operate.ts";
import type { Delivered } from "../store/outbox.ts";
import type { Batch } from "../outlet.ts";
import type { Connection } from "../store/state.ts";

/** Something a server-side caller or a hook asks for. */
export type Command =
  | { readonly type: "publish"; readonly data: Json; readonly to?: readonly string[] | undefined }
  | { readonly type: "signal"; readonly data: Json; readonly to?: readonly string[] | undefined }
  | { readonly type: "kick"; readonly user: string; readonly session?: never }
  | { readonly type: "kick"; readonly session: string; readonly user?: never }
  | { readonly type: "revoke"; readonly user: string; readonly before: number }
  | { readonly type: "drain"; readonly within: number; readonly hold: number }
  | { readonly type: "refresh"; readonly session: string; readonly credentials: Credentials }
  | { readonly type: "members" }
  | { readonly type: "schedule"; readonly name: string; readonly due: number; readonly data: Json }
  | { readonly type: "cancel"; readonly name: string }
  | {
      readonly type: "defer";
      readonly work: () => Promise<unknown>;
      readonly after: ((room: RoomContext, outcome: Outcome<unknown>) => void) | undefined;
    };

/** One thing that happened. Applied wholly or not at all. */
export type RoomEvent =
  | { readonly type: "connect"; readonly admission: Admission; readonly id: string }
  | {
      readonly type: "frame";
      readonly session: string;
      readonly generation: number;
      readonly frame: ClientFrame | Malformed;
    }
  /** The socket is gone. */
  | { readonly type: "drop"; readonly session: string; readonly generation: number }
  /** The socket must go: the shell found that it does not read. */
  | { readonly type: "cut"; readonly session: string; readonly generation: number; readonly code: CodeName }
  /** Time passed. `answeredAt`: when a connection last answered a heartbeat, 0 for never. */
  | { readonly type: "alarm"; readonly answeredAt: (connection: Connection) => number }
  | { readonly type: "command"; readonly command: Command }
  /** Somebody asks over HTTP. */
  | { readonly type: "operate"; readonly caller: Caller; readonly command: OperatorCommand; readonly facts: Facts }
  /** What came of a delivery of events. `batch`: its id. */
  | { readonly type: "settled"; readonly batch: string; readonly outcome: Delivered }
  | {
      readonly type: "deferred";
      readonly outcome: Outcome<unknown>;
      readonly after: (room: RoomContext, outcome: Outcome<unknown>) => void;
    };

/** Why something asked for was not done. */
export interface Refused {
  readonly ok: false;
  readonly code: CodeName;
  readonly message?: string;
  readonly retryAfter?: number;
}

/** What became of a connect or a command, for whoever waits for it. */
export type Result = { readonly ok: true; readonly value?: unknown } | Refused;

/** What came of a token refresh. */
export type Refreshed = { readonly ok: true; readonly expires: number } | Refused;

/** What the shell is to do. Text is encoded frames. */
export type Effect =
  /** The event's answer to its caller. */
  | { readonly type: "result"; readonly result: Result }
  /** This connection exists from here on: broadcasts before are not for it. */
  | { readonly type: "accept"; readonly connection: Connection }
  /** It is told who is here, all of them: changes before this are no news to it. */
  | { readonly type: "told"; readonly connection: Connection }
  /** To one connection. */
  | { readonly type: "send"; readonly to: Connection; readonly text: string }
  /** To every connection, whatever its credit. */
  | { readonly type: "all"; readonly text: string }
  /** To those it is for and who have credit; lost for the others. */
  | { readonly type: "signal"; readonly text: string; readonly except?: string; readonly to?: readonly string[] }
  | { readonly type: "presence"; readonly change: "update"; readonly member: Member }
  /** `after`: the newest publication when it happened. */
  | { readonly type: "presence"; readonly change: "join"; readonly member: Member; readonly after: number }
  | { readonly type: "presence"; readonly change: "leave"; readonly user: string; readonly after: number }
  /** Tell it why, then let it go. The engine has released it already. */
  | {
      readonly type: "close";
      readonly connection: Connection;
      readonly code: CodeName;
      readonly retryAfter?: number;
      /** Where its session ends with it: the request that opened it. */
      readonly requestId?: string;
    }
  | {
      readonly type: "work";
      readonly work: () => Promise<unknown>;
      readonly after: ((room: RoomContext, outcome: Outcome<unknown>) => void) | undefined;
    }
  /** The directory of live rooms is to learn how this one is. */
  | { readonly type: "list" }
  /** The events of this batch are to go out. */
  | { readonly type: "deliver"; readonly batch: Batch }
  /** Something happened that is counted: a metric's name and the values of its labels. */
  | { readonly type: "count"; readonly series: string; readonly n?: number }
  /** Something went wrong that an operator may want to learn of. */
  | { readonly type: "failed"; readonly failure: Failure };
