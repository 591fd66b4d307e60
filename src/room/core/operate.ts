/**
 * What an operator, or a program with a token, does to a room over HTTP: publish, read, look, kick, revoke, drain. The
 * room itself checks the token's grants and whether it was revoked: the Worker cannot know the latter.
 */
import { exceeds } from "../../protocol/codec.ts";
import type { Me } from "../definition.ts";
import type { Caller, Facts, OperatorCommand } from "../operator.ts";
import { member } from "../store/members.ts";
import type { RoomState } from "../store/state.ts";
import { apply } from "./commands.ts";
import { operateOutbox } from "./dead-letters.ts";
import type { Result } from "./event.ts";
import { publish } from "./publish.ts";
import type { Turn } from "./turn.ts";
import { memberList, sessionList, stats } from "./views.ts";

/** Bytes of publications in one answer to `read`, at most, unless a single one is longer. */
const READ_BYTES = 1_048_576;
/** What cannot be asked of a room that never was. A publication makes it, and a user can be revoked beforehand. */
const NEED_A_ROOM: ReadonlySet<string> = new Set(
  "read members sessions stats kick drain dead letter redeliver skip drop".split(" ") as OperatorCommand["type"][],
);
/** And what is asked about events that were not delivered. */
const OF_UNDELIVERED: ReadonlySet<string> = new Set(
  "dead letter redeliver skip drop".split(" ") as OperatorCommand["type"][],
);

/** Does what is asked; nothing for a caller that may not. */
export function operate(turn: Turn, caller: Caller, command: OperatorCommand, facts: Facts): Result<object> {
  const { state } = turn;
  const { user, issued, grants } = caller.credentials;
  turn.about = { user, requestId: caller.requestId, traceparent: caller.traceparent };
  if (state.revocations.covers(user, issued)) return { ok: false, code: "revoked" };
  if (!grants.includes(command.type === "post" ? "publish" : "admin")) return { ok: false, code: "forbidden" };
  if (!state.isNew) nameRoom(state, caller);
  else if (NEED_A_ROOM.has(command.type)) {
    // The directory may know a room whose storage was deleted since: it learns that nothing is undelivered there.
    if (OF_UNDELIVERED.has(command.type)) {
      state.identify(caller.kind, caller.room);
      turn.list();
    }
    return { ok: false, code: "not_found", message: "There is no such room: nothing has ever happened in it." };
  }
  switch (command.type) {
    case "post":
      return post(turn, caller, command);
    case "read":
      return { ok: true, value: read(state, command) };
    case "members":
      return { ok: true, value: memberList(state, command) };
    case "sessions": {
      const value = sessionList(state, command, facts);
      return value ? { ok: true, value } : { ok: false, code: "bad_request", message: "after is the next of a page" };
    }
    case "stats":
      return { ok: true, value: stats(state, caller, facts) };
    case "revoke":
      return apply(turn, { ...command, before: turn.now });
    case "kick":
    case "drain":
      return apply(turn, command);
    case "dead":
    case "letter":
    case "redeliver":
    case "skip":
    case "drop":
      return operateOutbox(turn, command);
    default:
      // A newer Worker may ask for what this room does not know: that is no success.
      return { ok: false, code: "bad_request", message: `this room does not know ${typeOf(command)}` };
  }
}

/** A room that was only ever called through RPC does not know its kind, and the directory cannot list it. */
function nameRoom(state: RoomState, { kind, room }: Caller): void {
  if (state.isNamed) return;
  state.identify(kind, room);
  state.settleName();
}

function typeOf(command: { readonly type?: unknown }): string {
  return JSON.stringify(command.type);
}

function post(turn: Turn, caller: Caller, command: Extract<OperatorCommand, { type: "post" }>): Result<object> {
  const { state, now } = turn;
  const { credentials, kind, room } = caller;
  const { user, grants } = credentials;
  const { key } = command;
  state.identify(kind, room);
  const verdict = state.idempotency.pace(user, state.definition.rate, now);
  if (!verdict.ok) return { ok: false, code: "rate_limited", retryAfter: verdict.retryAfter };
  // Where `onJoin` decides, it must have decided: a member's token is good for users that have joined.
  const isMembers = state.definition.hooks.onJoin !== undefined && grants.includes("join") && !grants.includes("admin");
  if (isMembers && !state.isPresent(user)) {
    return { ok: false, code: "forbidden", message: "Join the room first." };
  }
  // Before the hook: a repeat gets the answer of the first time.
  const earlier = key === undefined ? undefined : state.idempotency.find(user, key.name, now);
  if (earlier && earlier.digest !== key?.digest) return { ok: false, code: "key_reused" };
  if (earlier) {
    turn.count("dedupe_hits");
    return { ok: true, value: { offset: earlier.offset, at: earlier.at, repeated: true } };
  }
  const { maxMessage } = state.definition;
  if (exceeds(JSON.stringify(command.data), maxMessage)) {
    return { ok: false, code: "too_large", message: `data is at most ${maxMessage} bytes here` };
  }
  const result = publish(turn, { user, me: () => visitor(turn, caller) }, command);
  if (!result.ok) return result;
  // A room may be published to before anybody was ever in it.
  state.settleName();
  const { offset, at } = result.value;
  if (key) state.idempotency.remember(user, key.name, { offset, at, digest: key.digest });
  return { ok: true, value: { offset, at, repeated: false } };
}

/** The sender of a publication over HTTP. It has no session and no open connection: the request is all there is. */
function visitor({ state, now }: Turn, { credentials, requestId }: Caller): Me {
  const { user, name, grants } = credentials;
  const known = member(state.sessions, user);
  return { ...known, ...(name !== undefined && { name }), session: "", grants, requestId, connectedAt: now };
}

function read(state: RoomState, { after, limit }: { readonly after?: number | undefined; readonly limit: number }) {
  const { log, epochs, replay } = state;
  const wanted = { limit, maxBytes: READ_BYTES };
  const items = after === undefined ? replay.recent(wanted) : replay.page(after, wanted);
  return { epoch: epochs.current, oldest: log.oldest, offset: log.head, items };
}
