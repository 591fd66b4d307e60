/**
 * What the room does for members who are connected to its relays: lets them in, takes what they say, learns who has gone. The
 * rules are those of connections of its own; what is said to a member is handed to its relay instead of to a socket.
 */
import { NO_PLACE_RETRY_MS } from "../rules/deadlines.ts";
import { Connection, isNewer } from "../rules/connection.ts";
import type { Admission } from "../admission.ts";
import type { Me } from "../definition.ts";
import type {
  Admitted,
  Dismissal,
  GoneKey,
  Joining,
  RelayAddress,
  Replied,
  Said,
  Sender,
  SessionKey,
  Signal,
  Up,
} from "../relaying.ts";
import type { Refusal } from "../../protocol/refusal.ts";
import type { RemoteSession } from "../store/remote.ts";
import type { Session } from "../store/sessions.ts";
import type { RoomState } from "../store/state.ts";
import { isListedAgain } from "../telemetry/listing.ts";
import { askToJoin, replaceElsewhere, whyNotResumed, whyUnwelcome } from "./connect.ts";
import { announceLeave } from "./depart.ts";
import type { Allowance, Result } from "./event.ts";
import { encodeFailure, failure, obey } from "./frames.ts";
import { snapshotFor } from "./resume.ts";
import type { Turn } from "./turn.ts";

/**
 * Bytes of publications that a relay is told at once, at most. An answer by RPC carries 32 MiB, and one character beyond Latin-1
 * makes a text take two bytes a unit there; replies and snapshots are 4 MiB each.
 */
export const MOST_TOLD_BYTES = 11_534_336;

/** What a call is told that there is no room for in the answer to its relay. */
const NO_ROOM_TO_REPLY = failure("rate_limited", { retryAfter: 1_000 });

/** What a relay hears of its sessions. */
export interface Reported {
  /** The relay is to list its sessions. */
  readonly isUnsure: boolean;
  /** Sessions that it has and the room does not know. */
  readonly dismissals: readonly Dismissal[];
}

/**
 * Lets somebody in who wants to connect to a relay, or refuses. Asked again, it answers the same. `undefined`: the answer has
 * no place for the snapshot, and nothing was done.
 */
export function admit(
  turn: Turn,
  relay: RelayAddress,
  { id, admission }: Joining,
  allowance: Allowance = { left: Infinity },
): Result<Admitted | undefined> {
  if (allowance.left <= 0) return { ok: true, value: undefined };
  const { state, now } = turn;
  const { credentials, resume, requestId, traceparent } = admission;
  const { user } = credentials;
  state.identify(admission.kind, admission.room);
  const direct = resume && state.sessions.owned(resume.session, user);
  const elsewhere = resume && !direct ? state.remote.find({ user, session: resume.session }) : undefined;
  const session = direct?.id ?? elsewhere?.session ?? id;
  turn.about = { session, user, requestId, traceparent };
  const isJoining = !state.isPresent(user);
  const refused =
    whyUnwelcome(state, credentials, now, false) ??
    whyNoPlace(state, { user, session }, admission.attempt) ??
    (isJoining ? askToJoin(turn, admission) : undefined);
  if (refused) return { ok: true, value: { ok: false, ...refused } };

  state.settleName();
  state.meta.delete("drain");
  const { id: place } = state.remote.attach(relay);
  if (state.log.staged.length > 0) state.continueEpoch(turn.mintId());
  const reason =
    whyNotResumed(state, admission, direct !== undefined || elsewhere !== undefined) ?? whyNotTold(state, admission);
  state.beginEpoch(turn.mintId());
  const held = direct && state.connections.get(direct.id);
  if (held) turn.close(held, { code: "replaced" });
  // It goes on elsewhere, with its refs: nobody has left.
  if (direct) state.sessions.end(direct);
  state.remote.joined(place);
  const generation = (direct?.generation ?? elsewhere?.generation ?? 0) + 1;
  if (elsewhere && elsewhere.relay !== place) replaceElsewhere(turn, elsewhere, generation);
  state.remote.put({
    user,
    session,
    name: credentials.name ?? null,
    relay: place,
    present: true,
    attempt: admission.attempt,
    generation,
    published: state.log.refs.last(session) > 0,
  });
  if (isJoining)
    turn.presence({ change: "join", member: { id: user, ...(credentials.name && { name: credentials.name }) } });
  const position = reason === undefined ? resume?.position : undefined;
  const data = reason && snapshotFor(turn, user, meOf(admission, session));
  const reset = reason && { reason, data: data ?? null, offset: state.log.head };
  if (reset) allowance.left -= JSON.stringify(reset.data).length;
  const acks = position ? [...state.log.refs.after(session, position.offset)] : [];
  const ref = state.log.refs.last(session);
  return { ok: true, value: { ok: true, session, generation, ref, acks, ...(reset && { reset }) } };
}

