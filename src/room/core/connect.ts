/**
 * Opens a connection: creates, resumes or takes over a session, or refuses; and the welcome that tells the client which of
 * them it was. Nothing is written when it refuses.
 */
import type { Limits, ResetReason } from "../../protocol/frames.ts";
import { MAX_BATCH, REMEMBERED_REFS } from "../../protocol/limits.ts";
import type { Refusal } from "../../protocol/refusal.ts";
import type { Admission, Credentials } from "../admission.ts";
import type { RoomDefinition } from "../definition.ts";
import { isNewer, type Connection } from "../rules/connection.ts";
import { NO_PLACE_RETRY_MS } from "../rules/deadlines.ts";
import { member, memberOf } from "../store/members.ts";
import type { Session } from "../store/sessions.ts";
import type { RemoteSession } from "../store/remote.ts";
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
  const { resume } = admission;
  const known = resume && state.sessions.owned(resume.session, user);
  // Its last connection was to a relay.
  const elsewhere = resume && !known ? state.remote.find({ user, session: resume.session }) : undefined;
  turn.about = { session: known?.id ?? elsewhere?.session ?? id, user, requestId, traceparent };
  const isJoining = !state.isPresent(user);
  const refused = whyRefused(state, admission, known, now) ?? (isJoining ? askToJoin(turn, admission) : undefined);
  if (refused) return { ok: false, ...refused };

  state.settleName();
  state.meta.delete("drain");
  // What this very tick has published is of the new history: no position from before may reach into it.
  if (state.log.staged.length > 0) state.continueEpoch(turn.mintId());
  const reason = whyNotResumed(state, admission, known !== undefined || elsewhere !== undefined);
  state.beginEpoch(turn.mintId());
  const before = member(state.sessions, user);
  const replaced = known && state.connections.get(known.id);
  if (replaced) turn.close(replaced, { code: "replaced" });
  const generation = (elsewhere?.generation ?? 0) + 1;
  if (elsewhere) replaceElsewhere(turn, elsewhere, generation);
  if (elsewhere) state.remote.end(elsewhere);
  const session = known
    ? state.sessions.connect(known, admission)
    : state.sessions.open(elsewhere?.session ?? id, admission, generation);
  const connection = state.connect(session, admission, now);
  if (isJoining) turn.presence({ change: "join", member: member(state.sessions, user) });
  else announceChange(turn, before);
  turn.accept(connection);
  welcome(turn, connection, session, { reason });
  turn.count("connects");
  if (resume) turn.count(reason ? `resumes|reset|${reason}` : "resumes|resumed|");
  if (reason !== undefined) reset(turn, connection, reason);
  else if (resume?.position) replay(turn, connection, resume.position.offset);
  return { ok: true, value: connection };
}

/** A session goes on here, or at another relay: the one that had it is told so, and so is who may still be connected there. */
export function replaceElsewhere(turn: Turn, { user, session, relay }: RemoteSession, generation: number): void {
  const place = turn.state.remote.relays.find(({ id }) => id === relay);
  if (place) turn.dismiss({ user, session, code: "replaced", relay: place.name, generation });
}

/** Tells a client where it is. `ref`: the highest of its session that took effect. Default: as the log says. */
export function welcome(
  turn: Turn,
  connection: Connection,
  session: Session,
  { reason, ref = turn.state.log.refs.last(session.id) }: { reason: ResetReason | undefined; ref?: number },
): void {
  const { state, now } = turn;
  const { definition } = state;
  const frame = {
    type: "welcome",
    session: session.id,
    member: session.user,
    epoch: state.epochs.current,
    offset: state.log.head,
    resumed: reason === undefined,
    ...(reason && { reason }),
    ref,
    heartbeat: { next: Math.max(0, (state.heartbeat?.due ?? now) - now) },
    limits: limitsOf(definition),
    expires: session.expires,
    now,
  } as const;
  if (definition.presence === "list") return turn.sendList(connection, frame);
  // Clients from before there was a count expect a list.
  turn.send(connection, { ...frame, members: [], ...(definition.presence === "count" && { count: state.population }) });
}

function whyRefused(
  state: RoomState,
  { credentials, attempt, resume }: Admission,
  known: Session | undefined,
  now: number,
): Refusal | undefined {
  const unwelcome = whyUnwelcome(state, credentials, now, state.connections.size > 0);
  if (unwelcome) return unwelcome;
  const { user } = credentials;
  const holder = known && state.connections.get(known.id);
  const elsewhere = resume && !known ? state.remote.find({ user, session: resume.session }) : undefined;
  // The session stays with the newest attempt of its client, whichever arrives last.
  if (holder?.isNewerThan(attempt) || isNewer(elsewhere?.attempt, attempt)) return { code: "replaced" };
  if (holder) return undefined;
  const { maxConnections, maxConnectionsPerUser } = state.definition;
  if (state.connections.size >= maxConnections) return { code: "room_full", retryAfter: NO_PLACE_RETRY_MS };
  const mine = state.sessions.of(user).filter((session) => session.droppedAt === null);
  const theirs = state.remote.of(user).filter(({ session, present }) => present && session !== elsewhere?.session);
  if (mine.length + theirs.length < maxConnectionsPerUser) return undefined;
  const message = "This user has as many connections as it may.";
  return { code: "room_full", message, retryAfter: NO_PLACE_RETRY_MS };
}

/**
 * Why nobody with these credentials is let in now, wherever the connection would be.
 *
 * @param isOccupied whether there are connections that a drain has not closed yet
 */
export function whyUnwelcome(
  { drain, revocations }: RoomState,
  { user, issued, grants }: Credentials,
  now: number,
  isOccupied: boolean,
): Refusal | undefined {
  if (drain && (drain.reopens > now || isOccupied)) {
    return { code: "draining", retryAfter: Math.max(1_000, drain.reopens - now) };
  }
  if (revocations.covers(user, issued)) return { code: "revoked" };
  return grants.includes("join") ? undefined : { code: "forbidden" };
}

/** Asks `onJoin` before anything is written. Returns why the connection is refused, if it is. */
export function askToJoin(turn: Turn, { credentials, requestId, receivedAt }: Admission): Refusal | undefined {
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

/** Why a client cannot continue from where it is; `undefined` when it can. `isKnown`: whether its session is. */
export function whyNotResumed(state: RoomState, admission: Admission, isKnown: boolean): ResetReason | undefined {
  if (!admission.resume) return "new";
  if (!isKnown) return "session_unknown";
  const { position } = admission.resume;
  return position ? whyReset(state, position, admission.credit) : "no_position";
}

function limitsOf({ maxMessage, rate }: RoomDefinition): Limits {
  return { message: maxMessage, batch: MAX_BATCH, rate: rate.perSecond, burst: rate.burst, refs: REMEMBERED_REFS };
}
