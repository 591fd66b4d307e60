/**
 * Brings a connection from where it is to the log's head: on resume, on `sync`, and when credit returns. All of it in the
 * turn that decided it, so that nothing can be published in between.
 */
import { encodePub, orNull } from "../../protocol/codec.ts";
import type { Json, ResetReason } from "../../protocol/frames.ts";
import type { Me } from "../definition.ts";
import { BACKLOG_BYTES } from "../rules/backlog.ts";
import type { Connection } from "../rules/connection.ts";
import { member } from "../store/members.ts";
import { toMe } from "../store/sessions.ts";
import type { RoomState } from "../store/state.ts";
import { runHook, sendable } from "./hooks.ts";
import { disconnect } from "./depart.ts";
import { askForAck } from "./outgoing.ts";
import type { Turn } from "./turn.ts";

/** A replay goes out in `pub` frames of about this many bytes. */
const CHUNK_BYTES = 262_144;
/** Publications that the default snapshot holds, at most. */
const DEFAULT_SNAPSHOT = 50;

/** Why a position cannot be continued from, or `undefined` when it can, with nothing missed. */
export function whyReset(
  { log, epochs }: RoomState,
  position: { readonly epoch: string; readonly offset: number },
  hasCredit: boolean,
): ResetReason | undefined {
  const known = epochs.includes(position, log.head);
  if (!known) return known === undefined ? "offset_ahead" : "epoch_changed";
  if (!log.covers(position.offset)) return "log_trimmed";
  // Without credit a replay goes out at once: it must fit into what any socket may leave unread.
  const bytes = log.totalUpTo(log.head) - log.totalUpTo(position.offset);
  return !hasCredit && bytes > BACKLOG_BYTES / 2 ? "too_far" : undefined;
}

/** Continues a connection from an offset that {@link whyReset} allowed. */
export function replay(turn: Turn, connection: Connection, offset: number): void {
  const { log } = turn.state;
  connection.grant({ offset, bytes: log.totalUpTo(offset) });
  for (const { ref, offset: taken, at } of log.refs.after(connection.session, offset)) {
    turn.send(connection, { type: "ack", ref, offset: taken, at });
  }
  feed(turn, connection, offset);
}

/**
 * A client asked for everything after an offset. What answers it ends with a `pub` up to the head, so that the client
 * knows when it has caught up, also when it lacked nothing.
 */
export function sync(turn: Turn, connection: Connection, offset: number): void {
  const { state } = turn;
  const reason = whyReset(state, { epoch: state.epochs.current, offset }, connection.credit !== undefined);
  if (reason) return startOver(turn, connection, offset, reason);
  if (offset === state.log.head) turn.sendText(connection, encodePub(offset + 1, offset, ""));
  replay(turn, connection, offset);
}

/** The client has `offset`: credit returns, and what waited for it follows, from the log or as a reset. */
export function acknowledge(turn: Turn, connection: Connection, offset: number): void {
  const { log } = turn.state;
  const { credit, stoppedAt } = connection;
  if (!credit || offset <= credit.offset) return;
  returnCredit(turn.state, connection, offset);
  if (stoppedAt === undefined) return;
  // A snapshot needs no credit.
  if (!log.covers(stoppedAt)) return startOver(turn, connection, stoppedAt, "log_trimmed");
  // Asked before the log is read: acknowledgements are free, also those that open nothing.
  if (turn.state.mayFeed(connection, stoppedAt)) feed(turn, connection, stoppedAt);
  else turn.send(connection, askForAck(turn.state, turn.now, stoppedAt));
}

/** The client has everything up to `offset`: what it was sent until then is no debt any more. */
export function returnCredit(state: RoomState, connection: Connection, offset: number): void {
  connection.grant({ offset, bytes: bytesUpTo(state, connection, offset) });
}

/**
 * The log does not say what follows on an offset. That of a relay's room may; a reset is the room's to decide, which it does
 * when the client comes again.
 */
function startOver(turn: Turn, connection: Connection, offset: number, reason: ResetReason): void {
  if (!turn.state.mirror) reset(turn, connection, reason);
  else if (reason === "log_trimmed") turn.lookUp(connection, offset);
  else disconnect(turn, connection, { code: "restarting" });
}

/** Gives a connection the current state instead of what it missed. */
export function reset(turn: Turn, connection: Connection, reason: ResetReason): void {
  const { log } = turn.state;
  const offset = log.head;
  const session = turn.state.sessions.get(connection.session);
  const me = session && toMe(session, member(turn.state.sessions, session.user));
  const data = snapshotFor(turn, connection.user, me);
  connection.grant({ offset, bytes: log.totalUpTo(offset) });
  connection.catchUp();
  turn.feed(connection, offset);
  turn.send(connection, { type: "snapshot", data, offset, reason });
  refreshPresence(turn, connection);
}

/** Sends what the connection lacks after an offset, as far as its credit goes. */
export function feed(turn: Turn, connection: Connection, offset: number): void {
  const { state } = turn;
  let fed = offset;
  for (const { from, upto, items } of state.replay.after(offset, connection.user, CHUNK_BYTES)) {
    if (!state.mayFeed(connection, fed)) break;
    turn.sendText(connection, encodePub(from, upto, items));
    fed = upto;
  }
  if (fed < state.log.head) {
    connection.stop(fed);
    return turn.send(connection, askForAck(state, turn.now, fed));
  }
  connection.catchUp();
  turn.feed(connection, fed);
  refreshPresence(turn, connection);
}

function refreshPresence(turn: Turn, connection: Connection): void {
  if (!connection.isPresenceStale) return;
  connection.markPresence(false);
  // The room may have shown a list when that was noted, and does not any more.
  if (turn.state.definition.presence === "list") turn.sendList(connection, { type: "presence" });
}

/**
 * Bytes of everything up to an acknowledged offset. Of an offset that has left the log nobody knows them: they are
 * estimated between what was known when it was acknowledged last and what has left the log since, so that a short log
 * does not give credit for what nobody has read.
 */
function bytesUpTo({ log }: RoomState, { credit }: Connection, offset: number): number {
  const gone = log.oldest - 1;
  if (!credit || offset >= gone) return log.totalUpTo(offset);
  const known = Math.max(credit.bytes, log.totalUpTo(gone));
  return credit.bytes + ((known - credit.bytes) * (offset - credit.offset)) / Math.max(1, gone - credit.offset);
}

/** What a client starts from that cannot continue: what the hook says, or the newest publications. */
export function snapshotFor(turn: Turn, user: string, me: Me | undefined): Json {
  const { state } = turn;
  const { snapshot: hook } = state.definition.hooks;
  if (!hook || !me) {
    return state.replay.recent({ limit: DEFAULT_SNAPSHOT, maxBytes: CHUNK_BYTES, user }) as unknown as Json;
  }
  const result = runHook(turn, "snapshot", (room) => sendable(hook(room, me)));
  return result.ok ? orNull(result.value) : null;
}
