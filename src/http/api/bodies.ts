/**
 * What a request to the operator's API may say: bodies, queries and the Idempotency-Key, read as the command for a
 * room, or as a sentence about what they should have been. Pure; knows neither Hono nor who asks.
 */
import { isOffset, isRecipients } from "../../protocol/codec.ts";
import type { Json } from "../../protocol/frames.ts";
import { MAX_DEPTH, MAX_RECIPIENTS, MAX_USER_ID } from "../../protocol/limits.ts";
import { isTraceparent } from "../../protocol/trace.ts";
import type { OperatorCommand } from "../../room/operator.ts";

type Command<T extends OperatorCommand["type"]> = Extract<OperatorCommand, { type: T }>;
type Body = Readonly<Record<string, unknown>>;

/** How long a drain may take, in ms: an hour is longer than any deploy waits. */
export const LONGEST_DRAIN = 3_600_000;
/** How long a drain takes when the body does not say, in ms. */
export const DEFAULT_DRAIN = 30_000;
/** Publications of one read of the log, at most. */
export const MAX_READ = 1_000;
/** Publications of one read of the log when the query does not say. */
export const DEFAULT_READ = 100;
/** What an Idempotency-Key looks like: visible ASCII. */
export const KEY = /^[\x21-\x7e]{1,255}$/;
/** What the id of a session looks like. */
export const SESSION = /^[A-Za-z0-9_-]{1,64}$/;

const POST = `The body is {"data", "to"?, "traceparent"?}: "data" any JSON, nested at most ${MAX_DEPTH - 1} deep, "to" 1 to ${MAX_RECIPIENTS} user ids, "traceparent" as W3C says.`;
const KICK = `The body is {"user"}, 1 to ${MAX_USER_ID} characters, or {"session"}, 1 to 64 of A-Z a-z 0-9 _ -.`;
const REVOKE = `The body is {"user"}, 1 to ${MAX_USER_ID} characters.`;
const DRAIN = `The body is {"within"?, "hold"?}, both in ms and at most ${LONGEST_DRAIN}.`;

/** A publication. `key` is the Idempotency-Key as it was sent, if one was. */
export async function readPost(bytes: ArrayBuffer, key: string | undefined): Promise<Command<"post"> | string> {
  if (key !== undefined && !KEY.test(key)) return "The Idempotency-Key is 1 to 255 visible ASCII characters.";
  const body = objectIn(bytes);
  if (body?.["data"] === undefined || deeper(body, MAX_DEPTH)) return POST;
  const { data, to, traceparent } = body;
  if (to !== undefined && !isRecipients(to)) return POST;
  if (traceparent !== undefined && !isTraceparent(traceparent)) return POST;
  return {
    type: "post",
    data: data as Json,
    ...(to !== undefined && { to }),
    ...(traceparent !== undefined && { traceparent }),
    // Here, not in the room: a room has one thread for all, the Worker one for each request.
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
  const from = after === undefined ? undefined : count(after);
  if (from === null || !isOffset(from ?? 0)) return '"after" is an offset: an integer from 0.';
  const most = limit === undefined ? DEFAULT_READ : count(limit);
  if (most === null || most < 1 || most > MAX_READ) return `"limit" is an integer from 1 to ${MAX_READ}.`;
  return { type: "read", ...(from !== undefined && { after: from }), limit: most };
}

/** Who has to go: a user or one session. */
export function readKick(bytes: ArrayBuffer): Command<"kick"> | string {
  const { user, session } = objectIn(bytes) ?? {};
  if (session === undefined) return isUser(user) ? { type: "kick", user } : KICK;
  if (user !== undefined || typeof session !== "string" || !SESSION.test(session)) return KICK;
  return { type: "kick", session };
}

/** Whose tokens are worth nothing from now on. */
export function readRevoke(bytes: ArrayBuffer): Command<"revoke"> | string {
  const { user } = objectIn(bytes) ?? {};
  return isUser(user) ? { type: "revoke", user } : REVOKE;
}

/** How a room empties. No body at all is one that leaves everything to us. */
export function readDrain(bytes: ArrayBuffer): Command<"drain"> | string {
  const body = bytes.byteLength === 0 ? {} : objectIn(bytes);
  if (!body) return DRAIN;
  const { within = DEFAULT_DRAIN, hold = 0 } = body;
  if (!isSpan(within) || !isSpan(hold)) return DRAIN;
  return { type: "drain", within: Math.round(within), reopenAfter: Math.round(hold) };
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

/** Whether a value nests deeper than `limit`; goes no deeper than that itself. */
function deeper(value: unknown, limit: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return limit === 0 || Object.values(value).some((inner) => deeper(inner, limit - 1));
}

/** A number of a query, or `null`. */
function count(text: string): number | null {
  return /^\d{1,16}$/.test(text) ? Number(text) : null;
}

function isUser(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= MAX_USER_ID;
}

function isSpan(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= LONGEST_DRAIN;
}
