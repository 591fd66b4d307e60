/**
 * What an operator, or a program with a token, does to a room over HTTP: publish, read, look, kick, revoke, drain. The
 * room itself checks the token's grants and whether it was revoked: the Worker cannot know the latter.
 */
import { exceeds } from "../../protocol/codec.ts";
import type { Json } from "../../protocol/frames.ts";
import type { Credentials } from "../admission.ts";
import { apply, applyAll } from "./commands.ts";
import type { Effect, Refused, Result } from "./event.ts";
import type { FailureContext } from "../telemetry/failure.ts";
import { isPresent, member, members } from "../store/members.ts";
import { publish } from "./publish.ts";
import { deliver } from "./events-out.ts";
import type { Connection, RoomState } from "../store/state.ts";
import type { Counts } from "../telemetry/counts.ts";

/** Who asks, in which request, and of which room. */
export interface Caller {
  readonly kind: string;
  readonly room: string;
  readonly credentials: Credentials;
  readonly requestId: string;
  readonly traceparent?: string | undefined;
}

/** What can be asked. */
export type OperatorCommand =
  | {
      readonly type: "post";
      readonly data: Json;
      readonly to?: readonly string[] | undefined;
      readonly traceparent?: string | undefined;
      /** Idempotency-Key: the same one publishes once. `digest`: of `data` and `to`, which tells repeats from others. */
      readonly key?: { readonly name: string; readonly digest: string } | undefined;
    }
  | { readonly type: "read"; readonly after?: number | undefined; readonly limit: number }
  | { readonly type: "members" }
  | { readonly type: "sessions" }
  | { readonly type: "stats" }
  | { readonly type: "kick"; readonly user: string; readonly session?: never }
  | { readonly type: "kick"; readonly session: string; readonly user?: never }
  | { readonly type: "revoke"; readonly user: string }
  | { readonly type: "drain"; readonly within: number; readonly hold: number }
  | { readonly type: "dead" }
  | { readonly type: "redeliver" };

/** What comes of it. */
export type Answer = { readonly ok: true; readonly value: object } | Refused;

/** What the runtime knows of a connection's socket. */
export interface SocketFacts {
  /** When it last answered a heartbeat, in ms since the epoch; 0 for never. */
  answeredAt(connection: Connection): number;
  /** Bytes the runtime holds for it; `undefined` when it does not tell. */
  unread(connection: Connection): number | undefined;
}

/** What an operator is told besides what the room itself knows. */
export interface Facts {
  readonly sockets: SocketFacts;
  /** What was counted since the room last told the directory. */
  readonly counts: Counts;
}

/** A session as an operator sees it. */
export interface SessionView {
  readonly session: string;
  readonly user: string;
  readonly name?: string;
  readonly connected: boolean;
  /** When its last connection opened, in ms since the epoch. */
  readonly since: number;
  readonly droppedAt?: number;
  /** Publications it has not acknowledged, or was not sent where it acknowledges none. */
  readonly lag?: number;
  /** When it last answered a heartbeat, in ms since the epoch; 0 for never. */
  readonly heardAt?: number;
  /** Heartbeats in a row left unanswered. */
  readonly missed?: number;
  /** Bytes that the runtime holds for it. */
  readonly unread?: number;
}

/** Bytes of publications in one answer to `read`, at most, unless a single one is longer. */
const READ_BYTES = 1_048_576;
/** Dead letters in one answer. */
const DEAD_LIMIT = 100;

/** Does what is asked; nothing for who may not. */
export function operate(
  state: RoomState,
  { caller, command, facts }: { readonly caller: Caller; readonly command: OperatorCommand; readonly facts: Facts },
  now: number,
  effects: Effect[],
): Result {
  const { user, issued, grants } = caller.credentials;
  if (state.revocations.covers(user, issued)) return { ok: false, code: "revoked" };
  if (!grants.includes(command.type === "post" ? "publish" : "admin")) return { ok: false, code: "forbidden" };
  switch (command.type) {
    case "post":
      return post(state, caller, command, now, effects);
    case "read":
      return { ok: true, value: read(state, command) };
    case "members":
      return { ok: true, value: { members: members(state.sessions) } };
    case "sessions":
      return { ok: true, value: { sessions: sessionViews(state, facts.sockets) } };
    case "stats":
      return { ok: true, value: { ...stats(state, caller), counts: facts.counts } };
    case "revoke":
      return apply(state, { ...command, before: now }, now, effects);
    case "kick":
    case "drain":
      return apply(state, command, now, effects);
    case "dead":
      return { ok: true, value: { dead: state.outbox.dead(DEAD_LIMIT) } };
    case "redeliver":
      state.outbox.revive(now);
      state.deadlinesChanged = true;
      deliver(state, now, effects);
      return { ok: true, value: { pending: state.outbox.status.pending } };
  }
}

