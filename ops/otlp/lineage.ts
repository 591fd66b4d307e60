/**
 * Under which trace an invocation is told to the outside world. The runtime makes a trace id of its own for every
 * request and takes no `traceparent` over; the attribute `edgerooms.traceparent` (or, before a span has it, the request's
 * header or query) says where it belongs. Knows nothing of spans and their times.
 */
import { isTraceId } from "./allowed.ts";
import type { Link } from "./payload.ts";

/** Where an invocation's first span hangs. */
export interface Context {
  readonly traceId: string;
  readonly parentSpanId?: string;
  readonly links: readonly Link[];
}

/** Reads a W3C traceparent. */
export function parseTraceparent(text: unknown): Link | undefined {
  if (typeof text !== "string") return undefined;
  const [, traceId = "", spanId = ""] = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}/.exec(text) ?? [];
  return isTraceId(traceId) && !/^0+$/.test(spanId) ? { traceId, spanId } : undefined;
}

/** The traceparent that a request came with. The query is for browsers, whose WebSockets have no headers. */
export function requestTraceparent(info: TailStream.FetchEventInfo): Link | undefined {
  const header = info.headers.find(({ name }) => name.toLowerCase() === "traceparent")?.value;
  return parseTraceparent(header ?? URL.parse(info.url)?.searchParams.get("traceparent"));
}

/** Requests under way at once in one isolate, with room to spare: 1 MB. */
const REMEMBERED = 10_000;

/**
 * Remembers which of the runtime's traces are told under another id, so that a call from the Worker to an object hangs
 * under its caller. Best effort: when another isolate tells of the caller, the call hangs under the traceparent itself.
 */
export class Lineage {
  readonly #told = new Map<string, string>();

  /** @param native the runtime's trace id */
  remember(native: string, traceId: string): void {
    this.#told.delete(native);
    this.#told.set(native, traceId);
    for (const oldest of this.#told.keys()) {
      if (this.#told.size <= REMEMBERED) break;
      this.#told.delete(oldest);
    }
  }

  /** @param carried the traceparent that the invocation itself carries */
  context(onset: TailStream.TailEvent<TailStream.Onset>, carried: Link | undefined): Context {
    const { traceId: native, spanId: caller } = onset.spanContext;
    const told = this.#told.get(native) ?? native;
    if (onset.event.info.type === "hibernatableWebSocket") {
      // The runtime puts every message of a connection, for hours, into the trace of its upgrade. Each is a trace of its
      // own here, or belongs to the traceparent that it carries; a link leads to the upgrade.
      const links = caller === undefined ? [] : [{ traceId: told, spanId: caller }];
      if (carried) return { traceId: carried.traceId, parentSpanId: carried.spanId, links };
      return { traceId: isTraceId(onset.invocationId) ? onset.invocationId : native, links };
    }
    if (carried && (caller === undefined || carried.traceId !== told)) {
      // Made from the runtime's own trace: then its parent is one of the spans of this very invocation.
      if (carried.traceId === native) return { traceId: native, links: [] };
      return { traceId: carried.traceId, parentSpanId: carried.spanId, links: [] };
    }
    return { traceId: told, ...(caller !== undefined && { parentSpanId: caller }), links: [] };
  }
}
