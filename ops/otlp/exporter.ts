/**
 * Sends OTLP requests. A collector that fails costs what it should have got and nothing else: failures are counted and
 * logged once a minute. Nothing is sent twice: the next invocation is more news than the last.
 */
import { attributes, logsBody, tracesBody, type LogRecord, type Span } from "./payload.ts";

/** Bindings of this Worker. */
export interface Env {
  readonly OTLP_ENDPOINT?: string;
  readonly OTLP_HEADERS?: string;
  readonly SERVICE_NAME?: string;
}

const TIMEOUT_MS = 10_000;
const LOG_EVERY_MS = 60_000;

/** Failures of this isolate since the last line about them. */
const failures = { count: 0, loggedAt: 0 };

function failed(why: string): void {
  failures.count++;
  const now = Date.now();
  if (now - failures.loggedAt < LOG_EVERY_MS) return;
  console.error(
    JSON.stringify({ level: "error", code: "upstream_failed", source: "otlp", failures: failures.count, why }),
  );
  Object.assign(failures, { count: 0, loggedAt: now });
}

/** Reads `key=value,key2=value2`, values percent-encoded, as the OTLP specification has it. */
export function parseHeaders(text = ""): [string, string][] {
  return text.split(",").flatMap((pair) => {
    const equals = pair.indexOf("=");
    if (equals < 1) return [];
    return [[pair.slice(0, equals).trim(), decodeURIComponent(pair.slice(equals + 1).trim())] as [string, string]];
  });
}

async function post(env: Env, path: string, body: object): Promise<void> {
  try {
    if (!env.OTLP_ENDPOINT) return failed("OTLP_ENDPOINT is not set");
    const response = await fetch(env.OTLP_ENDPOINT.replace(/\/+$/, "") + path, {
      method: "POST",
      headers: [["content-type", "application/json"], ...parseHeaders(env.OTLP_HEADERS)],
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const answer = await response.text();
    if (!response.ok) failed(`HTTP ${response.status}`);
    // Taken only in part: `{"partialSuccess":{"rejectedSpans":"3",...}}`.
    else if (/"rejected(?:Spans|LogRecords)":\s*"?[1-9]/.test(answer)) failed("rejected in part");
  } catch (error) {
    failed(error instanceof Error ? error.name : "unknown");
  }
}

/** Sends what one invocation has to tell. Never rejects. */
export async function exportAll(
  env: Env,
  version: string | undefined,
  spans: readonly Span[],
  logs: readonly LogRecord[],
): Promise<void> {
  const resource = attributes({
    "service.name": env.SERVICE_NAME || "edgerooms",
    "service.version": version,
    "cloud.provider": "cloudflare",
  });
  await Promise.all([
    spans.length > 0 ? post(env, "/v1/traces", tracesBody(resource, spans)) : undefined,
    logs.length > 0 ? post(env, "/v1/logs", logsBody(resource, logs)) : undefined,
  ]);
}
