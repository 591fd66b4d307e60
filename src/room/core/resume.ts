/**
 * Brings a connection from where it is to the log's head: on resume, on `sync`, and when credit returns. All of it in
 * the turn that decided it, so that nothing can be published in between.
 */
import { encode, encodePub, encodeWith, orNull } from "../../protocol/codec.ts";
import type { Json, ResetReason } from "../../protocol/frames.ts";
import { applyAll } from "./commands.ts";
import type { Effect } from "./event.ts";
import { BACKLOG_BYTES } from "../rules/rate.ts";
import { runHook } from "./hooks.ts";
import { member } from "../store/members.ts";
import { toMe } from "../store/sessions.ts";
import type { Connection, RoomState } from "../store/state.ts";

/** A replay is told in `pub` frames of about this many bytes. */
const CHUNK_BYTES = 262_144;
/** Publications that the default snapshot holds, at most. */
const DEFAULT_SNAPSHOT = 50;

/** Why a position cannot be continued from, or `undefined` when it can, with nothing missed. */
export function whyReset(
  state: RoomState,
  position: { readonly epoch: string; readonly offset: number },
  hasCredit: boolean,
): ResetReason | undefined {
  const { log, epochs } = state;
  const known = epochs.knows(position, log.head);
  if (!known) return known === undefined ? "offset_ahead" : "epoch_changed";
  if (!log.covers(position.offset)) return "log_trimmed";
  // Without credit a replay goes out at once: it must fit into what any socket may leave unread.
  if (!hasCredit && log.bytesBetween(position.offset, log.head) > BACKLOG_BYTES / 2) return "too_far";
  return undefined;
}

/** Continues a connection from an offset that {@link whyReset} allowed. */
export function replay(state: RoomState, connection: Connection, offset: number, effects: Effect[]): void {
  connection.fed = offset;
  connection.dirty = true;
  if (connection.acked !== undefined) connection.acked = offset;
  for (const { ref, offset: taken, at } of state.log.refs.after(connection.session, offset)) {
    effects.push({ type: "send", to: connection, text: encode({ type: "ack", ref, offset: taken, at }) });
  }
  feed(state, connection, effects);
}

/** Sends what the connection lacks, as far as its credit goes. */
export function feed(state: RoomState, connection: Connection, effects: Effect[]): void {
  for (const { from, upto, items } of state.log.after(connection.fed, connection.user, CHUNK_BYTES)) {
    if (!state.mayFeed(connection)) break;
    effects.push({ type: "send", to: connection, text: encodePub(from, upto, items) });
    connection.fed = upto;
    connection.dirty = true;
  }
  if (connection.presenceStale && connection.fed === state.log.head && state.mayFeed(connection)) {
    connection.presenceStale = false;
    connection.dirty = true;
    const text = encodeWith(state.roster.text, { type: "presence" });
    effects.push({ type: "send", to: connection, text }, { type: "told", connection });
  }
}

/** The client has `offset`: credit returns, and what waited for it follows, from the log or as a reset. */
export function acknowledge(
  state: RoomState,
  connection: Connection,
  offset: number,
  now: number,
  effects: Effect[],
): void {
  if (connection.acked === undefined || offset <= connection.acked) return;
  connection.acked = offset;
  connection.dirty = true;
  if (state.log.covers(connection.fed)) feed(state, connection, effects);
  else reset(state, connection, "log_trimmed", now, effects);
}

/** Gives a connection the current state instead of what it missed. */
export function reset(
  state: RoomState,
  connection: Connection,
  reason: ResetReason,
  now: number,
  effects: Effect[],
): void {
  const offset = state.log.head;
  const data = snapshot(state, connection, now, effects);
  connection.fed = offset;
  connection.dirty = true;
  if (connection.acked !== undefined) connection.acked = offset;
  effects.push({ type: "send", to: connection, text: encode({ type: "snapshot", data, offset, reason }) });
  if (connection.presenceStale) feed(state, connection, effects);
}

function snapshot(state: RoomState, connection: Connection, now: number, effects: Effect[]): Json {
  const { snapshot: hook } = state.definition.hooks;
  const session = state.sessions.get(connection.session);
  if (!hook || !session) {
    return state.log.recent(DEFAULT_SNAPSHOT, CHUNK_BYTES, connection.user) as unknown as Json;
  }
  const me = toMe(session, member(state.sessions, session.user));
  const { traceparent } = connection;
  const about = { session: session.id, user: session.user, requestId: session.requestId, traceparent };
  const result = runHook(state, now, effects, "snapshot", (room) => hook(room, me), about);
  if (!result.ok) {
    const error = new Error("a snapshot cannot be rejected");
    if (result.code === "rejected")
      effects.push({ type: "failed", failure: { ...about, code: "hook_failed", where: "snapshot", error } });
    return null;
  }
  applyAll(state, result.commands, now, effects);
  return orNull(result.value);
}
