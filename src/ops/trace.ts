/** Spans of the runtime's own tracing: seen by a tail Worker (ops/otlp) or in the dashboard, next to nothing otherwise. */
import { tracing } from "cloudflare:workers";

/** What a span says of itself. */
export type Attributes = Readonly<Record<string, string | number | undefined>>;

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
