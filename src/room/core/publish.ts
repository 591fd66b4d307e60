/**
 * What a publication goes through on its way into the log, whether it came as a frame or over HTTP: the hook that may
 * rewrite or reject it, and its place.
 */
import { texts } from "../../protocol/codes.ts";
import type { Json, Publication } from "../../protocol/frames.ts";
import { reject, Rejection, type Me, type RoomContext } from "../definition.ts";
import type { Source } from "../store/log.ts";
import type { Result } from "./event.ts";
import { addressed, runHook, writable } from "./hooks.ts";
import type { Turn } from "./turn.ts";

/** What somebody wants to publish. */
export interface Submission {
  readonly data: Json;
  readonly to?: readonly string[] | undefined;
  readonly traceparent?: string | undefined;
}

/** The sender of a publication. */
export interface Publisher {
  readonly user: string;
  /** A function, because only a hook needs to know. */
  readonly me: () => Me;
  /** The session and ref that a repeat would come with. */
  readonly source?: Source;
}

/** Puts a submission through `onPublish` and into the log. */
export function publish(turn: Turn, { user, me, source }: Publisher, submission: Submission): Result<Publication> {
  const { data, to, traceparent } = submission;
  const append = (stored: Json) => {
    const more = { ...(to && { to }), ...(traceparent !== undefined && { traceparent }) };
    return turn.append({ by: user, at: turn.now, data: stored, ...more }, source)?.publication;
  };
  const { onPublish } = turn.state.definition.hooks;
  if (!onPublish) {
    const publication = append(data);
    if (!publication) return { ok: false, code: "rejected", message: texts.too_large };
    return { ok: true, value: publication };
  }
  // Within the hook's own transaction: what it wrote is undone with a publication that cannot be stored.
  return runHook(turn, "onPublish", (room: RoomContext) => {
    const submitted = { ...addressed(to), offset: turn.state.log.head + 1 };
    const returned = writable(onPublish(room, me(), data, submitted));
    if (returned instanceof Rejection) return returned;
    return append(returned === undefined ? data : returned) ?? reject(texts.too_large);
  });
}
