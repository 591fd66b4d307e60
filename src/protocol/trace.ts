/** W3C trace context, as far as rooms need it: what a `traceparent` looks like. Knows nothing of spans. */

/** version "-" trace-id "-" parent-id "-" flags, none of the ids all zeros (Trace Context level 1, section 3.2). */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** Whether a value is a `traceparent`. */
export function isTraceparent(value: unknown): value is string {
  return typeof value === "string" && TRACEPARENT.test(value);
}

/** The trace that a `traceparent` belongs to: 32 hex digits. */
export function traceIdOf(traceparent: string): string {
  return traceparent.slice(3, 35);
}
