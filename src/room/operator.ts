/**
 * What the HTTP API asks of a room, and what the room answers: the door for programs and operators. The Worker has
 * verified the caller. Types only.
 */
import type { RelayView } from "../protocol/api.ts";
import type { Json } from "../protocol/frames.ts";
import type { Refusal } from "../protocol/refusal.ts";
import type { Credentials } from "./admission.ts";
import type { Counts } from "./telemetry/counts.ts";

/** The credentials of a caller, its request, and the room it asks. */
export interface Caller {
  readonly kind: string;
  readonly room: string;
  readonly credentials: Credentials;
  readonly requestId: string;
  readonly traceparent?: string | undefined;
}

/** Which page of a list. Neither: all of it, or the first page where a room has relays. */
export interface Paged {
  /** `next` of the page before. */
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
}

/** What can be asked. */
export type OperatorCommand =
  | {
      readonly type: "post";
      readonly data: Json;
      readonly to?: readonly string[] | undefined;
      readonly traceparent?: string | undefined;
      /** Idempotency-Key: the same one publishes once. `digest`: of `data` and `to`, which tells repeats from others. */
      readonly key?: { readonly name: string; readonly digest: string } | undefined;
    }
  | { readonly type: "read"; readonly after?: number | undefined; readonly limit: number }
  | ({ readonly type: "members" } & Paged)
  | ({ readonly type: "sessions" } & Paged)
  | { readonly type: "stats" }
  | { readonly type: "kick"; readonly user: string; readonly session?: never }
  | { readonly type: "kick"; readonly session: string; readonly user?: never }
  | { readonly type: "revoke"; readonly user: string }
  | { readonly type: "drain"; readonly within: number; readonly reopenAfter: number }
  | { readonly type: "dead" }
  | { readonly type: "letter"; readonly batch: string }
  /** Without a batch: all of them. */
  | { readonly type: "redeliver"; readonly batch?: string | undefined }
  | { readonly type: "skip"; readonly batch: string }
  | { readonly type: "drop"; readonly batch?: string | undefined };

/** What comes of it. */
export type Answer = { readonly ok: true; readonly value: object } | ({ readonly ok: false } & Refusal);

/** What the runtime knows of a session's socket. */
export interface SocketFacts {
  /** When it last answered a heartbeat, in ms since the epoch; 0 for never. */
  readonly answeredAt: number;
  /** Bytes the runtime holds for it; absent when it does not tell. */
  readonly unread?: number;
}

/** What an operator learns besides what the room itself knows. */
export interface Facts {
  /** By session; only for commands that tell of them. */
  readonly sockets: Readonly<Record<string, SocketFacts>>;
  /** What was counted since the room last reported to the directory. */
  readonly counts: Counts;
  /** How relays are told; only for commands that tell of them. */
  readonly relays: readonly RelayView[];
}
