/**
 * Log records: of the rooms' structured lines their known fields, of other lines their text, of an exception its name and
 * place. Knows nothing of spans; trace ids are filled in by callers that know them.
 */
import { isTraceId } from "./allowed.ts";
import { attributes, nanoseconds, type LogRecord } from "./payload.ts";

/** A log record before its invocation's trace id is known. It has one already when the line itself names another. */
export type Note = Omit<LogRecord, "traceId" | "spanId"> & { readonly traceId?: string; readonly spanId: string };

// As OpenTelemetry's data model maps the levels of syslog.
const SEVERITIES: Readonly<Record<string, number>> = { debug: 5, log: 9, info: 9, warn: 13, error: 17, alert: 19 };

/** The message of an exception can quote what a client sent ("... is not valid JSON"): its name and place are enough. */
export function thrown({ name, stack = "" }: TailStream.Exception, time: Date, spanId: string): Note {
  const frames = stack.split("\n").filter((line) => line.startsWith("    at "));
  return {
    timeUnixNano: nanoseconds(time),
    severityNumber: 17,
    severityText: "error",
    body: { stringValue: name },
    attributes: attributes({ "exception.type": name, "exception.stacktrace": frames.join("\n") || undefined }),
    spanId,
  };
}

/** A line of `console`. */
export function noted({ level, message }: TailStream.Log, time: Date, spanId: string): Note {
  const parts: unknown[] = Array.isArray(message) ? message : [message];
  const text = parts.map((part) => (typeof part === "string" ? part : JSON.stringify(part))).join(" ");
  const line = parseLine(text);
  const severityText = line?.level ?? level;
  return {
    timeUnixNano: nanoseconds(time),
    severityNumber: SEVERITIES[severityText] ?? 9,
    severityText,
    body: { stringValue: line?.body ?? text },
    attributes: attributes(line?.attributes ?? {}),
    ...(line?.traceId !== undefined && { traceId: line.traceId }),
    spanId,
  };
}

interface Line {
  readonly level: string;
  readonly body: string;
  readonly traceId?: string;
  readonly attributes: Record<string, string>;
}

const FIELDS = ["code", "source", "kind", "room", "session", "user", "requestId"];

/** Reads `{"level","code",...}`; `undefined` for every other line. */
function parseLine(text: string): Line | undefined {
  if (!text.startsWith("{")) return undefined;
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof line !== "object" || line === null) return undefined;
  const fields = new Map(
    Object.entries(line).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
  const [level, code, traceId] = [fields.get("level"), fields.get("code"), fields.get("traceId")];
  if (level === undefined || code === undefined) return undefined;
  const known: Record<string, string> = {};
  for (const name of FIELDS) {
    const value = fields.get(name);
    if (value !== undefined) known[`edgerooms.${name}`] = value;
  }
  const body = fields.get("message") ?? code;
  return { level, body, attributes: known, ...(traceId !== undefined && isTraceId(traceId) && { traceId }) };
}
