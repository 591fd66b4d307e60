/**
 * How connections and sessions end: a drop (connection lost, session open), a leave (session over), and what the others
 * are told of either. Every way out of a room goes through here, so that each is announced exactly once.
 */
import type { CodeName } from "../../protocol/codes.ts";
import type { Member } from "../../protocol/frames.ts";
import type { Connection } from "../rules/connection.ts";
import { member } from "../store/members.ts";
import type { Session } from "../store/sessions.ts";
import { runHook } from "./hooks.ts";
import type { Farewell, Turn } from "./turn.ts";

/** The connection is lost. Its session can be resumed, and nobody is told before the grace is over. */
export function drop(turn: Turn, session: Session): void {
  const { state, now } = turn;
  const connection = state.connections.get(session.id);
  if (connection) state.release(connection);
  const crowded = state.sessions.drop(session, now);
  if (crowded) end(turn, crowded);
}

/** Tells a connection why, lets it go, and keeps its session. */
export function disconnect(turn: Turn, connection: Connection, farewell: Farewell): void {
  turn.close(connection, farewell);
  const session = turn.state.sessions.get(connection.session);
  if (session) drop(turn, session);
}

/** The session is over, and with it its connection if it still has one. */
export function end(turn: Turn, session: Session, code: CodeName = "done"): void {
  const { state } = turn;
  const connection = state.connections.get(session.id);
  if (connection) turn.close(connection, { code });
  const gone = member(state.sessions, session.user);
  state.sessions.end(session);
  state.log.forget(session.id);
  turn.reportHome({ over: session });
  if (session.present) announceLeave(turn, gone);
}

/** What a member looks like may have changed with one of its sessions: then the others are told. */
export function announceChange(turn: Turn, before: Member): void {
  const { sessions, definition } = turn.state;
  // Where nobody is told of a change, nothing is compared.
  if (definition.presence !== "list") return;
  if (!sessions.isPresent(before.id)) return;
  const after = member(sessions, before.id);
  if (JSON.stringify(after) !== JSON.stringify(before)) turn.presence({ change: "update", member: after });
}

/** The grace of a dropped session is over: if it was the member's last, the others are told. */
export function graceOver(turn: Turn, session: Session): void {
  const { sessions } = turn.state;
  const gone = member(sessions, session.user);
  sessions.hide(session);
  turn.reportHome({ gone: session });
  announceLeave(turn, gone);
}

/** A member is gone from one place. It may be here from another. */
export function announceLeave(turn: Turn, gone: Member): void {
  const { state } = turn;
  if (state.isPresent(gone.id)) return announceChange(turn, gone);
  turn.presence({ change: "leave", user: gone.id });
  const { onLeave } = state.definition.hooks;
  if (!onLeave) return;
  const { about } = turn;
  turn.about = { user: gone.id };
  runHook(turn, "onLeave", (room) => onLeave(room, gone));
  turn.about = about;
}
