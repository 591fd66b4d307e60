/**
 * What went wrong, and for which user: alike for a bad frame, a hook that throws, a disk that fails and a refused request.
 * Turns what was thrown into a line that can be shown to an operator.
 */
import type { FailureRecord } from "../../protocol/api.ts";
import { codes, type CodeName } from "../../protocol/codes.ts";
import { traceIdOf } from "../../protocol/trace.ts";

export type { FailureRecord } from "../../protocol/api.ts";

/** The session, user and request that a failure belongs to. */
export interface FailureContext {
  readonly session?: string;
  readonly user?: string;
  /** Id of the HTTP request that opened the connection, or that asked. */
  readonly requestId?: string | undefined;
  readonly traceparent?: string | undefined;
}

/** One failure. What was sent or said is never part of it. */
export interface Failure extends FailureContext {
  readonly code: CodeName;
  /** What failed: the type of a frame, the name of a hook, a part of the room. */
  readonly source: string;
  /** What was thrown: only its name and message are ever read. */
  readonly error?: unknown;
}

/** Characters of a message, at most: a hook may throw anything. */
const MESSAGE_LENGTH = 300;
/** What could forge a line of a log, colour a terminal or hide: controls, line ends, what turns text around, tags. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\u{e0000}-\u{e007f}]/gu;
/** Anything like a JWT, or the beginning of one: an error that quotes its input must not put a token into a log. */
const TOKEN = /\beyJ[\w.-]{8,}|\b[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}/g;

/** A failure as it is written down. */
export function recordOf(
  failure: Failure,
  now: number,
  place: { kind: string; room: string } | undefined,
): FailureRecord {
  const { code, source, session, user, requestId, traceparent, error } = failure;
  return {
    at: now,
    code,
    source,
    ...(place?.kind && { kind: place.kind }),
    ...(place?.room && { room: place.room }),
    ...(session !== undefined && { session }),
    ...(user !== undefined && { user }),
    ...(requestId !== undefined && { requestId }),
    ...(traceparent !== undefined && { traceId: traceIdOf(traceparent) }),
    ...(error !== undefined && { message: messageOf(error) }),
  };
}

/** Whether a failure is no client's doing. */
export function isGrave({ code }: FailureRecord): boolean {
  return codes[code].severity !== "warn";
}

/**
 * A record more among a few. Of what clients do wrong the newest of each code and room is enough, and goes first: nobody may
 * push out what is grave by going on.
 */
export function addRecord(
  records: readonly FailureRecord[],
  record: FailureRecord,
  max: number,
): readonly FailureRecord[] {
  const isSame = ({ code, room }: FailureRecord) => code === record.code && room === record.room;
  const all = [...(isGrave(record) ? records : records.filter((other) => !isSame(other))), record];
  if (all.length <= max) return all;
  const first = all.findIndex((other) => !isGrave(other));
  return all.toSpliced(Math.max(0, first), 1);
}

/** What was thrown, as a line that can be shown to an operator: no stack, no token, no control characters. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text
    .slice(0, 4 * MESSAGE_LENGTH)
    .replace(TOKEN, "[token]")
    .replace(UNPRINTABLE, "\uFFFD")
    .slice(0, MESSAGE_LENGTH);
}

/** Storage that this version must not touch. */
export class UnreadableStorage extends Error {
  override readonly name = "UnreadableStorage";
}

/** The class of something that was thrown: its own code, if it has one; SQLite's errors say so in their message. */
export function codeOfThrown(error: unknown): CodeName {
  const { code } = (typeof error === "object" && error !== null ? error : {}) as { code?: unknown };
  if (code === "hook_failed") return code;
  const isStorage = error instanceof UnreadableStorage || (error instanceof Error && /\bSQLITE_/.test(error.message));
  return isStorage ? "storage_failed" : "internal";
}

/** The class of what an outlet threw: its own `code` if it is one of the table, as those of this package are. */
export function codeOfOutlet(error: unknown): CodeName {
  const { code, name } = (typeof error === "object" && error !== null ? error : {}) as { code?: string; name?: string };
  if (code !== undefined && Object.hasOwn(codes, code)) return code as CodeName;
  return name === "TimeoutError" ? "upstream_timeout" : "upstream_failed";
}
