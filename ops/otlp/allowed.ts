/**
 * What may leave: the one place that decides. Attributes are let through by name, so that a header, a query, a statement
 * or whatever else the runtime adds tomorrow stays here.
 */
import type { Value } from "./payload.ts";

const ALLOWED = new Set([
  "cloudflare.durable_object.alarm.scheduled_time",
  "cloudflare.durable_object.response.rows_read",
  "cloudflare.durable_object.response.rows_written",
  "db.operation.name",
  "db.system.name",
  "error.type",
  "http.request.method",
  "http.response.status_code",
  "jsrpc.method",
  "jsrpc.operation",
  "jsrpc.target_kind",
  "network.protocol.name",
  "network.protocol.version",
]);

/** Of the rooms' own spans, and of a deployer's who names attributes so. */
const OWN = "edgerooms.";

/** The attributes of a span that are exported. Of a URL only host and path are. */
export function allowedAttributes(attributes: readonly TailStream.Attribute[]): Record<string, Value> {
  const allowed: Record<string, Value> = {};
  for (const { name, value } of attributes) {
    if (name === "url.full" && typeof value === "string") Object.assign(allowed, place(value));
    else if (ALLOWED.has(name) || name.startsWith(OWN)) allowed[name] = value;
  }
  return allowed;
}

/** Where a request goes, without its query. */
export function place(url: string): Record<string, string> {
  const parsed = URL.parse(url);
  return parsed ? { "server.address": parsed.host, "url.path": parsed.pathname } : {};
}

/** 16 bytes in hex, not all zero. */
export function isTraceId(text: string): boolean {
  return /^(?!0{32})[0-9a-f]{32}$/.test(text);
}
