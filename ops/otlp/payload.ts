/**
 * The part of the OTLP/HTTP JSON encoding that we send: ids as hex, 64-bit integers as decimal strings, enums as numbers.
 * Owns nothing but the shapes and how values become them; knows nothing of the runtime's events.
 */

/** `AnyValue` of opentelemetry/proto/common/v1. */
export type AnyValue =
  | { stringValue: string }
  | { boolValue: boolean }
  | { intValue: string }
  | { doubleValue: number | string }
  | { arrayValue: { values: AnyValue[] } };

/** One attribute. */
export interface KeyValue {
  readonly key: string;
  readonly value: AnyValue;
}

/** A pointer to a span of this or another trace. */
export interface Link {
  readonly traceId: string;
  readonly spanId: string;
}

/** `Span` of opentelemetry/proto/trace/v1. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: SpanKind;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly KeyValue[];
  readonly droppedEventsCount?: number;
  readonly links?: readonly Link[];
  readonly status?: Status;
}

/** Absent means unset. */
export interface Status {
  readonly code: StatusCode;
  readonly message?: string;
}

/** `LogRecord` of opentelemetry/proto/logs/v1. */
export interface LogRecord {
  readonly timeUnixNano: string;
  readonly severityNumber: number;
  readonly severityText: string;
  readonly body: AnyValue;
  readonly attributes: readonly KeyValue[];
  readonly traceId: string;
  readonly spanId?: string;
}

/** Numbers of `Span.SpanKind`. */
export const spanKinds = { internal: 1, server: 2, client: 3 } as const;
/** A number of `Span.SpanKind`. */
export type SpanKind = (typeof spanKinds)[keyof typeof spanKinds];

/** Numbers of `Status.StatusCode`. */
export const statusCodes = { ok: 1, error: 2 } as const;
/** A number of `Status.StatusCode`. */
export type StatusCode = (typeof statusCodes)[keyof typeof statusCodes];

/** What attributes can hold. */
export type Value = string | number | boolean | bigint | readonly (string | number | boolean | bigint)[];

/** A value of the runtime as OTLP has it. Numbers without a fraction are integers. */
export function anyValue(value: Value): AnyValue {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  if (typeof value === "bigint" || Number.isSafeInteger(value)) return { intValue: String(value) };
  if (typeof value === "number") return { doubleValue: Number.isFinite(value) ? value : String(value) };
  return { arrayValue: { values: value.map(anyValue) } };
}

/** Attributes; those without a value are left out. */
export function attributes(values: Readonly<Record<string, Value | undefined>>): KeyValue[] {
  return Object.entries(values).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: anyValue(value) }],
  );
}

/** Nanoseconds since 1970. The runtime's clock has milliseconds. */
export function nanoseconds(time: Date): string {
  return `${time.getTime()}000000`;
}

const scope = { name: "edgerooms.otlp" };

/** Body of a request to `/v1/traces`. */
export function tracesBody(resource: readonly KeyValue[], spans: readonly Span[]): object {
  return { resourceSpans: [{ resource: { attributes: resource }, scopeSpans: [{ scope, spans }] }] };
}

/** Body of a request to `/v1/logs`. */
export function logsBody(resource: readonly KeyValue[], logRecords: readonly LogRecord[]): object {
  return { resourceLogs: [{ resource: { attributes: resource }, scopeLogs: [{ scope, logRecords }] }] };
}
