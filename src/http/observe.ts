/**
 * What is known of every request from outside it: the trace it belongs to, how it was answered, what went wrong. The one
 * place in http/ where a refusal or a throw becomes a log line, a count and perhaps an alert.
 */
import type { Context, ExecutionContext, MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import { tellCounts, type Directory } from "../ops/directory.ts";
import { record, type OnAlert } from "../ops/failures.ts";
import { isolate } from "../ops/metrics.ts";
import { span, traceparentNow } from "../ops/trace.ts";
import { UpstreamFailed } from "../ops/upstream.ts";
import { codes, type CodeName } from "../protocol/codes.ts";
import { isTraceparent } from "../protocol/trace.ts";
import { recordOf, addRecord, type FailureRecord } from "../room/telemetry/failure.ts";
import { isUpgrade, refuseUpgrade } from "./problem.ts";
import { seenOf, type LoggedRefusal, type Seen } from "./request.ts";

/** How long counts wait for more before they are handed to the directory, in ms; the platform waits 30 s at most. */
const FLUSH_AFTER = 10_000;
/** A flush that is older was lost with the request that it waited for. */
const FLUSH_LOST = 30_000;
/** Failures kept until they are handed over; the newest. */
const MAX_NOTES = 20;
const METHODS: readonly string[] = ["GET", "POST", "OPTIONS", "HEAD", "PUT", "DELETE", "PATCH"];
/** Codes that rooms write down themselves, with what was thrown. */
const TOLD_BY_ROOMS: readonly CodeName[] = ["internal", "hook_failed", "storage_failed"];

let notes: readonly FailureRecord[] = [];
let flushing = -Infinity;

/** Watches all requests of an app. */
export function watch<Env extends object>(
  onAlert: (env: Env) => OnAlert | undefined,
): MiddlewareHandler<{ Bindings: Env }> {
  return async (c, next) => {
    const seen = seenOf(c);
    const traceparent = traceOf(c);
    seen.traceparent = traceparent;
    await next();
    const { status } = c.res;
    const method = METHODS.includes(c.req.method) ? c.req.method : "other";
    // What is between the bars of a series are its labels.
    const route = routePath(c).replaceAll("|", "%7C");
    isolate.add(`http_requests|${method}|${route}|${status}`);
    const { refusal } = seen;
    if (refusal && isUpgrade(c.req.raw)) isolate.add(`upgrades|refused|${refusal.code}`);
    else if (status === 101) isolate.add("upgrades|accepted|");
    const alerted = refusal && refused(seen, refusal, c.get("requestId"), `${method} ${route}`, onAlert(c.env));
    // What answers an upgrade cannot be changed on every runtime.
    if (status !== 101) c.header("traceparent", traceparent);
    const waiting = contextOf(c);
    if (alerted) waiting?.waitUntil(alerted);
    if (Date.now() - flushing > FLUSH_LOST) {
      flushing = Date.now();
      waiting?.waitUntil(later(c.env));
    }
  };
}

/** The answer to something that was thrown. Says what only in development: it may tell a stranger about the inside. */
export function thrown(error: Error, c: Context): Response {
  seenOf(c).thrown = error;
  const refusal = refusalOf(error);
  const { ENVIRONMENT } = (c.env ?? {}) as { ENVIRONMENT?: string };
  const detail = ENVIRONMENT === "development" && refusal.code === "internal";
  return refuseUpgrade(c, detail ? { ...refusal, message: `${error.name}: ${error.message}` } : refusal);
}

/** Hands what this isolate has counted to the directory, if there is one. */
export async function flush(env: object): Promise<void> {
  const { EDGEROOMS_DIRECTORY: directory } = env as { EDGEROOMS_DIRECTORY?: DurableObjectNamespace<Directory> };
  if (!directory) return;
  const counts = isolate.take();
  const told = notes;
  notes = [];
  // A room in this isolate may have told it meanwhile.
  if (told.length === 0 && Object.keys(counts).length === 0) return;
  try {
    await tellCounts(directory, counts, told);
  } catch {
    isolate.merge(counts);
    notes = [...told, ...notes].slice(-MAX_NOTES);
  }
}

/** Runs a part of what a request needs as a span of its trace. */
export function spanned<T>(c: Context, name: string, run: () => T): T {
  const { traceparent, address } = seenOf(c);
  return span(name, { traceparent, ...address }, run);
}

async function later(env: object): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, FLUSH_AFTER));
  flushing = -Infinity;
  await flush(env);
}

function refused(
  { thrown: error, traceparent, address, user }: Seen,
  { code, message, because = message }: LoggedRefusal,
  requestId: string | undefined,
  source: string,
  onAlert: OnAlert | undefined,
): Promise<void> | undefined {
  if (TOLD_BY_ROOMS.includes(code) && !error) return undefined;
  isolate.add(`errors|${code}`);
  if (codes[code].severity === "info") return undefined;
  const about = { ...(user !== undefined && { user }), requestId, traceparent };
  const note = recordOf({ ...about, code, source, error: error ?? because }, Date.now(), address);
  notes = addRecord(notes, note, MAX_NOTES);
  return record(note, onAlert);
}

/** What a throw means. A Durable Object's own errors say whether trying again makes sense. */
function refusalOf(error: Error): LoggedRefusal {
  if (error instanceof UpstreamFailed) {
    const { code, retryAfter } = error;
    return { code, ...(retryAfter !== undefined && { retryAfter }) };
  }
  const { retryable, overloaded, durableObjectReset } = error as Error & Partial<Record<string, unknown>>;
  if (error.name === "TimeoutError") return { code: "upstream_timeout" };
  if (overloaded === true) return { code: "room_full", retryAfter: 30_000 };
  // Between two deploys a room or the directory may still be of the version before, and not know what is asked of it.
  const isOlder = /RPC receiver does not implement/.test(error.message);
  if (retryable === true || durableObjectReset === true || isOlder) return { code: "restarting", retryAfter: 1_000 };
  return { code: "internal" };
}

/** The trace that the caller began; ours if it began none. Browsers cannot set a header on an upgrade. */
function traceOf(c: Context): string {
  const given = c.req.header("traceparent") ?? (isUpgrade(c.req.raw) ? c.req.query("traceparent") : undefined);
  if (isTraceparent(given)) return given;
  // The runtime's own, where it traces: then its spans and ours make one.
  const own = traceparentNow();
  if (own !== undefined) return own;
  const hex = [...crypto.getRandomValues(new Uint8Array(24))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
  return `00-${hex.slice(0, 32)}-${hex.slice(32)}-01`;
}

/** Absent where an app is asked without one, as tests and servers other than Workers do. */
function contextOf(c: Context): ExecutionContext | undefined {
  try {
    return c.executionCtx;
  } catch {
    return undefined;
  }
}
