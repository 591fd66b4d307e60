/**
 * What is known of a request: a value made once when it arrives, and extended by copies as more is found out. The
 * code that refuses a request hands its value on, so that the log can say whose request failed, and where.
 */
import type { Context } from "hono";
import type { Refusal } from "../protocol/refusal.ts";
import { isTraceparent } from "../protocol/trace.ts";
import { traceparentNow } from "../ops/trace.ts";

/** A room by its kind and name. */
export interface RoomAddress {
  readonly kind: string;
  readonly room: string;
}

/** What is known of one request. */
export interface RequestInfo {
  /** Its id: the caller's `x-request-id` where that is hex digits and dashes, else a random one. */
  readonly requestId?: string;
  /** The W3C trace that it belongs to: the caller's, the runtime's, or a new one. */
  readonly traceparent?: string;
  /** The room that it is about. */
  readonly address?: RoomAddress;
  /** The room must stay in a jurisdiction: its name is not kept elsewhere. */
  readonly isConfined?: boolean;
  /** The user of its token. */
  readonly user?: string;
}

/** A refusal of a request, and what only the log may say of it. */
export interface Denied extends Refusal {
  /** What the log says instead of the message: a text, or what was thrown. The client never sees it. */
  readonly cause?: unknown;
  /** What was known of the request by then. Default: what was known when it arrived. */
  readonly info?: RequestInfo;
}

const INFO = "edgerooms.info";
const DENIED = "edgerooms.denied";

/** What the id of a caller's may be: nothing that could be read as words in a log. */
const REQUEST_ID = /^[0-9a-f-]{8,64}$/i;

/** Makes the value of a request that has just arrived. Its answer has the id, and the trace, as headers. */
export function beginRequest(c: Context): void {
  const given = c.req.header("x-request-id");
  const requestId = given !== undefined && REQUEST_ID.test(given) ? given : crypto.randomUUID();
  c.set(INFO, { requestId } satisfies RequestInfo);
  c.header("x-request-id", requestId);
  c.set(INFO, { requestId, traceparent: traceparentOf(c) } satisfies RequestInfo);
}

/** What was known of a request when it arrived; nothing outside {@link beginRequest}'s app. */
export function requestInfo(c: Context): RequestInfo {
  return (c.get(INFO) as RequestInfo | undefined) ?? {};
}

/** Records that a request was refused. Once: the caller makes the answer. */
export function noteDenied(c: Context, denied: Denied): void {
  c.set(DENIED, denied);
}

/** Why a request was refused; `undefined` when it was not. */
export function deniedOf(c: Context): Denied | undefined {
  return c.get(DENIED) as Denied | undefined;
}

/** Whether a request asks for a WebSocket. */
export function isUpgrade(request: Request): boolean {
  return request.method === "GET" && request.headers.get("upgrade")?.toLowerCase() === "websocket";
}

/** Browsers cannot set a header on an upgrade: there the query counts too. */
function traceparentOf(c: Context): string {
  const given = c.req.header("traceparent") ?? (isUpgrade(c.req.raw) ? c.req.query("traceparent") : undefined);
  if (isTraceparent(given)) return given;
  // The runtime's own, where it traces: then its spans and ours are one trace.
  const own = traceparentNow();
  if (own !== undefined) return own;
  const hex = [...crypto.getRandomValues(new Uint8Array(24))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
  return `00-${hex.slice(0, 32)}-${hex.slice(32)}-01`;
}
