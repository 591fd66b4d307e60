/**
 * The end of a connection, as it is written down: its reason, its user, and how long it was open. There is one for every
 * connection, ended by the room or not. Apart from failures: most ends are none, and refused frames must not push one out.
 */
import type { CodeName } from "../../protocol/codes.ts";
import { traceIdOf } from "../../protocol/trace.ts";
import type { FailureContext, FailureRecord } from "./failure.ts";

/** The source of records that tell of an end. */
const END = "connection";

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
  readonly source: typeof END;
  readonly kind?: string;
  readonly room?: string;
  readonly session: string;
  readonly user: string;
  readonly requestId?: string;
  readonly traceId?: string;
  readonly lasted: number;
  readonly close?: number;
}

/** An end as it is written down. */
export function endRecordOf(end: End, now: number, place: { kind: string; room: string }): EndRecord {
  const { code, session, user, requestId, traceparent, lasted, close } = end;
  return {
    at: now,
    code,
    source: END,
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

/**
 * The end as the directory of live rooms has it: of connections that the room ended, and not because their client left or
 * the room restarts, so that "why was I thrown out" has an answer there too.
 */
export function recordOfEnd(end: EndRecord): FailureRecord | undefined {
  const { code, lasted: _, close: __, ...record } = end;
  return code === "closed" || code === "lost" || code === "done" || code === "restarting"
    ? undefined
    : { ...record, code };
}
