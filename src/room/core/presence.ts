/**
 * What a member shows of itself, and how many members there are: what is refused, the hook that may rewrite or reject, and
 * when the others learn of a new number. The list of members is the store's.
 */
import { encode, exceeds, orNull } from "../../protocol/codec.ts";
import type { Json } from "../../protocol/frames.ts";
import { MAX_PRESENCE_BYTES } from "../../protocol/limits.ts";
import { reject, Rejection, type Me } from "../definition.ts";
import { member } from "../store/members.ts";
import type { Session } from "../store/sessions.ts";
import type { RoomState } from "../store/state.ts";
import { announceChange } from "./depart.ts";
import type { Result } from "./event.ts";
import { runHook, writable } from "./hooks.ts";
import type { TickContext, Turn } from "./turn.ts";

/**
 * Puts what a member wants to show through `onPresence`, and shows it.
 *
 * @param me a function, because only a hook needs to know
 */
export function show(turn: Turn, session: Session, me: () => Me, data: Json): Result<undefined> {
  const { sessions, definition } = turn.state;
  const wrong = whyNotShown(turn.state, session, data);
  if (wrong !== undefined) return { ok: false, code: "rejected", message: wrong };
  const { onPresence } = definition.hooks;
  let shown = data;
  if (onPresence) {
    // Within the hook's own transaction: what it wrote is undone with data that cannot be shown.
    const result = runHook(turn, "onPresence", (room) => {
      const returned = writable(onPresence(room, me(), data));
      if (returned === undefined || returned instanceof Rejection) return returned;
      const rewritten = orNull(returned);
      const why = whyNotShown(turn.state, session, rewritten);
      return why === undefined ? { rewritten } : reject(why);
    });
    if (!result.ok) return result;
    // A copy, as it travels: later changes to the hook's own object change nothing.
    if (result.value) shown = JSON.parse(JSON.stringify(result.value.rewritten)) as Json;
  }
  const before = member(sessions, session.user);
  sessions.show(session, shown, turn.now);
  announceChange(turn, before);
  return { ok: true, value: undefined };
}

function whyNotShown({ sessions, definition }: RoomState, session: Session, data: Json): string | undefined {
  if (definition.presence !== "list") return "the members of this room show nothing of themselves";
  if (exceeds(JSON.stringify(data), MAX_PRESENCE_BYTES)) return `presence is at most ${MAX_PRESENCE_BYTES} bytes`;
  return sessions.canShow(session, data) ? undefined : "the room holds all the presence data that it can";
}

/** The end of a tick: everyone learns how many members there are now, if it is time. Else the room is asked to look again. */
export function announceCount({ state, now, outgoing, effects }: TickContext): void {
  const { headcount, connections, definition, remote } = state;
  if (definition.presence !== "count" || (connections.size === 0 && !remote.isUsed)) return;
  // A relay that has just woken has not been told yet.
  if (state.mirror && state.mirror.count === undefined) return;
  if (outgoing.isHeartbeat) headcount.remind();
  const due = headcount.due(now, connections.size);
  if (due === undefined) return;
  if (due > now) effects.countDue = due;
  else {
    headcount.told(now);
    outgoing.broadcast(encode({ type: "presence", count: state.population }));
  }
}
