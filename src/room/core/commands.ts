/**
 * What the server side of a room can do to it: callers through RPC and hooks through their context ask for the same
 * things, and get them here.
 */
import { encode, isRecipients } from "../../protocol/codec.ts";
import { MAX_RECIPIENTS } from "../../protocol/limits.ts";
import { announceChange, end } from "./depart.ts";
import type { Command, Effect, Result } from "./event.ts";
import { member, members } from "../store/members.ts";
import type { Session } from "../store/sessions.ts";
import type { RoomState } from "../store/state.ts";

/** Does what a caller asks. Every command answers with one result. */
export function apply(state: RoomState, command: Command, now: number, effects: Effect[]): Result {
  // Callers are typed, but not all of them check their types.
  if ("to" in command && command.to !== undefined && !isRecipients(command.to)) {
    return { ok: false, code: "rejected", message: `to is an array of 1 to ${MAX_RECIPIENTS} user ids` };
  }
  switch (command.type) {
    case "publish": {
      const { data, to } = command;
      const stored = state.log.append({ by: null, at: now, data, ...(to && { to }) });
      if (!stored) return { ok: false, code: "too_large" };
      return { ok: true, value: { offset: stored.offset, at: now } };
    }
    case "signal": {
      const { data, to } = command;
      effects.push({ type: "signal", text: encode({ type: "signal", by: null, data }), ...(to && { to }) });
      return { ok: true };
    }
    case "kick": {
      if (command.user !== undefined) return endAll(state, state.sessions.of(command.user), "kicked", now, effects);
      const session = state.sessions.get(command.session);
      return session ? endAll(state, [session], "kicked", now, effects) : { ok: false, code: "unknown_session" };
    }
    case "revoke":
      state.revocations.revoke(command.user, command.before);
      return endAll(state, state.sessions.of(command.user), "revoked", now, effects);
    case "drain": {
      const until = now + command.within;
      const reopens = until + command.hold;
      state.meta.set("drain", `${until} ${reopens}`);
      state.deadlinesChanged = true;
      effects.push({ type: "all", text: encode({ type: "goaway", within: command.within, reason: "draining" }) });
      return { ok: true, value: { until, reopens, connections: state.connections.size } };
    }
    case "refresh": {
      const { session: id, credentials } = command;
      const session = state.sessions.owned(id, credentials.user);
      if (!session) return { ok: false, code: "unknown_session" };
      if (!credentials.grants.includes("join")) return { ok: false, code: "forbidden" };
      if (state.revocations.covers(credentials.user, credentials.issued)) return { ok: false, code: "revoked" };
      const before = member(state.sessions, session.user);
      state.sessions.refresh(session, credentials);
      announceChange(state, before, effects);
      state.deadlinesChanged = true;
      return { ok: true };
    }
    case "members":
      return { ok: true, value: members(state.sessions) };
    case "schedule":
      state.jobs.schedule(command.name, command.due, command.data);
      state.deadlinesChanged = true;
      return { ok: true };
    case "cancel":
      state.jobs.cancel(command.name);
      state.deadlinesChanged = true;
      return { ok: true };
    case "defer":
      effects.push({ type: "work", work: command.work, after: command.after });
      return { ok: true };
  }
}

/** What a hook asked for, in its order. What cannot be done is reported: the hook is not there any more to be told. */
export function applyAll(state: RoomState, commands: readonly Command[], now: number, effects: Effect[]): void {
  for (const command of commands) {
    const result = apply(state, command, now, effects);
    if (result.ok) continue;
    const where = `room.${command.type}`;
    effects.push({ type: "failed", failure: { code: "hook_failed", where, error: new Error(result.code) } });
  }
}

function endAll(
  state: RoomState,
  sessions: readonly Session[],
  code: "kicked" | "revoked",
  now: number,
  effects: Effect[],
): Result {
  for (const session of sessions) end(state, session, now, effects, code);
  return { ok: true, value: { sessions: sessions.length } };
}
