/**
 * Whether credentials can be used: the one check of what an Authenticator and `authorize` return. Both are the deployer's
 * code, so their types promise more than they keep: `expires: NaN` would keep a connection open for ever.
 */
import { grants as known, type GrantName } from "../../protocol/api.ts";
import { UNPRINTABLE } from "../../protocol/identity.ts";
import { MAX_USER_ID, MAX_USER_NAME } from "../../protocol/limits.ts";
import type { Credentials } from "../../room/admission.ts";
import { HookFailed } from "../thrown.ts";

/** The last moment that a Date can be, in ms since the epoch. JSON carries it, but not Infinity, nor `exp: 1e999`. */
const END_OF_TIME_MS = 8.64e15;
/** How far a token's time may be ahead of ours, in ms; as `clockTolerance` at most. */
const MAX_AHEAD_MS = 60_000;

// In names, two characters that are not printed have a use: they join letters in some scripts.
const JOINERS = /[\u200c\u200d]/gu;

/** Whether a value is a user id: 1 to 255 printable characters. */
export function isUserId(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= MAX_USER_ID && !UNPRINTABLE.test(value);
}

/** Whether a value is a name that others can be shown: 1 to 128 printable characters. */
export function isName(value: unknown): value is string {
  return (
    typeof value === "string" &&
    value !== "" &&
    value.length <= MAX_USER_NAME &&
    !UNPRINTABLE.test(value.replaceAll(JOINERS, ""))
  );
}

/** The user of a token, whatever room it is about. */
export type Identity = Omit<Credentials, "grants">;

/**
 * Reads an identity. `expires` may be Infinity, for credentials that never end.
 *
 * @param source what said so, for the message
 * @throws HookFailed that names the field
 */
export function readIdentity(value: object, source: string): Identity {
  const { user, name, issued, expires } = value as Readonly<Record<string, unknown>>;
  if (!isUserId(user)) throw wrong(source, "user", `1 to ${MAX_USER_ID} printable characters`, user);
  if (name !== undefined && !isName(name))
    throw wrong(source, "name", `1 to ${MAX_USER_NAME} printable characters`, name);
  if (!isMoment(issued) || issued > Date.now() + MAX_AHEAD_MS) {
    throw wrong(source, "issued", "a moment in the past, in ms since the epoch, or 0", issued);
  }
  if (!isMoment(expires)) throw wrong(source, "expires", "a moment, in ms since the epoch", expires);
  return {
    user,
    ...(name !== undefined && { name }),
    issued: Math.floor(issued),
    expires: Math.floor(Math.min(expires, END_OF_TIME_MS)),
  };
}

/**
 * Reads credentials; nothing else of the value is kept.
 *
 * @param source what said so, for the message
 * @throws HookFailed that names the field
 */
export function readCredentials(value: object, source: string): Credentials {
  const { grants } = value as Readonly<Record<string, unknown>>;
  if (!Array.isArray(grants) || !grants.every((grant) => known.includes(grant as GrantName))) {
    throw wrong(source, "grants", `an array of ${known.join(", ")}`, grants);
  }
  return { ...readIdentity(value, source), grants: [...new Set(grants as GrantName[])] };
}

function isMoment(value: unknown): value is number {
  return typeof value === "number" && value >= 0;
}

function wrong(source: string, field: string, rule: string, value: unknown): HookFailed {
  return new HookFailed(`${source} returned an invalid ${field}: it is ${rule}, not ${shown(value)}`);
}

function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, MAX_USER_NAME)) : String(value);
}
