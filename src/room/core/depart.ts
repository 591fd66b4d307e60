/**
 * How connections and sessions end: a drop (connection lost, session open), a leave (session over), and what the
 * others are told of either. Every way out of a room goes through here, so that each is announced exactly once.
 */
import type { CodeName } from "../../protocol/codes.ts";
import type { Member } from "../../protocol/frames.ts";
import { applyAll } from "./commands.ts";
import type { Effect } from "./event.ts";
import { runHook } from "./hooks.ts";
import { isPresent, member } from "../store/members.ts";
import type { Session } from "../store/sessions.ts";
import type { Connection, RoomState } from "../store/state.ts";

/** The connection is lost. Its session can be resumed, and nobody is told before the grace is over. */
export function drop(state: RoomState, session: Session, now: number, effects: Effect[]): void {
  const connection = state.connections.get(session.id);
  if (connection) state.release(connection);
  state.active = true;
  state.deadlinesChanged = true;
  const crowded = state.sessions.drop(session, now);
  if (crowded) end(state, crowded, now, effects);
}

/** Tells a connection why, releases it, and keeps its session. */
export function disconnect(
  state: RoomState,
  connection: Connection,
  code: CodeName,
  now: number,
  effects: Effect[],
  retryAfter?: number,
): void {
  effects.push({ type: "close", connection, code, ...(retryAfter !== undefined && { retryAfter }) });
  const session = state.sessions.get(connection.session);
  if (session) drop(state, session, now, effects);
  else state.release(connection);
}

/** The session is over, and with it its connection if it still has one. */
export function end(state: RoomState, session: Session, now: number, effects: Effect[], code: CodeName = "done"): void {
  const connection = state.connections.get(session.id);
  if (connection) {
    effects.push({ type: "close", connection, code, requestId: session.requestId });
    state.release(connection);
  }
  const gone = member(state.sessions, session.user);
  state.sessions.end(session);
  state.log.forget(session.id);
  state.deadlinesChanged = true;
  if (session.present) announceLeave(state, gone, now, effects);
}

/** What a member looks like may have changed with one of its sessions: then the others are told. */
export function announceChange(state: RoomState, before: Member, effects: Effect[]): void {
  if (!isPresent(state.sessions, before.id)) return;
  const after = member(state.sessions, before.id);
  if (JSON.stringify(after) === JSON.stringify(before)) return;
  state.active = true;
  effects.push({ type: "presence", change: "update", member: after });
}

/** The grace of a dropped session is over: if it was the member's last, the others are told. */
export function graceOver(state: RoomState, session: Session, now: number, effects: Effect[]): void {
  const gone = member(state.sessions, session.user);
  state.sessions.change(session, { present: false });
  state.deadlinesChanged = true;
  announceLeave(state, gone, now, effects);
}

function announceLeave(state: RoomState, gone: Member, now: number, effects: Effect[]): void {
  if (isPresent(state.sessions, gone.id)) return announceChange(state, gone, effects);
  state.active = true;
  effects.push({ type: "presence", change: "leave", user: gone.id, after: state.log.head });
  const { onLeave } = state.definition.hooks;
  if (!onLeave) return;
  const result = runHook(state, now, effects, "onLeave", (room) => onLeave(room, gone), { user: gone.id });
  if (result.ok) applyAll(state, result.commands, now, effects);
}
