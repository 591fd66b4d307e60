/**
 * step(room, event, now) -> effects: every transition of a room starts here. Changes the state in memory and its rows
 * inside the tick's transaction; touches no socket, no clock, no alarm. What a frame does is told in this file, the
 * longer stories in the files it imports.
 */
import { encode, exceeds, orNull, type Malformed } from "../../protocol/codec.ts";
import { isRetryable, texts, type CodeName } from "../../protocol/codes.ts";
import type { ClientFrame, FrameError } from "../../protocol/frames.ts";
import { MAX_PRESENCE_BYTES } from "../../protocol/limits.ts";
import { ring } from "./alarm.ts";
import { acknowledge, replay, reset, whyReset } from "./resume.ts";
import { apply, applyAll } from "./commands.ts";
import { connect } from "./connect.ts";
import { announceChange, disconnect, drop, end } from "./depart.ts";
import type { Effect, RoomEvent } from "./event.ts";
import { take } from "../rules/rate.ts";
import type { Grant } from "../definition.ts";
import { settle } from "./events-out.ts";
import type { FailureContext } from "../telemetry/failure.ts";
import { runHook, writable } from "./hooks.ts";
import { operate } from "./operate.ts";
import { member } from "../store/members.ts";
import { publish } from "./publish.ts";
import { toMe, type Session } from "../store/sessions.ts";
import type { Connection, RoomState } from "../store/state.ts";

/** Applies one event. What it returns is to be done only after the tick's transaction has committed. */
export function step(state: RoomState, event: RoomEvent, now: number): Effect[] {
  const effects: Effect[] = [];
  switch (event.type) {
    case "connect":
      effects.push({ type: "result", result: connect(state, event.admission, event.id, now, effects) });
      break;
    case "frame": {
      const from = sender(state, event);
      if (from) onFrame({ state, now, effects, ...from }, event.frame);
      break;
    }
    case "drop": {
      // The generation: a socket that was replaced must not take its successor with it.
      const session = state.sessions.get(event.session);
      if (session?.generation === event.generation && session.droppedAt === null) drop(state, session, now, effects);
      break;
    }
    case "cut": {
      const from = sender(state, event);
      if (from) disconnect(state, from.connection, event.code, now, effects);
      break;
    }
    case "alarm":
      ring(state, event.answeredAt, now, effects);
      break;
    case "command":
      effects.push({ type: "result", result: apply(state, event.command, now, effects) });
      break;
    case "operate":
      effects.push({ type: "result", result: operate(state, event, now, effects) });
      break;
    case "settled":
      settle(state, event, now, effects);
      break;
    case "deferred": {
      const result = runHook(state, now, effects, "defer", (room) => event.after(room, event.outcome));
      if (result.ok) applyAll(state, result.commands, now, effects);
      break;
    }
  }
  return effects;
}

/** One frame's surroundings. */
interface Turn {
  readonly state: RoomState;
  readonly now: number;
  readonly effects: Effect[];
  readonly session: Session;
  readonly connection: Connection;
}

/** What a frame takes from the sender's bucket; an acknowledgement that frees this many publications is free. */
const COST = { usual: 1, sync: 10, malformed: 10 } as const;
const FREE_ACK = 64;

/** Presence data of everyone together, in UTF-16 units: every welcome carries all of it. */
const MAX_ROOM_PRESENCE = 524_288;

function onFrame(turn: Turn, frame: ClientFrame | Malformed): void {
  const { state, now, effects, connection, session } = turn;
  // The alarm ends a connection whose token has run out, but an alarm can be late.
  if (session.expires <= now) return disconnect(state, connection, "token_expired", now, effects);
  // Whoever wants to go is not held back.
  if (frame.type === "leave") return end(state, session, now, effects);
  const verdict = take(connection.bucket, state.definition.rate, now, costOf(frame, connection));
  connection.dirty = true;
  if (!verdict.ok) {
    const { retryAfter } = verdict;
    if (verdict.abuse) disconnect(state, connection, "rate_limited", now, effects, retryAfter);
    else answer(turn, frame, failure("rate_limited", { retryAfter }));
    return;
  }
  switch (frame.type) {
    case "malformed":
      if (frame.code === "too_large") disconnect(state, connection, "too_large", now, effects);
      else answer(turn, frame, failure(frame.code, { message: frame.message }));
      break;
    case "publish":
      onPublish(turn, frame);
      break;
    case "signal":
      onSignal(turn, frame);
      break;
    case "presence":
      onPresence(turn, frame);
      break;
    case "call":
      onCall(turn, frame);
      break;
    case "ack":
      if (frame.offset <= connection.fed) acknowledge(state, connection, frame.offset, now, effects);
      else answer(turn, frame, failure("bad_frame", { message: "ack is ahead of what was sent" }));
      break;
    case "sync": {
      const reason = whyReset(
        state,
        { epoch: state.epochs.current, offset: frame.offset },
        connection.acked !== undefined,
      );
      if (reason) reset(state, connection, reason, now, effects);
      else replay(state, connection, frame.offset, effects);
      break;
    }
  }
}

