/**
 * Observes every request of an app: gives it its value when it arrives, and at the end counts it and reports what went wrong.
 * The one place in http/ where a refusal becomes a count, a log line and perhaps an alert.
 */
import type { Context, ExecutionContext, MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import { record, type OnAlert } from "../ops/failures.ts";
import { isolate } from "../ops/isolate.ts";
import { keepReported, reportSoon } from "../ops/reporting.ts";
import type { Rotating } from "../ops/secrets.ts";
import { Misconfigured } from "../ops/settings.ts";
import { span } from "../ops/trace.ts";
import { codes, type CodeName } from "../protocol/codes.ts";
import { recordOf, type FailureRecord } from "../room/telemetry/failure.ts";
import { refuseUpgrade } from "./problem.ts";
import { beginRequest, deniedOf, isUpgrade, requestInfo, type Denied, type RequestInfo } from "./request.ts";
import { denial } from "./thrown.ts";

/** Wrong settings that one isolate reports, at most. */
const MAX_REPORTED = 100;
const METHODS: readonly string[] = ["GET", "POST", "OPTIONS", "HEAD", "PUT", "DELETE", "PATCH"];
/** Codes that rooms report themselves, with what was thrown. */
const REPORTED_BY_ROOMS: readonly CodeName[] = ["internal", "hook_failed", "storage_failed"];

/** Observes all requests of an app. What fails in here is logged, and the request goes on. */
export function observe<Env extends object>(
  onAlert: (env: Env) => OnAlert | undefined,
): MiddlewareHandler<{ Bindings: Env }> {
  return async (c, next) => {
    quietly("begin", () => beginRequest(c));
    await next();
    quietly("end", () => tell(c, onAlert));
  };
}

/** Runs a part of the observing. A runtime that lacks something must not turn every request into a failure. */
function quietly(part: string, run: () => void): void {
  try {
    run();
  } catch (error) {
    void record(recordOf({ code: "internal", source: `observe ${part}`, error }, Date.now(), undefined), undefined);
  }
}

/** Counts a request that was answered, and reports what went wrong. */
function tell<Env extends object>(c: Context<{ Bindings: Env }>, onAlert: (env: Env) => OnAlert | undefined): void {
  const info = requestInfo(c);
  const { status } = c.res;
  const method = METHODS.includes(c.req.method) ? c.req.method : "other";
  const route = routePath(c);
  isolate.count("http_requests", { method, route, status });
  const denied = deniedOf(c);
  if (denied && isUpgrade(c.req.raw)) isolate.count("upgrades", { result: "refused", code: denied.code });
  else if (status === 101) isolate.count("upgrades", { result: "accepted", code: "" });
  // What answers an upgrade cannot be changed on every runtime.
  if (status !== 101 && info.traceparent !== undefined) c.header("traceparent", info.traceparent);
  const alerts = [
    denied && report({ info, ...denied }, `${method} ${route}`, onAlert(c.env)),
    ...mistakes.splice(0).map((mistake) => record(mistake, onAlert(c.env))),
  ];
  const context = contextOf(c);
  for (const alert of alerts) if (alert) context?.waitUntil(alert);
  const reported = reportSoon(c.env);
  if (reported) context?.waitUntil(reported);
}

/** Settings that were reported as wrong in this isolate, bounded by how many sentences there are. */
const reported = new Set<string>();

/** Those of them that wait for the end of a request, which has what an alert needs. */
const mistakes: FailureRecord[] = [];

/** Logs and alerts once for each isolate that a setting is wrong, where the request goes on without it. */
export function reportMisconfigured(source: string, message: string): void {
  if (reported.has(message) || reported.size >= MAX_REPORTED) return;
  reported.add(message);
  isolate.count("errors", { code: "misconfigured" });
  const failure = recordOf({ code: "misconfigured", source, error: message }, Date.now(), undefined);
  keepReported(failure);
  mistakes.push(failure);
}

/** Reports secrets besides the current one that cannot be used, and without which the request goes on. */
export function reportUnusable({ others }: Rotating): void {
  for (const other of others) {
    other.catch((error: unknown) => {
      if (error instanceof Misconfigured) reportMisconfigured("secrets", error.message);
    });
  }
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
  const { address, isConfined = false, ...about } = info;
  // Until its token is verified a request is a stranger's, who chose the name of the room: that is no news.
  const isNamed = about.user !== undefined && !isConfined;
  const place = address && { kind: address.kind, room: isNamed ? address.room : "" };
  const failure = recordOf({ ...about, code, source, error: cause ?? message }, Date.now(), place);
  // The directory keeps failures for long. The user is in the log, where the id of the request leads.
  const { user: _user, ...kept } = failure;
  keepReported(kept);
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
