/**
 * Asks a room: in bounded time, with what it throws made a refusal, and with nothing taken for an answer that is none.
 * During a deploy the room may run another version than the Worker.
 */
import { readRefusal, type Refusal } from "../protocol/refusal.ts";
import { withTimeout } from "../protocol/with-timeout.ts";
import type { Passage } from "./gate/gate.ts";
import type { Denied } from "./request.ts";
import { denial } from "./thrown.ts";

/** How long a room is waited for: more than one needs, and less than clients wait, in ms. */
const ROOM_TIMEOUT_MS = 20_000;

/** Calls a room. The value may be anything: {@link readAnswer} and {@link refusalIn} read it. */
export async function askRoom<T>(
  passage: Passage,
  env: object,
  call: (passage: Passage) => PromiseLike<T>,
): Promise<{ readonly value: Awaited<T> } | Denied> {
  try {
    return { value: await withTimeout(call(passage), "the room", ROOM_TIMEOUT_MS) };
  } catch (error) {
    return denial(error, env, passage.info);
  }
}

/** An answer of another version, in a shape that this one cannot read. */
const ANOTHER_VERSION: Refusal = {
  code: "restarting",
  message: "The room runs another version of edgerooms, which answered in another way. Was the deploy completed?",
  retryAfter: 1_000,
};

/**
 * A room's answer to an operation. A room of an older version answers an operation that it does not know with an empty
 * success: an answer without its fields is refused.
 *
 * @param fields that the answer must have
 */
export function readAnswer(
  answer: unknown,
  fields: readonly string[],
): { readonly ok: true; readonly value: object } | ({ readonly ok: false } & Refusal) {
  const { ok, value } = (typeof answer === "object" && answer !== null ? answer : {}) as Record<string, unknown>;
  if (ok !== true) return { ok: false, ...refusalIn(answer) };
  const isWhole = typeof value === "object" && value !== null && fields.every((field) => field in value);
  return isWhole ? { ok: true, value } : { ok: false, ...ANOTHER_VERSION };
}

/** A room's refusal. A code that this version does not know cannot be passed on. */
export function refusalIn(answer: unknown): Refusal {
  return readRefusal(answer) ?? ANOTHER_VERSION;
}
