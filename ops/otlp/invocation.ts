/**
 * One invocation of a Worker or an object, from its onset to its outcome: collects the runtime's events and makes spans
 * and log records of them. Knows nothing of HTTP and of other invocations.
 */
import { allowedAttributes, place } from "./allowed.ts";
import { parseTraceparent, requestTraceparent, type Context, type Lineage } from "./lineage.ts";
import { noted, thrown, type Note } from "./lines.ts";
import { attributes, nanoseconds, spanKinds, statusCodes } from "./payload.ts";
import type { Link, LogRecord, Span, SpanKind, Status, Value } from "./payload.ts";

type Event = TailStream.TailEvent<TailStream.EventType>;

/** A span that is not exported yet. */
interface Open {
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly start: Date;
  name: string;
  kind: SpanKind;
  end?: Date;
  status?: Status;
  traceparent?: Link;
  dropped?: number;
  attributes: Record<string, Value>;
}

/** Outcomes that nobody has to look at: the client went away. */
const FINE: readonly TailStream.EventOutcome[] = ["ok", "canceled", "responseStreamDisconnected"];

/** See above. */
export class Invocation {
  readonly #onset: TailStream.TailEvent<TailStream.Onset>;
  readonly #lineage: Lineage;
  readonly #root: Open;
  readonly #spans = new Map<string, Open>();
  #notes: Note[] = [];
  #context: Context | undefined;
  #carried: Link | undefined;
  /** An upgrade that was answered: its outcome comes when the socket closes, perhaps in a day. Nobody waits for that. */
  #upgraded = false;

  constructor(onset: TailStream.TailEvent<TailStream.Onset>, lineage: Lineage) {
    this.#onset = onset;
    this.#lineage = lineage;
    const { event, timestamp, invocationId, spanContext } = onset;
    this.#root = {
      spanId: event.spanId,
      parentSpanId: undefined,
      start: timestamp,
      name: nameOf(event),
      kind: event.info.type === "alarm" ? spanKinds.internal : spanKinds.server,
      attributes: {
        ...allowedAttributes(event.attributes ?? []),
        ...factsOf(event),
        "faas.invocation_id": invocationId,
      },
    };
    this.#spans.set(event.spanId, this.#root);
    if (event.info.type === "fetch") this.#carried = requestTraceparent(event.info);
    if (this.#carried && spanContext.spanId === undefined) lineage.remember(spanContext.traceId, this.#carried.traceId);
  }

