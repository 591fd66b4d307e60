/**
 * The meeting of an admission and the room: new session, resume, takeover or refusal, and the welcome that tells the
 * client which of them it was.
 */
import { encodeWith } from "../../protocol/codec.ts";
import type { Limits, ResetReason } from "../../protocol/frames.ts";
import { MAX_BATCH, REMEMBERED_REFS } from "../../protocol/limits.ts";
import type { Admission } from "../admission.ts";
import { replay, reset, whyReset } from "./resume.ts";
import { applyAll } from "./commands.ts";
import { announceChange } from "./depart.ts";
import type { RoomDefinition } from "../definition.ts";
import type { Command, Effect, Refused, Result } from "./event.ts";
import { runHook } from "./hooks.ts";
import { isPresent, member, memberOf } from "../store/members.ts";
import type { Session } from "../store/sessions.ts";
import type { RoomState } from "../store/state.ts";

/**
 * Opens a connection.
 *
 * @param id for the session, should it be a new one; minted by the server
 */
export function connect(state: RoomState, admission: Admission, id: string, now: number, effects: Effect[]): Result {
  const { credentials, resume } = admission;
  const known = resume && state.sessions.owned(resume.session, credentials.user);
  const refused = whyRefused(state, admission, known, now);
  if (refused) return refused;

  state.meta.set("kind", admission.kind);
  state.meta.set("name", admission.room);
  const joins = !isPresent(state.sessions, credentials.user);
  const joined = joins ? askToJoin(state, admission, known?.id ?? id, now, effects) : NOTHING_ASKED;
  if (!joined.ok) return joined;

  // What this very tick has published is of the new history: no position from before may reach into it.
  if (state.log.staged.length > 0) state.continueEpoch();
  const reason = whyNotResumed(state, admission, known);
  state.meta.delete("drain");
  state.beginEpoch();
  const before = member(state.sessions, credentials.user);
  const previous = known && state.connections.get(known.id);
  if (previous) {
    effects.push({ type: "close", connection: previous, code: "replaced" });
    state.release(previous);
  }
  const session = known ? state.sessions.connect(known, admission) : state.sessions.open(id, admission);
  const connection = state.connect(session, admission, now);
  state.active = true;
  state.deadlinesChanged = true;

  const me = member(state.sessions, session.user);
  if (joins) effects.push({ type: "presence", change: "join", member: me, after: state.log.head });
  else announceChange(state, before, effects);
  effects.push({ type: "accept", connection });
  const position = resume?.position;
  effects.push({
    type: "send",
    to: connection,
    text: encodeWith(state.roster.text, {
      type: "welcome",
      session: session.id,
      member: session.user,
      epoch: state.epochs.current,
      offset: state.log.head,
      resumed: reason === undefined,
      ...(reason && { reason }),
      ref: state.log.refs.last(session.id),
      heartbeat: { next: Math.max(0, (state.beat?.due ?? now) - now) },
      limits: limitsOf(state.definition),
      expires: session.expires,
    }),
  });
  effects.push({ type: "count", series: "connects" });
  if (resume) effects.push({ type: "count", series: reason ? `resumes|reset|${reason}` : "resumes|resumed|" });
  if (reason !== undefined) reset(state, connection, reason, now, effects);
  else if (position) replay(state, connection, position.offset, effects);
  applyAll(state, joined.commands, now, effects);
  return { ok: true, value: connection };
}

function whyRefused(
  state: RoomState,
  { credentials }: Admission,
  known: Session | undefined,
  now: number,
): Refused | undefined {
  const { drain } = state;
  if (drain && (drain.reopens > now || state.connections.size > 0)) {
    return { ok: false, code: "draining", retryAfter: Math.max(1_000, drain.reopens - now) };
  }
  if (state.revocations.covers(credentials.user, credentials.issued)) return { ok: false, code: "revoked" };
  if (!credentials.grants.includes("join")) return { ok: false, code: "forbidden" };
  const replaces = known !== undefined && state.connections.has(known.id);
  if (replaces) return undefined;
  const { maxConnections, maxConnectionsPerUser } = state.definition;
  if (state.connections.size >= maxConnections) return { ok: false, code: "room_full", retryAfter: 30_000 };
  const mine = state.sessions.of(credentials.user).filter((session) => session.droppedAt === null);
  if (mine.length >= maxConnectionsPerUser) {
    const message = "This user has as many connections as it may.";
    return { ok: false, code: "room_full", message, retryAfter: 30_000 };
  }
  return undefined;
}

const NOTHING_ASKED = { ok: true, commands: [] as readonly Command[] } as const;

/** Asks `onJoin` before anything is written. Returns what the hook asked for, or why the connection is refused. */
function askToJoin(state: RoomState, admission: Admission, session: string, now: number, effects: Effect[]) {
  const { onJoin } = state.definition.hooks;
  if (!onJoin) return NOTHING_ASKED;
  const { credentials, requestId, receivedAt } = admission;
  const { user, name, grants } = credentials;
  const past = memberOf(user, state.sessions.of(user));
  const me = { ...past, ...(name !== undefined && { name }), session, grants, requestId, connectedAt: receivedAt };
  const about = { session, user, requestId, traceparent: admission.traceparent };
  const result = runHook(state, now, effects, "onJoin", (room) => onJoin(room, me), about);
  if (result.ok) return result;
  const { code, message } = result;
  const refused: Refused = {
    ok: false,
    code: code === "rejected" ? "forbidden" : code,
    ...(message !== undefined && { message }),
  };
  return refused;
}

function whyNotResumed(state: RoomState, admission: Admission, known: Session | undefined): ResetReason | undefined {
  if (!admission.resume) return "new";
  if (!known) return "session_unknown";
  const { position } = admission.resume;
  return position ? whyReset(state, position, admission.credit) : "no_position";
}

function limitsOf({ maxMessage, rate }: RoomDefinition): Limits {
  return { message: maxMessage, batch: MAX_BATCH, rate: rate.perSecond, burst: rate.burst, refs: REMEMBERED_REFS };
}