/** A member who is about to connect, as hooks see one. */
function meOf({ credentials, requestId, receivedAt }: Admission, session: string): Me {
  const { user, name, grants } = credentials;
  return { id: user, ...(name !== undefined && { name }), session, grants, requestId, connectedAt: receivedAt };
}

/** Takes what a member has said to its relay. */
export function hear(
  turn: Turn,
  relay: string,
  { sender, frames }: Said,
  allowance: Allowance = { left: Infinity },
): Result<Replied> {
  const { state, now } = turn;
  const known = state.remote.find(sender);
  const place = known && state.remote.relayOf(known);
  // It goes on elsewhere, or is over: then what it says here is too late.
  const isOver = !known || place?.name !== relay || sender.expires <= now;
  if (isOver) return { ok: true, value: { texts: [], rejected: 0, over: true } };
  const session = sessionOf(sender);
  const connection = lineOf(state, sender, now);
  const { user, requestId, traceparent } = sender;
  const near: Signal[] = [];
  turn.near = near;
  const texts: string[] = [];
  for (const frame of frames) {
    turn.about = { session: session.id, user, requestId, traceparent };
    // What answers calls has no other end. Its caller may ask again.
    if (frame.type === "call" && allowance.left <= 0) texts.push(encodeFailure(frame, NO_ROOM_TO_REPLY));
    else obey(turn, { session, connection }, frame);
    const answers = turn.takeSaid(connection);
    for (const { length } of answers) allowance.left -= length;
    texts.push(...answers);
  }
  if (state.log.refs.last(session.id) > 0) {
    const still = state.remote.find(sender);
    if (still) state.remote.publishes(still);
  }
  return {
    ok: true,
    value: { texts, rejected: connection.rejectedRef, ...(near.length > 0 && { near }) },
  };
}

/** Learns how a relay's sessions are, and says where the two disagree. */
export function hearReport(turn: Turn, up: Omit<Up, "joins" | "said">): Result<Reported> {
  const { state } = turn;
  const { remote } = state;
  const isEmpty = up.connections === 0;
  const known = remote.relays.find(({ name }) => name === up.relay.name);
  if (isEmpty && !known) return { ok: true, value: { isUnsure: false, dismissals: strangers(up) } };
  if (isEmpty) remote.detach(up.relay.name);
  const { id } = isEmpty && known ? known : remote.attach(up.relay);
  // An instance that is no more may have sent it: what has come back since has not gone.
  const mine = (key: GoneKey) => {
    const session = remote.find(key);
    return session?.relay === id && session.generation <= key.generation ? session : undefined;
  };
  remote.hear(id, up.connections);
  report(turn);
  for (const key of up.left) depart(turn, mine(key), "gone");
  for (const key of up.ended) depart(turn, mine(key), "over");
  const dismissals = up.sessions ? reconcile(turn, id, up) : [];
  const isUnsure = dismissals.length === 0 && remote.digest(id) !== up.digest;
  return { ok: true, value: { isUnsure, dismissals } };
}

/** Without connections of its own the room has no heartbeat with which it would report: relays have. */
function report(turn: Turn): void {
  const { state, now } = turn;
  const { connections, remote } = state;
  if (connections.size === 0 && isListedAgain(remote.heardAt ?? 0, now, true)) turn.list();
  remote.heardAt = connections.size === 0 ? now : undefined;
}

/** The room has ended sessions of a user that are with relays: all of them, or one. */
export function endRemote(turn: Turn, user: string, code: Dismissal["code"], session?: string): number {
  const { remote } = turn.state;
  const ended = remote.of(user).filter((one) => session === undefined || one.session === session);
  for (const one of ended) {
    const place = remote.relayOf(one);
    if (place) turn.dismiss({ user, session: one.session, code, relay: place.name });
    depart(turn, one, "over");
  }
  return ended.length;
}

