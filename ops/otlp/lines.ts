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

/** Anything like a JWT, or the beginning of one, and what stands behind "Bearer". */
const TOKEN = /\beyJ[\w.-]{8,}|\b[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}|(?<=\bbearer[ .])\S+/gi;
/** A frame of a stack ends with the place in a file. */
const FRAME = /^ {4}at \S.*?(?::\d+:\d+|<anonymous>|native)\)?$/;

/** The message of an exception can quote what a client sent ("... is not valid JSON"): its name and place are enough. */
export function thrown({ name, message, stack = "" }: TailStream.Exception, time: Date, spanId: string): Note {
  const frames = framesIn(stack, message);
  return {
    timeUnixNano: nanoseconds(time),
    severityNumber: 17,
    severityText: "error",
    body: { stringValue: name },
    attributes: attributes({ "exception.type": name, "exception.stacktrace": frames.join("\n") || undefined }),
    spanId,
  };
}

/**
 * The frames of a stack. JavaScript begins it with the message, which may have lines that look like frames; the runtime takes
 * that off before it tells of an exception. What cannot be told from the message is left out.
 */
function framesIn(stack: string, message: string): string[] {
  const lines = stack.split("\n");
  if (!stack.includes(message) && !lines.every((line) => FRAME.test(line))) return [];
  const said = new Set(message.split("\n"));
  const first = lines.findLastIndex((line) => !FRAME.test(line)) + 1;
  const frames = lines.slice(first).filter((line) => !said.has(line));
  return frames.map((line) => line.replaceAll(TOKEN, "[token]"));
}

/** A line of `console`. */
export function noted({ level, message }: TailStream.Log, time: Date, spanId: string): Note {
  const parts: unknown[] = Array.isArray(message) ? message : [message];
  const text = parts.map((part) => (typeof part === "string" ? part : JSON.stringify(part))).join(" ");
  const line = parseLine(text);
  const body = (line?.body ?? text).replaceAll(TOKEN, "[token]");
  const severityText = line?.level ?? level;
  return {
    timeUnixNano: nanoseconds(time),
    severityNumber: SEVERITIES[severityText] ?? 9,
    severityText,
    body: { stringValue: body },
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
