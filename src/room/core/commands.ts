/**
 * What the server side of a room can do to it. Callers through RPC and hooks through their context ask for the same things,
 * and get them here. Callers are typed, but not all of them check their types: what they say is validated.
 */
import { encode, exceeds, isRecipients } from "../../protocol/codec.ts";
import { texts } from "../../protocol/codes.ts";
import type { Json } from "../../protocol/frames.ts";
import { MAX_ITEM_BYTES, MAX_RECIPIENTS, MAX_USER_ID } from "../../protocol/limits.ts";
import { isCredentials } from "../admission.ts";
import type { RelayAddress, SessionKey } from "../relaying.ts";
import { everyone, member } from "../store/members.ts";
import { announceChange, end } from "./depart.ts";
import { endRemote } from "./relayed.ts";
import type { Command, CommandResults, Refused, Result } from "./event.ts";
import type { Turn } from "./turn.ts";

type Handlers = {
  readonly [T in Command["type"]]: (turn: Turn, command: Extract<Command, { type: T }>) => Result<CommandResults[T]>;
};

const DONE = { ok: true, value: undefined } as const;

/** A request of a hook that the room could not do: the event that it belongs to is undone. */
export class RequestFailed extends Error {
  override readonly name = "RequestFailed";
  /** What failed: the user's own code asked for it. */
  readonly code = "hook_failed";
}

/** Does what a caller asks. */
export function apply<C extends Command>(turn: Turn, command: C): Result<CommandResults[C["type"]]> {
  // An older or newer Worker may ask for what this room does not know.
  if (!Object.hasOwn(handlers, command.type)) return invalid(`there is no command ${JSON.stringify(command.type)}`);
  // Sound: the table pairs each type with its handler; TypeScript cannot follow the pair through the union.
  const handler = handlers[command.type] as (turn: Turn, command: C) => Result<CommandResults[C["type"]]>;
  return handler(turn, command);
}

/**
 * Does what the hooks of an event asked for, in their order, and what the hooks ask for that this sets off.
 *
 * @throws RequestFailed when something cannot be done
 */
export function applyRequests(turn: Turn): void {
  for (let request = turn.nextRequest(); request; request = turn.nextRequest()) {
    const { command, depth } = request;
    turn.depth = depth;
    const result = apply(turn, command);
    if (!result.ok) throw new RequestFailed(`room.${command.type}: ${result.message ?? texts[result.code]}`);
  }
}

const handlers: Handlers = {
  publish(turn, { data, to }) {
    const wrong = wrongMessage(data, to);
    if (wrong) return wrong;
    const item = turn.append({ by: null, at: turn.now, data, ...(to && { to }) });
    if (!item) return { ok: false, code: "too_large" };
    return { ok: true, value: { offset: item.publication.offset, at: turn.now } };
  },

  signal(turn, { data, to }) {
    const wrong = wrongMessage(data, to);
    if (wrong) return wrong;
    turn.signal(encode({ type: "signal", by: null, data }), undefined, to);
    return DONE;
  },

  kick(turn, { user, session }) {
    const { remote, sessions } = turn.state;
    if (user !== undefined) return isText(user) ? endAll(turn, user, "kicked") : invalid("user is text");
    const one = isText(session) ? sessions.get(session) : undefined;
    const elsewhere = isText(session) && !one ? remote.userOf(session) : undefined;
    if (one) end(turn, one, "kicked");
    else if (elsewhere !== undefined) endRemote(turn, elsewhere, "kicked", session);
    else return { ok: false, code: "unknown_session" };
    return { ok: true, value: { sessions: 1 } };
  },

  revoke(turn, { user, before }) {
    if (!isText(user) || user.length > MAX_USER_ID || !Number.isFinite(before)) {
      return invalid("revoke takes a user and a moment");
    }
    turn.state.revocations.revoke(user, before);
    return endAll(turn, user, "revoked");
  },

  drain(turn, { within, reopenAfter }) {
    if (!isDuration(within) || !isDuration(reopenAfter)) return invalid("drain takes durations in ms");
    const { state, now } = turn;
    const until = now + within;
    const reopens = until + reopenAfter;
    state.meta.set("drain", `${until} ${reopens}`);
    turn.broadcast({ type: "goaway", within, reason: "draining" });
    return { ok: true, value: { until, reopens, connections: state.connections.size } };
  },

  refresh(turn, { session: id, credentials }) {
    if (!isCredentials(credentials)) return invalid("these are no credentials");
    const { sessions, revocations } = turn.state;
    const { user, grants, issued, expires } = credentials;
    const session = sessions.owned(id, user);
    const relay = session ? undefined : relayOf(turn, { user, session: id });
    if (!session && !relay) return { ok: false, code: "unknown_session" };
    if (!grants.includes("join")) return { ok: false, code: "forbidden" };
    if (revocations.covers(user, issued)) return { ok: false, code: "revoked" };
    if (!session) return { ok: true, value: { relay } };
    const before = member(sessions, user);
    sessions.refresh(session, credentials);
    announceChange(turn, before);
    return { ok: true, value: { expires } };
  },

  members(turn) {
    return { ok: true, value: everyone(turn.state) };
  },

  schedule(turn, { name, due, data }) {
    turn.state.timers.schedule(name, due, data);
    return DONE;
  },

  cancel(turn, { name }) {
    turn.state.timers.cancel(name);
    return DONE;
  },

  defer(turn, { work, followUp }) {
    turn.run(work, followUp);
    return DONE;
  },
};

function endAll(turn: Turn, user: string, code: "kicked" | "revoked"): Result<{ sessions: number }> {
  const sessions = turn.state.sessions.of(user);
  for (const session of sessions) end(turn, session, code);
  return { ok: true, value: { sessions: sessions.length + endRemote(turn, user, code) } };
}

function wrongMessage(data: Json, to: readonly string[] | undefined): Refused | undefined {
  if (to !== undefined && !isRecipients(to)) return invalid(`to is an array of 1 to ${MAX_RECIPIENTS} user ids`);
  let text: string | undefined;
  try {
    text = JSON.stringify(data);
  } catch {
    // Not JSON: a BigInt, a circle.
  }
  if (text === undefined) return invalid("data must be something that JSON can carry");
  return exceeds(text, MAX_ITEM_BYTES) ? { ok: false, code: "too_large" } : undefined;
}

/** Where a session is that is not here. */
function relayOf({ state: { remote } }: Turn, key: SessionKey): RelayAddress | undefined {
  const session = remote.find(key);
  return session && remote.relayOf(session);
}

function invalid(message: string): Refused {
  return { ok: false, code: "bad_request", message };
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.length > 0;
}

function isDuration(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
