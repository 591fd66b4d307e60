/**
 * The end of a connection, as it is written down: its reason, its user, and how long it was open. There is one for every
 * connection, ended by the room or not. Apart from failures: most ends are none, and refused frames must not push one out.
 */
import type { CodeName } from "../../protocol/codes.ts";
import { traceIdOf } from "../../protocol/trace.ts";
import { CONNECTION, type FailureContext } from "./failure.ts";

/** How one connection ended. */
export interface End extends FailureContext {
  /** What the room told it; `closed`: the client or the network closed it; `lost`: it was gone when the object came back. */
  readonly code: CodeName | "closed" | "lost";
  readonly session: string;
  readonly user: string;
  /** How long it was open, in ms. */
  readonly lasted: number;
  /** The WebSocket close code of one that closed: 1006 for a line that broke. */
  readonly close?: number | undefined;
}

/** An end as it is written down. */
export interface EndRecord {
  /** In ms since the epoch. */
  readonly at: number;
  readonly code: End["code"];
  readonly source: typeof CONNECTION;
  readonly kind?: string;
  readonly room?: string;
  readonly session: string;
  readonly user: string;
  readonly requestId?: string;
  readonly traceId?: string | undefined;
  readonly lasted: number;
  readonly close?: number;
}

/** An end as it is written down. */
export function endRecordOf(end: End, now: number, place: { kind: string; room: string }): EndRecord {
  const { code, session, user, requestId, traceparent, lasted, close } = end;
  return {
    at: now,
    code,
    source: CONNECTION,
    ...(place.kind && { kind: place.kind }),
    ...(place.room && { room: place.room }),
    session,
    user,
    ...(requestId !== undefined && { requestId }),
    ...(traceparent !== undefined && { traceId: traceIdOf(traceparent) }),
    lasted: Math.max(0, lasted),
    ...(close !== undefined && { close }),
  };
}