  /** @returns whether something is complete: `take` it now */
  add({ event, spanContext, timestamp }: Event): boolean {
    const span = this.#spans.get(spanContext.spanId ?? "");
    switch (event.type) {
      case "spanOpen":
        this.#spans.set(event.spanId, {
          spanId: event.spanId,
          parentSpanId: spanContext.spanId,
          start: timestamp,
          name: event.name,
          kind: event.name === "fetch" ? spanKinds.client : spanKinds.internal,
          attributes: event.info?.type === "attributes" ? allowedAttributes(event.info.info) : {},
        });
        return false;
      case "attributes":
        if (span) this.#describe(span, event.info);
        return false;
      case "spanUpdate":
        if (span && event.info.type === "name") span.name = event.info.name;
        else if (span && event.info.type === "status") setStatus(span, event.info.status);
        return false;
      case "spanClose":
        if (span) {
          span.end = timestamp;
          if (!FINE.includes(event.outcome)) span.status ??= { code: statusCodes.error, message: event.outcome };
        }
        return this.#upgraded && [...this.#spans.values()].every(({ end }) => end);
      case "return":
        this.#return(event, timestamp);
        return this.#upgraded;
      case "exception":
        this.#root.status = { code: statusCodes.error, message: event.name };
        this.#notes.push(thrown(event, timestamp, spanContext.spanId ?? this.#root.spanId));
        return false;
      case "log":
        this.#notes.push(noted(event, timestamp, spanContext.spanId ?? this.#root.spanId));
        return false;
      case "streamDiagnostic":
        this.#root.dropped = (this.#root.dropped ?? 0) + event.diagnostic.count;
        return false;
      case "outcome":
        this.#end(event, timestamp);
        return true;
      case "onset":
      case "diagnosticChannel":
        return false;
    }
  }

  /** What is complete and was not taken before. */
  take(): { spans: Span[]; logs: LogRecord[] } {
    const context = (this.#context ??= this.#lineage.context(this.#onset, this.#carriedBySpan() ?? this.#carried));
    const spans: Span[] = [];
    for (const span of this.#spans.values()) {
      if (!span.end) continue;
      this.#spans.delete(span.spanId);
      spans.push(finished(span, span.end, context, span === this.#root));
    }
    const logs = this.#notes.map(({ traceId, spanId, ...note }) =>
      traceId === undefined || traceId === context.traceId
        ? { ...note, traceId: context.traceId, spanId }
        : { ...note, traceId },
    );
    this.#notes = [];
    return { spans, logs };
  }

  #describe(span: Open, info: readonly TailStream.Attribute[]): void {
    Object.assign(span.attributes, allowedAttributes(info));
    const traceparent = parseTraceparent(span.attributes["edgerooms.traceparent"]);
    if (traceparent) span.traceparent = traceparent;
    if (span.attributes["jsrpc.target_kind"] === "fetcher") span.kind = spanKinds.client;
    const method = span.attributes["jsrpc.method"];
    if (span === this.#root && typeof method === "string") span.name = nameOf(this.#onset.event, method);
  }

  #return({ info }: TailStream.Return, timestamp: Date): void {
    this.#root.end = timestamp;
    const { info: request } = this.#onset.event;
    if (request.type !== "fetch") return;
    // The runtime tells no status when the answer is a socket.
    const upgrade = request.headers.some(({ name }) => name.toLowerCase() === "upgrade");
    const status = info?.statusCode ?? (upgrade ? 101 : undefined);
    if (status === undefined) return;
    this.#upgraded = status === 101;
    this.#root.attributes["http.response.status_code"] = status;
    if (status >= 500) this.#root.status ??= { code: statusCodes.error, message: `HTTP ${status}` };
  }

  #end({ outcome, cpuTime, wallTime }: TailStream.Outcome, timestamp: Date): void {
    for (const span of this.#spans.values()) span.end ??= timestamp;
    Object.assign(this.#root.attributes, { "cloudflare.outcome": outcome });
    if (cpuTime > 0) this.#root.attributes["cloudflare.cpu_time_ms"] = cpuTime;
    if (wallTime > 0) this.#root.attributes["cloudflare.wall_time_ms"] = wallTime;
    if (!FINE.includes(outcome)) this.#root.status ??= { code: statusCodes.error, message: outcome };
  }

  #carriedBySpan(): Link | undefined {
    return [...this.#spans.values()].find(({ traceparent }) => traceparent)?.traceparent;
  }
}

function nameOf({ info, entrypoint = "default" }: TailStream.Onset, method?: string): string {
  if (info.type === "fetch") return info.method;
  const what = info.type === "hibernatableWebSocket" ? info.info.type : info.type;
  return [entrypoint, what, method].filter((part) => part !== undefined).join(" ");
}

/** What an onset tells of an invocation. Of a request: method, host and path. */
function factsOf({ info, executionModel, entrypoint, durableObjectId }: TailStream.Onset): Record<string, Value> {
  return {
    "cloudflare.execution_model": executionModel,
    ...(entrypoint !== undefined && { "cloudflare.entrypoint": entrypoint }),
    ...(durableObjectId !== undefined && { "cloudflare.durable_object.id": durableObjectId }),
    ...(info.type === "fetch" && { "http.request.method": info.method, ...place(info.url) }),
    ...(info.type === "alarm" && { "cloudflare.alarm.scheduled_time": new Date(info.scheduledTime).toISOString() }),
    ...(info.type === "hibernatableWebSocket" &&
      info.info.type === "close" && {
        "websocket.close.code": info.info.code,
        "websocket.close.clean": info.info.wasClean,
      }),
  };
}

function setStatus(span: Open, { code, message }: TailStream.SpanStatus): void {
  if (code === "unset") delete span.status;
  else span.status = { code: statusCodes[code], ...(message !== undefined && { message }) };
}

function finished(span: Open, end: Date, context: Context, isRoot: boolean): Span {
  const parentSpanId = isRoot ? context.parentSpanId : span.parentSpanId;
  const foreign = span.traceparent && span.traceparent.traceId !== context.traceId ? [span.traceparent] : [];
  const links = [...(isRoot ? context.links : []), ...foreign];
  return {
    traceId: context.traceId,
    spanId: span.spanId,
    ...(parentSpanId !== undefined && { parentSpanId }),
    name: span.name,
    kind: span.kind,
    startTimeUnixNano: nanoseconds(span.start),
    endTimeUnixNano: nanoseconds(end < span.start ? span.start : end),
    attributes: attributes(span.attributes),
    ...(span.dropped !== undefined && { droppedEventsCount: span.dropped }),
    ...(links.length > 0 && { links }),
    ...(span.status && { status: span.status }),
  };
}
