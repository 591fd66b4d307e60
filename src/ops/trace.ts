/** Spans of the runtime's own tracing: seen by a tail Worker (ops/otlp) or in the dashboard, next to nothing otherwise. */
import { tracing } from "cloudflare:workers";
import { isTraceparent } from "../protocol/trace.ts";
import type { Attributes } from "../room/runtime/ticker.ts";

/** Runs something as the span `edgerooms.<name>`, with attributes `edgerooms.*`. */
export function span<T>(name: string, attributes: Attributes, run: () => T): T {
  return tracing.enterSpan(`edgerooms.${name}`, (opened) => {
    if (opened.isTraced) {
      for (const [key, value] of Object.entries(attributes)) {
        if (value !== undefined) opened.setAttribute(`edgerooms.${key}`, value);
      }
    }
    return run();
  });
}

/** The W3C trace context of the span that runs now, if the runtime traces. */
export function traceparentNow(): string | undefined {
  const own = tracing.getActiveSpan()?.spanContext();
  const traceparent = own && `00-${own.traceId}-${own.spanId}-01`;
  return isTraceparent(traceparent) ? traceparent : undefined;
}
