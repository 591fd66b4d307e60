/**
 * Observes every request of an app: gives it its value when it arrives, and at the end counts it and reports what went wrong.
 * The one place in http/ where a refusal becomes a count, a log line and perhaps an alert.
 */
import type { Context, ExecutionContext, MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import { record, type OnAlert } from "../ops/failures.ts";
import { isolate } from "../ops/isolate.ts";
import { keepReported, reportSoon } from "../ops/reporting.ts";
import { span } from "../ops/trace.ts";
import { codes, type CodeName } from "../protocol/codes.ts";
import { recordOf } from "../room/telemetry/failure.ts";
import { refuseUpgrade } from "./problem.ts";
import { beginRequest, deniedOf, isUpgrade, type Denied, type RequestInfo } from "./request.ts";
import { denial } from "./thrown.ts";

const METHODS: readonly string[] = ["GET", "POST", "OPTIONS", "HEAD", "PUT", "DELETE", "PATCH"];
/** Codes that rooms report themselves, with what was thrown. */
const REPORTED_BY_ROOMS: readonly CodeName[] = ["internal", "hook_failed", "storage_failed"];

/** Observes all requests of an app. */
export function observe<Env extends object>(
  onAlert: (env: Env) => OnAlert | undefined,
): MiddlewareHandler<{ Bindings: Env }> {
  return async (c, next) => {
    const info = beginRequest(c);
    await next();
    const { status } = c.res;
    const method = METHODS.includes(c.req.method) ? c.req.method : "other";
    const route = routePath(c);
    isolate.count("http_requests", { method, route, status });
    const denied = deniedOf(c);
    if (denied && isUpgrade(c.req.raw)) isolate.count("upgrades", { result: "refused", code: denied.code });
    else if (status === 101) isolate.count("upgrades", { result: "accepted", code: "" });
    const alerted = denied && report({ info, ...denied }, `${method} ${route}`, onAlert(c.env));
    // What answers an upgrade cannot be changed on every runtime.
    if (status !== 101 && info.traceparent !== undefined) c.header("traceparent", info.traceparent);
    const context = contextOf(c);
    if (alerted) context?.waitUntil(alerted);
    const reported = reportSoon(c.env);
    if (reported) context?.waitUntil(reported);
  };
}

/** The answer to something that was thrown and that nobody caught. */
export function onThrown(error: Error, c: Context): Response {
  return refuseUpgrade(c, denial(error, c.env as object | undefined));
}

/** Runs a part of the work for a request as a span of its trace. */
export function spanned<T>({ traceparent, address }: RequestInfo, name: string, run: () => T): T {
  return span(name, { traceparent, ...address }, run);
}

/** Returns what has to be waited for, if anything. */
function report(
  { code, message, cause, info = {} }: Denied,
  source: string,
  onAlert: OnAlert | undefined,
): Promise<void> | undefined {
  if (REPORTED_BY_ROOMS.includes(code) && cause === undefined) return undefined;
  isolate.count("errors", { code });
  if (codes[code].severity === "info") return undefined;
  const { address, ...about } = info;
  const failure = recordOf({ ...about, code, source, error: cause ?? message }, Date.now(), address);
  keepReported(failure);
  return record(failure, onAlert);
}

/** Absent where an app is asked without one, as tests and servers other than Workers do. */
function contextOf(c: Context): ExecutionContext | undefined {
  try {
    return c.executionCtx;
  } catch {
    return undefined;
  }
}