/** A relay does not exist any more: nobody is there. */
export function forget(turn: Turn, name: string): void {
  const { remote } = turn.state;
  const relay = remote.relays.find((one) => one.name === name);
  if (!relay) return;
  for (const session of remote.at(relay.id)) depart(turn, session, "over");
  remote.detach(name);
}

/** A session is not here any more, or is over: if it was the member's last, the others are told. */
function depart(turn: Turn, session: RemoteSession | undefined, how: "gone" | "over"): void {
  if (!session) return;
  const { remote, log } = turn.state;
  if (how === "gone") remote.hide(session);
  else {
    remote.end(session);
    log.forget(session.session);
  }
  if (session.present) announceLeave(turn, { id: session.user, ...(session.name !== null && { name: session.name }) });
}

/** Goes through all sessions of a relay, as it lists them and as the room knows them. */
function reconcile(turn: Turn, relay: number, up: Pick<Up, "sessions" | "relay">): Dismissal[] {
  const { remote } = turn.state;
  const { sessions: listed = [] } = up;
  const theirs = new Map(listed.map((one) => [one.session, one]));
  const ours = new Set<string>();
  for (const session of remote.at(relay)) {
    const one = theirs.get(session.session);
    if (one?.user !== session.user) depart(turn, session, "over");
    else if (!one.isPresent) depart(turn, session, "gone");
    // One that the others miss and that is there after all has to come again, past `onJoin`.
    if (one?.user === session.user && (session.present || !one.isPresent)) ours.add(session.session);
  }
  return strangers({ ...up, sessions: listed.filter(({ session }) => !ours.has(session)) });
}

/** A relay without anybody has sessions, and the room has never heard of it: its storage was put back. */
function strangers({ sessions = [], relay }: Pick<Up, "sessions" | "relay">): Dismissal[] {
  return sessions.map(({ user, session }) => ({ user, session, code: "restarting", relay: relay.name }));
}

/** The room's log can reach further back than what a relay is told at once: it could never go on from there. */
function whyNotTold({ log }: RoomState, { resume }: Admission): "too_far" | undefined {
  const from = resume?.position?.offset ?? log.head;
  return bytesAfter(log, from, log.head) > MOST_TOLD_BYTES ? "too_far" : undefined;
}

/** Bytes of publications after one offset up to another. */
export function bytesAfter(log: RoomState["log"], after: number, upto: number): number {
  return log.totalUpTo(upto) - log.totalUpTo(after);
}

function whyNoPlace(state: RoomState, key: SessionKey, attempt: RemoteSession["attempt"]): Refusal | undefined {
  const { definition, remote, sessions } = state;
  if (definition.presence === "list") {
    const message = 'A room that lists its members has no relays: its presence must be "count" or "off".';
    return { code: "misconfigured", message };
  }
  const holder = state.connections.get(key.session);
  if (holder?.isNewerThan(attempt) || isNewer(remote.find(key)?.attempt, attempt)) return { code: "replaced" };
  const others = remote.of(key.user).filter(({ session, present }) => present && session !== key.session);
  const here = sessions.of(key.user).filter(({ id, droppedAt }) => droppedAt === null && id !== key.session);
  if (others.length + here.length < definition.maxConnectionsPerUser) return undefined;
  const message = "This user has as many connections as it may.";
  return { code: "room_full", message, retryAfter: NO_PLACE_RETRY_MS };
}

/** The session of a sender as hooks and frames see one. It is not among the room's own. */
function sessionOf({ user, session, name, grants, requestId, connectedAt }: Sender): Session {
  const rest = { droppedAt: null, present: true, expires: Infinity, data: undefined, dataAt: 0, generation: 0 };
  return { id: session, user, name, grants, requestId, connectedAt, ...rest };
}

/** A connection without a socket: what it is told is taken back. */
function lineOf({ definition }: RoomState, { user, session, connectedAt, traceparent, rejected }: Sender, now: number) {
  const pointer = { session, generation: 0, since: connectedAt, ...(traceparent !== undefined && { traceparent }) };
  const line = new Connection({ user, pointer, rate: definition.rate, now, changed: new Set() });
  line.reject(rejected);
  return line;
}
