/**
 * Text or bytes <-> frames. Total: whatever a socket delivers becomes a value, never a throw, and never costs more
 * than one pass over a bounded text. The only file that knows the wire is JSON.
 */
import type { ClientFrame, Json, ServerFrame } from "./frames.ts";
import { MAX_BATCH, MAX_DEPTH, MAX_RECIPIENTS, MAX_USER_ID } from "./limits.ts";
import { isTraceparent } from "./trace.ts";

/** Why a message or one frame of it is not usable. `ref` is set when the culprit had a readable one. */
export interface Malformed {
  readonly type: "malformed";
  readonly code: "bad_frame" | "too_large";
  readonly message: string;
  readonly ref?: number;
  /** The publish that it follows, where it is a publish that says so; its own ref where that cannot be read. */
  readonly after?: number;
  /** It was a call: the answer is a `reply`. */
  readonly call?: true;
}

type Frame<T extends ServerFrame["type"]> = Extract<ServerFrame, { type: T }>;

const encoder = new TextEncoder();

/** Bytes of a text in UTF-8. */
export function byteLength(text: string): number {
  return encoder.encode(text).byteLength;
}

/** Whether a text is longer than `limit` bytes of UTF-8; counts only when the length in UTF-16 leaves it open. */
export function exceeds(text: string, limit: number): boolean {
  return text.length > limit || (text.length * 3 > limit && byteLength(text) > limit);
}

/** One frame as text. */
export function encode(frame: ServerFrame | ClientFrame): string {
  return JSON.stringify(frame);
}

/** A frame that carries the list of members, which is already text. */
export function encodeWith(members: string, frame: Omit<Frame<"welcome">, "members"> | Frame<"presence">): string {
  return `${JSON.stringify(frame).slice(0, -1)},"members":${members}}`;
}

/** A value as JSON has it: what JSON would leave out (undefined, a function) is null. */
export function orNull(value: Json | undefined): Json {
  return JSON.stringify(value) === undefined ? null : (value as Json);
}

/** Frames, each already text, as one message. */
export function join(frames: readonly string[]): string {
  return frames.length === 1 ? String(frames[0]) : `[${frames.join(",")}]`;
}

/** A `pub` frame around items that are already text, so that a replay never parses what it only passes on. */
export function encodePub(from: number, upto: number, items: string): string {
  return `{"type":"pub","from":${from},"upto":${upto},"items":[${items}]}`;
}

/**
 * The frames of one message, each usable or {@link Malformed}. A message that cannot be read at all gives one
 * `Malformed`; in an array every frame is judged alone.
 *
 * @param limit largest message in bytes of UTF-8
 */
export function decode(message: string | ArrayBuffer, limit: number): (ClientFrame | Malformed)[] {
  if (typeof message !== "string") return [bad("edgerooms.v1 is text; binary messages are not part of it")];
  if (exceeds(message, limit)) {
    return [{ type: "malformed", code: "too_large", message: `a message is at most ${limit} bytes` }];
  }
  // The array that makes several frames one message is not part of any of them.
  if (deeper(message, /^\s*\[/.test(message) ? MAX_DEPTH + 1 : MAX_DEPTH))
    return [bad(`nesting is at most ${MAX_DEPTH} deep`)];
  let value: unknown;
  try {
    value = JSON.parse(message);
  } catch {
    return [bad("not JSON")];
  }
  if (!Array.isArray(value)) return [readFrame(value)];
  if (value.length === 0) return [bad("an empty array has no frame")];
  if (value.length > MAX_BATCH) return [bad(`a message has at most ${MAX_BATCH} frames`)];
  return value.map(readFrame);
}

/** Reads what a server sent, for clients and tests: one message as frames, or `undefined` when it is not ours. */
export function decodeServer(message: string): ServerFrame[] | undefined {
  try {
    const value: unknown = JSON.parse(message);
    const list: unknown[] = Array.isArray(value) ? value : [value];
    return list.every((frame) => isObject(frame) && typeof frame["type"] === "string")
      ? (list as ServerFrame[])
      : undefined;
  } catch {
    return undefined;
  }
}

function readFrame(value: unknown): ClientFrame | Malformed {
  if (!isObject(value)) return bad("a frame is a JSON object");
  const { type } = value;
  switch (type) {
    case "publish": {
      const { ref, after, data, traceparent } = value;
      if (!isRef(ref)) return bad("publish needs a ref: an integer from 1");
      const wrong = (message: string): Malformed => ({
        ...bad(message, ref),
        ...(after !== undefined && { after: isRef(after) ? after : ref }),
      });
      if (after !== undefined && !(isRef(after) && after < ref)) return wrong("after is an earlier ref");
      if (data === undefined) return wrong("publish needs data");
      const to = readRecipients(value["to"]);
      if (to === null) return wrong(toRule());
      if (traceparent !== undefined && !isTraceparent(traceparent))
        return wrong("traceparent is not valid W3C Trace Context");
      return {
        type,
        ref,
        ...(after !== undefined && { after }),
        data: data as Json,
        ...(to && { to }),
        ...(traceparent !== undefined && { traceparent }),
      };
    }
    case "signal": {
      if (value["data"] === undefined) return bad("signal needs data");
      const to = readRecipients(value["to"]);
      if (to === null) return bad(toRule());
      const { scope } = value;
      if (scope !== undefined && scope !== "near") return bad('scope is "near", or absent');
      return { type, data: value["data"] as Json, ...(to && { to }), ...(scope && { scope }) };
    }
    case "presence":
      if (value["data"] === undefined) return bad("presence needs data");
      return { type, data: value["data"] as Json };
    case "call": {
      const { ref, method, data } = value;
      if (!isRef(ref)) return bad("call needs a ref: an integer from 1");
      if (!isMethod(method)) {
        return { ...bad("call needs a method: 1 to 64 characters", ref), call: true };
      }
      return { type, ref, method, data: (data ?? null) as Json };
    }
    case "ack":
    case "sync": {
      const { offset } = value;
      if (!isOffset(offset)) return bad(`${type} needs an offset: an integer from 0`);
      return { type, offset };
    }
    case "leave":
      return { type };
    default:
      return bad("unknown frame type");
  }
}

// A function, so that clients do not carry the text.
const toRule = () => `to is an array of 1 to ${MAX_RECIPIENTS} user ids`;

function readRecipients(value: unknown): readonly string[] | undefined | null {
  if (value === undefined) return undefined;
  return isRecipients(value) ? value : null;
}

/** Whether a value can be a `to`. */
export function isRecipients(value: unknown): value is readonly string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_RECIPIENTS) return false;
  return value.every((id) => typeof id === "string" && id.length > 0 && id.length <= MAX_USER_ID);
}

/** Whether a value can be the name of a method. */
export function isMethod(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= 64;
}

function bad(message: string, ref?: number): Malformed {
  return { type: "malformed", code: "bad_frame", message, ...(ref !== undefined && { ref }) };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isRef(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

/** Whether a value can be an offset: an integer from 0 that JSON carries exactly. */
export function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

const QUOTE = 34;
const BACKSLASH = 92;

/** Whether brackets outside strings nest deeper than `limit`. Before JSON.parse, so that depth never costs memory. */
function deeper(text: string, limit: number): boolean {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (quoted) {
      if (c === BACKSLASH) i++;
      else if (c === QUOTE) quoted = false;
    } else if (c === QUOTE) quoted = true;
    else if (c === 91 || c === 123) {
      if (++depth > limit) return true;
    } else if (c === 93 || c === 125) depth--;
  }
  return false;
}
