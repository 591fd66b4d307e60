/**
 * What a publication goes through on its way into the log, whether it came as a frame or over HTTP: the hook that may
 * rewrite or reject it, its place, and what the hook asked for besides.
 */
import { texts } from "../../protocol/codes.ts";
import type { Json, Publication } from "../../protocol/frames.ts";
import { reject, Rejection, type Me, type RoomContext } from "../definition.ts";
import type { Command, Effect, Refused } from "./event.ts";
import type { FailureContext } from "../telemetry/failure.ts";
import { runHook, writable } from "./hooks.ts";
import type { RoomState } from "../store/state.ts";

/** What somebody wants to publish. */
export interface Submission {
  readonly data: Json;
  readonly to?: readonly string[] | undefined;
  readonly traceparent?: string | undefined;
}

/** A publication that has its place in the log, and what its hook asked for: to be done once it is acknowledged. */
export interface Accepted {
  readonly ok: true;
  readonly publication: Publication;
  readonly commands: readonly Command[];
}

/**
 * Puts a submission through `onPublish` and into the log.
 *
 * @param me who publishes; a function, because only a hook needs to know
 * @param source the session and ref that a repeat would come with
 */
export function publish(
  state: RoomState,
  user: string,
  me: () => Me,
  { data, to, traceparent }: Submission,
  now: number,
  effects: Effect[],
  about: FailureContext,
  source?: { session: string; ref: number },
): Accepted | Refused {
  const { onPublish } = state.definition.hooks;
  const append = (stored: Json) =>
    state.log.append(
      { by: user, at: now, data: stored, ...(to && { to }), ...(traceparent && { traceparent }) },
      source,
    );
  if (!onPublish) {
    const publication = append(data);
    if (!publication) return { ok: false, code: "rejected", message: texts.too_large };
    state.active = true;
    return { ok: true, publication, commands: [] };
  }
  // Within the hook's own transaction: what it wrote is undone with a publication that cannot be stored.
  const hook = (room: RoomContext) => {
    const returned = writable(onPublish(room, me(), data));
    if (returned instanceof Rejection) return returned;
    return append(returned === undefined ? data : returned) ?? reject(texts.too_large);
  };
  const result = runHook(state, now, effects, "onPublish", hook, about);
  if (!result.ok) return result;
  state.active = true;
  return { ok: true, publication: result.value, commands: result.commands };
}
