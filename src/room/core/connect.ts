/**
 * Opens a connection: creates, resumes or takes over a session, or refuses; and the welcome that tells the client which of
 * them it was. Nothing is written when it refuses.
 */
import type { Limits, ResetReason } from "../../protocol/frames.ts";
import { MAX_BATCH, REMEMBERED_REFS } from "../../protocol/limits.ts";
import type { Refusal } from "../../protocol/refusal.ts";
import type { Admission } from "../admission.ts";
import type { RoomDefinition } from "../definition.ts";
import type { Connection } from "../rules/connection.ts";
import { NO_PLACE_RETRY_MS } from "../rules/deadlines.ts";
import { member, memberOf } from "../store/members.ts";
import type { Session } from "../store/sessions.ts";
import type { RoomState } from "../store/state.ts";
import { announceChange } from "./depart.ts";
import type { Connected } from "./event.ts";
import { runHook } from "./hooks.ts";
import { replay, reset, whyReset } from "./resume.ts";
import type { Turn } from "./turn.ts";

/** Opens a connection. `id`: for the session, should it be a new one. */
export function connect(turn: Turn, admission: Admission, id: string): Connected {
  const { state, now } = turn;
  const { credentials, requestId, traceparent } = admission;
  const { user } = credentials;
  state.identify(admission.kind, admission.room);
  const known = admission.resume && state.sessions.owned(admission.resume.session, user);
  turn.about = { session: known?.id ?? id, user, requestId, traceparent };
  const isJoining = !state.sessions.isPresent(user);
  const refused = whyRefused(state, admission, known, now) ?? (isJoining ? askToJoin(turn, admission) : undefined);
  if (refused) return { ok: false, ...refused };

  state.settleName();
  state.meta.delete("drain");
  // What this very tick has published is of the new history: no position from before may reach into it.
  if (state.log.staged.length > 0) state.continueEpoch(turn.mintId());
  const reason = whyNotResumed(state, admission, known);
  state.beginEpoch(turn.mintId());
  const before = member(state.sessions, user);
  const replaced = known && state.connections.get(known.id);
  if (replaced) turn.close(replaced, { code: "replaced" });
  const session = known ? state.sessions.connect(known, admission) : state.sessions.open(id, admission);
  const connection = state.connect(session, admission, now);
  if (isJoining) turn.presence({ change: "join", member: member(state.sessions, user) });
  else announceChange(turn, before);
  turn.accept(connection);
  welcome(turn, connection, session, reason);
  turn.count("connects");
  if (admission.resume) turn.count(reason ? `resumes|reset|${reason}` : "resumes|resumed|");
  if (reason !== undefined) reset(turn, connection, reason);
  else if (admission.resume?.position) replay(turn, connection, admission.resume.position.offset);
  return { ok: true, value: connection };
}

function welcome(turn: Turn, connection: Connection, session: Session, reason: ResetReason | undefined): void {
  const { state, now } = turn;
  const { definition, sessions } = state;
  const frame = {
    type: "welcome",
    session: session.id,
    member: session.user,
    epoch: state.epochs.current,
    offset: state.log.head,
    resumed: reason === undefined,
    ...(reason && { reason }),
    ref: state.log.refs.last(session.id),
    heartbeat: { next: Math.max(0, (state.heartbeat?.due ?? now) - now) },
    limits: limitsOf(definition),
    expires: session.expires,
    now,
  } as const;
  if (definition.presence === "list") return turn.sendList(connection, frame);
  // Clients from before there was a count expect a list.
  turn.send(connection, { ...frame, members: [], ...(definition.presence === "count" && { count: sessions.present }) });
}

function whyRefused(
  state: RoomState,
  { credentials, attempt }: Admission,
  known: Session | undefined,
  now: number,
): Refusal | undefined {
  const { drain } = state;
  if (drain && (drain.reopens > now || state.connections.size > 0)) {
    return { code: "draining", retryAfter: Math.max(1_000, drain.reopens - now) };
  }
  if (state.revocations.covers(credentials.user, credentials.issued)) return { code: "revoked" };
  if (!credentials.grants.includes("join")) return { code: "forbidden" };
  const holder = known && state.connections.get(known.id);
  // The session stays with the newest attempt of its client, whichever arrives last.
  if (holder?.isNewerThan(attempt)) return { code: "replaced" };
  if (holder) return undefined;
  const { maxConnections, maxConnectionsPerUser } = state.definition;
  if (state.connections.size >= maxConnections) return { code: "room_full", retryAfter: NO_PLACE_RETRY_MS };
  const mine = state.sessions.of(credentials.user).filter((session) => session.droppedAt === null);
  if (mine.length < maxConnectionsPerUser) return undefined;
  const message = "This user has as many connections as it may.";
  return { code: "room_full", message, retryAfter: NO_PLACE_RETRY_MS };
}

/** Asks `onJoin` before anything is written. Returns why the connection is refused, if it is. */
function askToJoin(turn: Turn, { credentials, requestId, receivedAt }: Admission): Refusal | undefined {
  const { onJoin } = turn.state.definition.hooks;
  if (!onJoin) return undefined;
  const { user, name, grants } = credentials;
  const past = memberOf(user, turn.state.sessions.of(user));
  const session = turn.about.session ?? "";
  const me = { ...past, ...(name !== undefined && { name }), session, grants, requestId, connectedAt: receivedAt };
  const result = runHook(turn, "onJoin", (room) => onJoin(room, me));
  if (result.ok) return undefined;
  const { code, message } = result;
  return { code: code === "rejected" ? "forbidden" : code, ...(message !== undefined && { message }) };
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
