/** What a client's frame does. Every frame is answered where it fails: a call with its reply, all others with an error. */
import { encode, orNull, type Malformed } from "../../protocol/codec.ts";
import { isRetryable, texts, type CodeName } from "../../protocol/codes.ts";
import { WHO, type ClientFrame, type FrameError } from "../../protocol/frames.ts";
import type { Grant, Me } from "../definition.ts";
import type { ForwardedFrame } from "../relaying.ts";
import type { Connection } from "../rules/connection.ts";
import { member } from "../store/members.ts";
import type { Mirror } from "../store/mirror.ts";
import { toMe, type Session } from "../store/sessions.ts";
import type { RoomState } from "../store/state.ts";
import { disconnect, end } from "./depart.ts";
import { runHook, sendable } from "./hooks.ts";
import { show } from "./presence.ts";
import { publish } from "./publish.ts";
import { acknowledge, returnCredit, sync } from "./resume.ts";
import { signal } from "./signal.ts";
import type { Turn } from "./turn.ts";
import { who } from "./who.ts";

/** The sender of a frame. */
interface Sender {
  readonly session: Session;
  readonly connection: Connection;
}

/** What the decoder made of one frame. */
export type Received = ClientFrame | Malformed;

type Frame<T extends ClientFrame["type"]> = Extract<ClientFrame, { type: T }>;

/** What a frame takes from the sender's bucket. */
const COST = { usual: 1, sync: 10, malformed: 10, who: 10 } as const;

/** What a relay cannot answer. */
const FORWARDED: ReadonlySet<string> = new Set<ForwardedFrame["type"]>(["publish", "signal", "presence", "call"]);

/** What a publish is told that came after one that was refused for now. */
const AFTER = { message: "A publish before this one was refused, and has not come again.", retryAfter: 0 };

/** What a repeat is told that took no effect for certain, and cannot any more under its ref. */
const STALE = { message: "This publish took no effect, and a later one has.", retryAfter: 0 };

/** Applies one frame of a connection. */
export function receive(turn: Turn, sender: Sender, frame: Received): void {
  const { state, now } = turn;
  const { connection, session } = sender;
  turn.about = contextOf(sender);
  // The alarm ends a connection whose token has run out, but an alarm can be late.
  if (session.expires <= now) return disconnect(turn, connection, { code: "token_expired" });
  // A member that wants to go is not held back.
  if (frame.type === "leave") return end(turn, session);
  // A reader is not held back either: it can acknowledge no more often than it was sent something.
  if (frame.type === "ack" && isProgress(state, connection, frame)) return acknowledge(turn, connection, frame.offset);
  const verdict = connection.spend(state.definition.rate, now, costOf(frame));
  if (!verdict.ok) {
    const { retryAfter } = verdict;
    if (verdict.abuse) disconnect(turn, connection, { code: "rate_limited", retryAfter });
    else answer(turn, sender, frame, failure("rate_limited", { retryAfter }));
    return;
  }
  if (turn.state.mirror && isForwarded(frame, turn.state.mirror)) turn.forward(sender, frame);
  else obey(turn, sender, frame);
}

/** Whether only the room can answer a frame: it has the order, the hooks and the refs. */
function isForwarded(frame: Received, { hasSignalHook }: Mirror): frame is ForwardedFrame {
  if (frame.type === "signal" && frame.scope && !hasSignalHook) return false;
  return FORWARDED.has(frame.type);
}

/**
 * Whether a message is an acknowledgement that only gives back credit, and then does so. Most acknowledgements are: they
 * need no tick, which would cost as much as the fan-out saves by sharing texts (measured).
 */
export function acknowledgeOnly(state: RoomState, connection: Connection, frames: readonly Received[]): boolean {
  const [frame] = frames;
  if (frames.length !== 1 || frame?.type !== "ack" || connection.stoppedAt !== undefined) return false;
  if (!isProgress(state, connection, frame)) return false;
  returnCredit(state, connection, frame.offset);
  return true;
}

/** Does what a frame asks for that its sender could pay for. */
export function obey(turn: Turn, sender: Sender, frame: Exclude<ClientFrame, Frame<"leave">> | Malformed): void {
  switch (frame.type) {
    case "malformed":
      if (frame.code === "too_large") return disconnect(turn, sender.connection, { code: "too_large" });
      return answer(turn, sender, frame, failure(frame.code, { message: frame.message }));
    case "publish":
      return onPublish(turn, sender, frame);
    case "signal":
      return onSignal(turn, sender, frame);
    case "presence":
      return onPresence(turn, sender, frame);
    case "call":
      return onCall(turn, sender, frame);
    case "ack":
      // Nothing that helps: what it acknowledges was acknowledged, or was never sent.
      if (frame.offset <= fedTo(turn.state, sender.connection)) return;
      return answer(turn, sender, frame, failure("bad_frame", { message: "ack is ahead of what was sent" }));
    case "sync":
      return sync(turn, sender.connection, frame.offset);
    default:
      // A new type is named here by the compiler. The decoder lets nothing else through; one that does must not be silent.
      frame satisfies never;
      return answer(turn, sender, frame, failure("bad_frame", { message: "unknown frame type" }));
  }
}

