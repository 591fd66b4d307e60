/**
 * What a request to the HTTP API may say: its body, query and Idempotency-Key, read as the command for a room, or as a
 * sentence that says what they must be. Pure; knows neither Hono nor the caller.
 */
import {
  BATCH_ID,
  DEFAULT_DRAIN_MS,
  DEFAULT_LOG_PAGE,
  IDEMPOTENCY_KEY,
  MAX_DRAIN_MS,
  MAX_LIST_PAGE,
  MAX_LOG_PAGE,
  SESSION_ID,
} from "../../protocol/api.ts";
import { isOffset, isRecipients } from "../../protocol/codec.ts";
import type { Json } from "../../protocol/frames.ts";
import { MAX_DEPTH, MAX_RECIPIENTS, MAX_USER_ID } from "../../protocol/limits.ts";
import { isTraceparent } from "../../protocol/trace.ts";
import type { OperatorCommand } from "../../room/operator.ts";

type Command<T extends OperatorCommand["type"]> = Extract<OperatorCommand, { type: T }>;
type Body = Readonly<Record<string, unknown>>;

const PUBLISH = `The body is {"data", "to"?, "traceparent"?}: "data" any JSON, nested at most ${MAX_DEPTH - 1} deep, "to" 1 to ${MAX_RECIPIENTS} user ids, "traceparent" W3C Trace Context.`;
const KICK = `The body is {"user"}, 1 to ${MAX_USER_ID} characters, or {"session"}, 1 to 64 of A-Z a-z 0-9 _ -.`;
const REVOKE = `The body is {"user"}, 1 to ${MAX_USER_ID} characters.`;
const REDELIVER = 'The body is {"batch"?}: the id of a dead letter. Without it: all of them.';
const SKIP = 'The body is {"batch"}: the id of the batch that holds up the others.';
const DROP = 'The body is {"batch"}, the id of a dead letter, or {"all": true}.';
const LETTER = '"batch" is the id of a dead letter.';
const DRAIN = `The body is {"within"?, "reopenAfter"?}, both in ms and at most ${MAX_DRAIN_MS}.`;

/** The longest `next` of a page, in UTF-16 units: the id of a session, a point, the id of a user. */
export const MAX_AFTER = 64 + 1 + MAX_USER_ID;

/** A publication. `key` is the Idempotency-Key header, if the request has one. */
export async function readPublish(bytes: ArrayBuffer, key: string | undefined): Promise<Command<"post"> | string> {
  if (key !== undefined && !IDEMPOTENCY_KEY.test(key))
    return "The Idempotency-Key is 1 to 255 visible ASCII characters.";
  const body = objectIn(bytes);
  if (body?.["data"] === undefined || isDeeper(body, MAX_DEPTH)) return PUBLISH;
  const { data, to, traceparent } = body;
  if (to !== undefined && !isRecipients(to)) return PUBLISH;
  if (traceparent !== undefined && !isTraceparent(traceparent)) return PUBLISH;
  return {
    type: "post",
    data: data as Json,
    ...(to !== undefined && { to }),
    ...(traceparent !== undefined && { traceparent }),
    // Here, not in the room: a room has one thread for all requests, the Worker one for each.
    ...(key !== undefined && { key: { name: key, digest: await digestOf([data, to]) } }),
  };
}

/** Tells one publication from another: SHA-256, hexadecimal. */
async function digestOf(publication: unknown): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(publication));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Which part of the log: `?after=&limit=`. */
export function readRange(after: string | undefined, limit: string | undefined): Command<"read"> | string {
  const from = after === undefined ? undefined : numberIn(after);
  if (from === null || !isOffset(from ?? 0)) return '"after" is an offset: an integer from 0.';
  const most = limit === undefined ? DEFAULT_LOG_PAGE : numberIn(limit);
  if (most === null || most < 1 || most > MAX_LOG_PAGE) return `"limit" is an integer from 1 to ${MAX_LOG_PAGE}.`;
  return { type: "read", ...(from !== undefined && { after: from }), limit: most };
}

