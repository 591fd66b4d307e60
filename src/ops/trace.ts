/**
 * The tracer of this isolate: seen by a tail Worker (ops/otlp) or in the dashboard, next to nothing otherwise. As a namespace,
 * because a module that imports a name the runtime does not export would not start.
 */
import * as runtime from "cloudflare:workers";
import type { Attributes } from "../room/runtime/ticker.ts";
import { tracerOver, type RuntimeTracing } from "./tracer.ts";

const { tracing } = runtime as { readonly tracing?: RuntimeTracing };

const tracer = tracerOver(tracing);

/** Runs something as the span `edgerooms.<name>`, with attributes `edgerooms.*`. */
export function span<T>(name: string, attributes: Attributes, run: () => T): T {
  return tracer.span(name, attributes, run);
}

/** The W3C trace context of the span that runs now, if the runtime traces. */
export function traceparentNow(): string | undefined {
  return tracer.traceparentNow();
}