function onPublish(turn: Turn, sender: Sender, frame: Frame<"publish">): void {
  const { log } = turn.state;
  const { connection, session } = sender;
  const { ref, traceparent } = frame;
  const last = log.refs.last(session.id);
  // Before the grant and the hook: whatever has changed since, a repeat gets the answer of the first time.
  if (ref <= last) {
    const taken = log.refs.find(session.id, ref);
    if (!taken)
      return answer(turn, sender, frame, failure("stale_ref", log.refs.remembers(session.id, ref) ? STALE : {}));
    turn.count("dedupe_hits");
    return turn.send(connection, { type: "ack", ref, ...taken });
  }
  // The one before was refused for now, and comes again: this one must not overtake it.
  if (isEarly(turn, sender, frame)) return answer(turn, sender, frame, failure("rate_limited", AFTER));
  if (!allowed(turn, sender, "publish", frame)) return;
  if (traceparent !== undefined) turn.about = { ...turn.about, traceparent };
  const publisher = { user: session.user, me: () => meOf(turn, sender), source: { session: session.id, ref } };
  const result = publish(turn, publisher, frame);
  if (!result.ok) return answer(turn, sender, frame, failure(result.code, result));
  const { offset, at } = result.value;
  turn.send(connection, { type: "ack", ref, offset, at });
}

function onSignal(turn: Turn, sender: Sender, frame: Frame<"signal">): void {
  if (!allowed(turn, sender, "signal", frame)) return;
  const result = signal(turn, sender.session, () => meOf(turn, sender), frame);
  if (!result.ok) answer(turn, sender, frame, failure(result.code, result));
}

function onPresence(turn: Turn, sender: Sender, frame: Frame<"presence">): void {
  const result = show(turn, sender.session, () => meOf(turn, sender), frame.data);
  if (!result.ok) answer(turn, sender, frame, failure(result.code, result));
}

function onCall(turn: Turn, sender: Sender, frame: Frame<"call">): void {
  const { ref, method, data } = frame;
  if (method === WHO) return onWho(turn, sender, frame);
  if (!allowed(turn, sender, "call", frame)) return;
  const run = turn.state.definition.methods.get(method);
  if (!run) return answer(turn, sender, frame, failure("unknown_method"));
  const result = runHook(turn, `methods.${method}`, (room) => sendable(run(room, meOf(turn, sender), data)) ?? null);
  if (!result.ok) return answer(turn, sender, frame, failure(result.code, result));
  turn.send(sender.connection, { type: "reply", ref, data: orNull(result.value) });
}

/** Every room can be asked who is in it, whatever its own methods are. */
function onWho(turn: Turn, sender: Sender, frame: Frame<"call">): void {
  const page = who(turn.state, frame.data);
  if (typeof page === "string") return answer(turn, sender, frame, failure("rejected", { message: page }));
  turn.send(sender.connection, { type: "reply", ref: frame.ref, data: page });
}

/** Whether the token grants this; answers `forbidden` when not. */
function allowed(turn: Turn, sender: Sender, grant: Grant, frame: ClientFrame): boolean {
  if (sender.session.grants.includes(grant)) return true;
  answer(turn, sender, frame, failure("forbidden"));
  return false;
}

/** Tells the sender what went wrong with its frame. */
function answer(turn: Turn, sender: Sender, frame: Received, error: FrameError): void {
  const { connection } = sender;
  const { code } = error;
  // What a hook threw has been reported with what it threw.
  if (code !== "hook_failed") turn.fail({ code, source: frame.type });
  const isPublish = frame.type === "publish" || (frame.type === "malformed" && !frame.call);
  // One that came before its turn says nothing of those that it follows.
  if (isPublish && frame.ref !== undefined && code !== "rate_limited" && !isEarly(turn, sender, frame))
    connection.reject(frame.ref);
  turn.sendText(connection, encodeFailure(frame, error));
}

/** What a sender is told of a frame that failed: publishes and calls by their ref, all others by their type. */
export function encodeFailure(frame: Received, error: FrameError): string {
  const ref = "ref" in frame ? frame.ref : undefined;
  const isCall = frame.type === "call" || (frame.type === "malformed" && frame.call);
  if (isCall && ref !== undefined) return encode({ type: "reply", ref, error });
  if (ref !== undefined) return encode({ type: "error", ...error, ref });
  return encode({ type: "error", ...error, ...(frame.type !== "malformed" && { frame: frame.type }) });
}

/** Whether a publish follows one that is neither taken nor refused for good. */
function isEarly(
  { state }: Turn,
  { connection, session }: Sender,
  { after = 0 }: { readonly after?: number },
): boolean {
  return after > Math.max(state.log.refs.last(session.id), connection.rejectedRef);
}

/** An error of the table, as frames carry it. */
export function failure(code: CodeName, more: { message?: string; retryAfter?: number } = {}): FrameError {
  const { message = texts[code], retryAfter } = more;
  const retryable = isRetryable(code) || retryAfter !== undefined;
  return { code, message, retryable, ...(retryAfter !== undefined && { retryAfter }) };
}

function costOf(frame: Received): number {
  if (frame.type === "call" && frame.method === WHO) return COST.who;
  return frame.type === "malformed" || frame.type === "sync" ? COST[frame.type] : COST.usual;
}

/** Whether an acknowledgement brings the connection further. */
function isProgress(state: RoomState, connection: Connection, { offset }: Frame<"ack">): boolean {
  return connection.credit !== undefined && offset > connection.credit.offset && offset <= fedTo(state, connection);
}

/** Up to where a connection was sent everything that it may see; what this tick publishes has not been sent yet. */
function fedTo(state: RoomState, { stoppedAt }: Connection): number {
  return stoppedAt ?? state.log.committed;
}

function contextOf({ session, connection }: Sender) {
  const { traceparent } = connection;
  return { session: session.id, user: session.user, requestId: session.requestId, traceparent };
}

function meOf({ state }: Turn, { session }: Sender): Me {
  // A member who is only with a relay has no session here that tells its name.
  return toMe(session, {
    ...(session.name !== null && { name: session.name }),
    ...member(state.sessions, session.user),
  });
}