/** Which page of members or sessions: `?after=&limit=`. */
export function readPage<T extends "members" | "sessions">(
  type: T,
  after: string | undefined,
  limit: string | undefined,
): { readonly type: T; readonly after?: string; readonly limit?: number } | string {
  if (after !== undefined && (after.length === 0 || after.length > MAX_AFTER))
    return '"after" is the "next" of a page.';
  const most = limit === undefined ? undefined : numberIn(limit);
  if (most === null || (most !== undefined && (most < 1 || most > MAX_LIST_PAGE)))
    return `"limit" is an integer from 1 to ${MAX_LIST_PAGE}.`;
  return { type, ...(after !== undefined && { after }), ...(most !== undefined && { limit: most }) };
}

/** What to remove: a user, or one session. */
export function readKick(bytes: ArrayBuffer): Command<"kick"> | string {
  const { user, session } = objectIn(bytes) ?? {};
  if (session === undefined) return isUser(user) ? { type: "kick", user } : KICK;
  if (user !== undefined || typeof session !== "string" || !SESSION_ID.test(session)) return KICK;
  return { type: "kick", session };
}

/** The user whose tokens are refused from now on. */
export function readRevoke(bytes: ArrayBuffer): Command<"revoke"> | string {
  const { user } = objectIn(bytes) ?? {};
  return isUser(user) ? { type: "revoke", user } : REVOKE;
}

/** How a room empties. A request without a body asks for the defaults. */
export function readDrain(bytes: ArrayBuffer): Command<"drain"> | string {
  const body = bytes.byteLength === 0 ? {} : objectIn(bytes);
  if (!body) return DRAIN;
  const { within = DEFAULT_DRAIN_MS, reopenAfter = 0 } = body;
  if (!isDuration(within) || !isDuration(reopenAfter)) return DRAIN;
  return { type: "drain", within: Math.round(within), reopenAfter: Math.round(reopenAfter) };
}

/** Which dead letter to look at: `?batch=`. */
export function readLetter(batch: string | undefined): Command<"letter"> | string {
  return isBatch(batch) ? { type: "letter", batch } : LETTER;
}

/** Which dead letters to try again. A request without a body asks for all. */
export function readRedeliver(bytes: ArrayBuffer): Command<"redeliver"> | string {
  const body = bytes.byteLength === 0 ? {} : objectIn(bytes);
  if (!body) return REDELIVER;
  const { batch } = body;
  if (batch === undefined) return { type: "redeliver" };
  return isBatch(batch) ? { type: "redeliver", batch } : REDELIVER;
}

/** Which batch to set aside. */
export function readSkip(bytes: ArrayBuffer): Command<"skip"> | string {
  const { batch } = objectIn(bytes) ?? {};
  return isBatch(batch) ? { type: "skip", batch } : SKIP;
}

/** Which dead letters to forget. All of them only when the request says so: nothing brings them back. */
export function readDrop(bytes: ArrayBuffer): Command<"drop"> | string {
  const { batch, all } = objectIn(bytes) ?? {};
  if (batch === undefined) return all === true ? { type: "drop" } : DROP;
  return all === undefined && isBatch(batch) ? { type: "drop", batch } : DROP;
}

function objectIn(bytes: ArrayBuffer): Body | undefined {
  try {
    // Text that is not UTF-8 would be stored as something that nobody sent.
    const body: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes));
    return typeof body === "object" && body !== null && !Array.isArray(body) ? (body as Body) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a value nests deeper than `limit`. Goes no deeper than that itself. */
function isDeeper(value: unknown, limit: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return limit === 0 || Object.values(value).some((inner) => isDeeper(inner, limit - 1));
}

/** A number in a query, or `null`. */
function numberIn(text: string): number | null {
  return /^\d{1,16}$/.test(text) ? Number(text) : null;
}

function isBatch(value: unknown): value is string {
  return typeof value === "string" && BATCH_ID.test(value);
}

function isUser(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= MAX_USER_ID;
}

function isDuration(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= MAX_DRAIN_MS;
}
