/**
 * Spans through the runtime's own tracing, or none where the runtime has none. Older runtimes lack all of it or a part of it:
 * what is missing is left out, and the work is done all the same.
 */
import { isTraceparent } from "../protocol/trace.ts";
import type { Attributes } from "../room/runtime/ticker.ts";

/** What a span of the runtime may have. */
interface RuntimeSpan {
  readonly isTraced?: boolean;
  setAttribute?(name: string, value: string | number): void;
  spanContext?(): { readonly traceId?: string; readonly spanId?: string } | undefined;
}

/** The part of the runtime's tracing that is used, if it is there. */
export interface RuntimeTracing {
  enterSpan?<T>(name: string, run: (span: RuntimeSpan) => T): T;
  getActiveSpan?(): RuntimeSpan | undefined;
}

/** Opens spans. */
export interface Tracer {
  /** Runs something as the span `edgerooms.<name>`, with attributes `edgerooms.*`. */
  span<T>(name: string, attributes: Attributes, run: () => T): T;
  /** The W3C trace context of the span that runs now, if the runtime traces. */
  traceparentNow(): string | undefined;
}

/** A tracer over what a runtime has. */
export function tracerOver(tracing: RuntimeTracing | undefined): Tracer {
  return {
    span(name, attributes, run) {
      if (typeof tracing?.enterSpan !== "function") return run();
      let hasBegun = false;
      try {
        return tracing.enterSpan(`edgerooms.${name}`, (opened) => {
          hasBegun = true;
          describe(opened, attributes);
          return run();
        });
      } catch (error) {
        if (hasBegun) throw error;
        return run();
      }
    },
    traceparentNow() {
      try {
        const own = tracing?.getActiveSpan?.()?.spanContext?.();
        const traceparent = own && `00-${own.traceId}-${own.spanId}-01`;
        return isTraceparent(traceparent) ? traceparent : undefined;
      } catch {
        return undefined;
      }
    },
  };
}

/** A span that cannot be described is a span all the same. */
function describe(span: RuntimeSpan, attributes: Attributes): void {
  try {
    if (span.isTraced !== true) return;
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== undefined) span.setAttribute?.(`edgerooms.${key}`, value);
    }
  } catch {
    // Attributes are for a person who looks into a trace, and nothing depends on them.
  }
}