function post(
  state: RoomState,
  { kind, room, credentials, requestId, traceparent }: Caller,
  command: Extract<OperatorCommand, { type: "post" }>,
  now: number,
  effects: Effect[],
): Result {
  const { user, name, grants } = credentials;
  const { key } = command;
  const verdict = state.posts.pace(user, state.definition.rate, now);
  if (!verdict.ok) return { ok: false, code: "rate_limited", retryAfter: verdict.retryAfter };
  // Whom the room has a say about must have had it: a member's token speaks for who has joined.
  const isMembers = state.definition.hooks.onJoin !== undefined && grants.includes("join") && !grants.includes("admin");
  if (isMembers && !isPresent(state.sessions, user)) {
    return { ok: false, code: "forbidden", message: "Join the room first." };
  }
  // Before the hook: a repeat gets the answer of the first time.
  const posted = key === undefined ? undefined : state.posts.find(user, key.name, now);
  if (posted && posted.digest !== key?.digest) return { ok: false, code: "key_reused" };
  if (posted) {
    effects.push({ type: "count", series: "dedupe_hits" });
    return { ok: true, value: { offset: posted.offset, at: posted.at, repeated: true } };
  }
  const { maxMessage } = state.definition;
  if (exceeds(JSON.stringify(command.data), maxMessage)) {
    return { ok: false, code: "too_large", message: `data is at most ${maxMessage} bytes here` };
  }
  // A room may be published to before anybody was ever in it.
  state.meta.set("kind", kind);
  state.meta.set("name", room);
  const about: FailureContext = { user, requestId, traceparent };
  // There is no session, and no connection that was opened: the request is all there is.
  const me = () => ({
    ...member(state.sessions, user),
    ...(name !== undefined && { name }),
    session: "",
    grants,
    requestId,
    connectedAt: now,
  });
  const result = publish(state, user, me, command, now, effects, about);
  if (!result.ok) return result;
  const { offset, at } = result.publication;
  if (key) state.posts.remember(user, key.name, { offset, at, digest: key.digest });
  applyAll(state, result.commands, now, effects);
  return { ok: true, value: { offset, at, repeated: false } };
}

function read(state: RoomState, { after, limit }: { readonly after?: number | undefined; readonly limit: number }) {
  const { log, epochs } = state;
  const items = after === undefined ? log.recent(limit, READ_BYTES) : log.page(after, limit, READ_BYTES);
  return { epoch: epochs.current, oldest: log.oldest, offset: log.head, items };
}

function sessionViews(state: RoomState, facts: SocketFacts): SessionView[] {
  const ordered = [...state.sessions.all()].toSorted((a, b) => (a.user + a.id < b.user + b.id ? -1 : 1));
  return ordered.map((session): SessionView => {
    const { id, user, name, connectedAt, droppedAt } = session;
    const view = { session: id, user, ...(name !== null && { name }), since: connectedAt };
    const connection = state.connections.get(id);
    if (!connection) return { ...view, connected: false, ...(droppedAt !== null && { droppedAt }) };
    const unread = facts.unread(connection);
    return {
      ...view,
      connected: true,
      lag: state.log.head - (connection.acked ?? connection.fed),
      heardAt: facts.answeredAt(connection),
      missed: connection.missed,
      ...(unread !== undefined && { unread }),
    };
  });
}

/** A room in numbers. */
export interface RoomStats {
  /** What was counted since the room last told the directory, by series: `resumes|reset|log_trimmed`. */
  readonly counts: Counts;
  readonly kind: string;
  readonly room: string;
  readonly epoch: string;
  /** Of the newest publication. */
  readonly offset: number;
  /** The oldest that can still be replayed. */
  readonly oldest: number;
  readonly members: number;
  readonly sessions: number;
  readonly connections: number;
  readonly draining?: { readonly until: number; readonly reopens: number };
  readonly beat?: { readonly due: number; readonly interval: number };
  readonly outbox?: {
    readonly pending: number;
    readonly dead: number;
    readonly tries: number;
    readonly nextTry?: number;
  };
}

function stats(state: RoomState, { kind, room }: Caller): Omit<RoomStats, "counts"> {
  const { log, epochs, drain, beat, outbox } = state;
  return {
    kind,
    room,
    epoch: epochs.current,
    offset: log.head,
    oldest: log.oldest,
    members: state.roster.size,
    sessions: state.sessions.size,
    connections: state.connections.size,
    ...(drain && { draining: drain }),
    ...(beat && { beat }),
    ...(state.definition.events && { outbox: outbox.status }),
  };
}
