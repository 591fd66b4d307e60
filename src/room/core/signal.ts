/**
 * What a signal of a member goes through on its way to the others: the hook that may rewrite or reject it. Nothing of it is
 * stored.
 */
import { encode, orNull } from "../../protocol/codec.ts";
import type { Json } from "../../protocol/frames.ts";
import type { Me } from "../definition.ts";
import type { Session } from "../store/sessions.ts";
import type { Result } from "./event.ts";
import { addressed, runHook, sendable } from "./hooks.ts";
import type { Turn } from "./turn.ts";

/** What a member signals. */
export interface Signalled {
  readonly data: Json;
  readonly to?: readonly string[];
  readonly scope?: "near";
}

/**
 * Puts a signal through `onSignal` and on its way.
 *
 * @param me a function, because only a hook needs to know
 */
export function signal(turn: Turn, session: Session, me: () => Me, frame: Signalled): Result<undefined> {
  const { data, to, scope } = frame;
  const { onSignal } = turn.state.definition.hooks;
  let said = data;
  if (onSignal) {
    const result = runHook(turn, "onSignal", (room) => sendable(onSignal(room, me(), data, addressed(to))));
    if (!result.ok) return result;
    if (result.value !== undefined) said = orNull(result.value);
  }
  turn.count("signals");
  const text = encode({ type: "signal", by: session.user, data: said });
  turn.signal({ text, except: session.id, ...(to && { to }) }, scope);
  return { ok: true, value: undefined };
}