function onPublish(turn: Turn, frame: Extract<ClientFrame, { type: "publish" }>): void {
  const { state, now, effects, connection, session } = turn;
  const { ref } = frame;
  // Before the grant and the hook: whatever has changed since, a repeat gets the answer of the first time.
  if (ref <= state.log.refs.last(session.id)) {
    const taken = state.log.refs.find(session.id, ref);
    if (!taken) return answer(turn, frame, failure("stale_ref"));
    effects.push({ type: "count", series: "dedupe_hits" });
    effects.push({ type: "send", to: connection, text: encode({ type: "ack", ref, ...taken }) });
    return;
  }
  if (!allowed(turn, "publish", frame)) return;
  const source = { session: session.id, ref };
  const result = publish(
    state,
    session.user,
    () => meOf(turn),
    frame,
    now,
    effects,
    aboutOf(turn, frame.traceparent),
    source,
  );
  if (!result.ok) return answer(turn, frame, failure(result.code, result));
  const { offset, at } = result.publication;
  effects.push({ type: "send", to: connection, text: encode({ type: "ack", ref, offset, at }) });
  applyAll(state, result.commands, now, effects);
}

function onSignal(turn: Turn, frame: Extract<ClientFrame, { type: "signal" }>): void {
  const { state, effects, session } = turn;
  if (!allowed(turn, "signal", frame)) return;
  state.active = true;
  effects.push({ type: "count", series: "signals" });
  const text = encode({ type: "signal", by: session.user, data: frame.data });
  effects.push({ type: "signal", text, except: session.id, ...(frame.to && { to: frame.to }) });
}

function onPresence(turn: Turn, frame: Extract<ClientFrame, { type: "presence" }>): void {
  const { state, now, effects, session } = turn;
  if (exceeds(JSON.stringify(frame.data), MAX_PRESENCE_BYTES)) {
    return answer(turn, frame, failure("rejected", { message: `presence is at most ${MAX_PRESENCE_BYTES} bytes` }));
  }
  const { dataBytes } = state.sessions;
  if (dataBytes + JSON.stringify(frame.data).length > MAX_ROOM_PRESENCE) {
    return answer(turn, frame, failure("rejected", { message: "the room holds all the presence data that it can" }));
  }
  state.active = true;
  // Later than every other session's, even within one millisecond: the newest speaks for the member.
  const dataAt = Math.max(now, ...state.sessions.of(session.user).map((s) => s.dataAt + 1));
  const before = member(state.sessions, session.user);
  state.sessions.change(session, { data: frame.data, dataAt });
  announceChange(state, before, effects);
}

function onCall(turn: Turn, frame: Extract<ClientFrame, { type: "call" }>): void {
  const { state, now, effects, connection } = turn;
  if (!allowed(turn, "call", frame)) return;
  const { ref, method, data } = frame;
  const run = state.definition.methods.get(method);
  if (!run) return answer(turn, frame, failure("unknown_method"));
  const where = `methods.${method}`;
  const result = runHook(
    state,
    now,
    effects,
    where,
    (room) => writable(run(room, meOf(turn), data)) ?? null,
    aboutOf(turn),
  );
  if (!result.ok) return answer(turn, frame, failure(result.code, result));
  effects.push({ type: "send", to: connection, text: encode({ type: "reply", ref, data: orNull(result.value) }) });
  applyAll(state, result.commands, now, effects);
}

/** Whether the token grants this; answers `forbidden` when not. */
function allowed(turn: Turn, grant: Grant, frame: ClientFrame): boolean {
  if (turn.session.grants.includes(grant)) return true;
  answer(turn, frame, failure("forbidden"));
  return false;
}

/** Tells the sender what went wrong with its frame: a call gets its reply, everything else an error. */
function answer(turn: Turn, frame: ClientFrame | Malformed, error: FrameError): void {
  const { effects, connection } = turn;
  const { code } = error;
  // What a hook threw has been told of with what it threw.
  if (code !== "hook_failed") effects.push({ type: "failed", failure: { ...aboutOf(turn), code, where: frame.type } });
  effects.push({ type: "send", to: connection, text: encodeFailure(frame, error) });
}

/** What a sender is told of a frame that failed: publishes and calls each have refs of their own. */
export function encodeFailure(frame: ClientFrame | Malformed, error: FrameError): string {
  const ref = "ref" in frame ? frame.ref : undefined;
  const isCall = frame.type === "call" || (frame.type === "malformed" && frame.call);
  if (isCall && ref !== undefined) return encode({ type: "reply", ref, error });
  return encode({ type: "error", ...error, ...(ref !== undefined && { ref }) });
}

/** An error of the table, as frames carry it. */
export function failure(code: CodeName, more: { message?: string; retryAfter?: number } = {}): FrameError {
  const { message = texts[code], retryAfter } = more;
  const retryable = isRetryable(code) || retryAfter !== undefined;
  return { code, message, retryable, ...(retryAfter !== undefined && { retryAfter }) };
}

function costOf(frame: ClientFrame | Malformed, connection: Connection): number {
  if (frame.type === "malformed" || frame.type === "sync") return COST[frame.type];
  if (frame.type !== "ack" || connection.acked === undefined || frame.offset > connection.fed) return COST.usual;
  return frame.offset - connection.acked >= FREE_ACK ? 0 : COST.usual;
}

function aboutOf({ session, connection }: Turn, traceparent = connection.traceparent): FailureContext {
  return { session: session.id, user: session.user, requestId: session.requestId, traceparent };
}

function meOf({ state, session }: Turn) {
  return toMe(session, member(state.sessions, session.user));
}

function sender(state: RoomState, event: { readonly session: string; readonly generation: number }) {
  const connection = state.connection(event.session, event.generation);
  const session = state.sessions.get(event.session);
  return connection && session ? { connection, session } : undefined;
}
