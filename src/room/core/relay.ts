/**
 * What a relay does that a room does not: it opens connections that its room has admitted, tells its members what the room
 * has told it, and hands them the room's answers. Everything else it does as a room does.
 */
import type { Admission } from "../admission.ts";
import type { Admitted, Dismissal, Down, Mirrored, SessionKey, Via } from "../relaying.ts";
import type { Publication } from "../../protocol/frames.ts";
import type { RoomState } from "../store/state.ts";
import { welcome } from "./connect.ts";
import { disconnect, drop, end } from "./depart.ts";
import type { Connected, Reply, Result } from "./event.ts";
import { feed, sync } from "./resume.ts";
import type { Turn } from "./turn.ts";

/** What came of a telling: up to where this relay is, and whether it lacks something before that. */
export interface Told {
  readonly offset: number;
  readonly isGap: boolean;
}

/**
 * Writes down where this relay is, and its room. Before the room hears of it: then it can say so when it has lost everything
 * else.
 */
export function settle({ state }: Turn, via: Via): void {
  state.identify(via.home.kind, via.home.room);
  state.settleName();
  state.meta.set("via", JSON.stringify(via));
}

/**
 * Keeps a session that comes from elsewhere, before the room moves it here: should this relay lose the answer, the session is
 * not lost with it.
 */
export function expect(turn: Turn, admission: Admission): void {
  const { sessions } = turn.state;
  const { resume } = admission;
  if (!resume || sessions.get(resume.session)) return;
  const session = sessions.open(resume.session, admission);
  sessions.change(session, { present: false });
  drop(turn, { ...session, present: false });
}

/** The room has not let in whom {@link expect} kept a session for. */
export function forgo(turn: Turn, { user, session }: SessionKey): void {
  const kept = turn.state.sessions.owned(session, user);
  if (kept && !kept.present && !turn.state.connections.has(session)) end(turn, kept);
}

/** Opens a connection that the room has admitted. */
export function open(turn: Turn, admission: Admission, admitted: Extract<Admitted, { ok: true }>): Connected {
  const { state, now } = turn;
  const { sessions, log } = state;
  const { credentials, requestId, traceparent, resume, attempt } = admission;
  const { session: id, reset, ref, acks } = admitted;
  turn.about = { session: id, user: credentials.user, requestId, traceparent };
  const from = reset ? reset.offset : (resume?.position?.offset ?? log.head);
  const replaced = state.connections.get(id);
  if (replaced?.isNewerThan(attempt)) return { ok: false, code: "replaced" };
  if (replaced) turn.close(replaced, { code: "replaced" });
  const held = sessions.get(id);
  // Another user has asked for it here before, and the room has refused: it is nothing of that user's.
  if (held && held.user !== credentials.user) end(turn, held);
  const known = sessions.owned(id, credentials.user);
  // The room does not know the session that was asked for, which is kept here since then.
  const vain = resume && resume.session !== id ? sessions.owned(resume.session, credentials.user) : undefined;
  if (vain && !state.connections.has(vain.id)) end(turn, vain);
  const generation = Math.max(admitted.generation, (known?.generation ?? 0) + 1);
  const session = known ? sessions.connect(known, admission, generation) : sessions.open(id, admission, generation);
  // Something was trimmed between the answer and now: its client comes again, and the session is here.
  if (!log.covers(from)) {
    drop(turn, session);
    return { ok: false, code: "restarting", retryAfter: 0 };
  }
  const connection = state.connect(session, admission, now);
  turn.accept(connection);
  welcome(turn, connection, session, { reason: reset?.reason, ref });
  turn.count("connects");
  if (resume) turn.count(reset ? `resumes|reset|${reset.reason}` : "resumes|resumed|");
  connection.grant({ offset: from, bytes: log.totalUpTo(from) });
  if (reset) turn.send(connection, { type: "snapshot", ...reset });
  for (const ack of acks) turn.send(connection, { type: "ack", ...ack });
  feed(turn, connection, from);
  return { ok: true, value: connection };
}

/** Takes what the room says to everybody, and its answers to some: those first, so that a client knows its own. */
export function mirror(turn: Turn, mirrored: Mirrored | Down, replies: readonly Reply[]): Result<Told> {
  const { state } = turn;
  for (const reply of replies) answer(turn, reply);
  const isFirst = "rules" in mirrored && state.epochs.current === "";
  if (isFirst || "isUndone" in mirrored) startAnew(turn, mirrored);
  const isGap = !isNext(state, mirrored);
  if (!isGap) {
    enterEpoch(turn, mirrored.epoch);
    take(state, mirrored);
  }
  for (const signal of mirrored.signals) turn.signal(signal);
  for (const dismissal of mirrored.dismissals) dismiss(turn, dismissal);
  drain(turn, mirrored);
  learn(state, mirrored);
  return { ok: true, value: { offset: state.log.head, isGap } };
}

/** The room has been asked for what follows on an offset: now it is here, or is nowhere any more. */
export function found(
  turn: Turn,
  { session, generation, offset }: { readonly session: string; readonly generation: number; readonly offset: number },
): void {
  const { state } = turn;
  const connection = state.connection(session, generation);
  if (!connection) return;
  // It comes back with its position, and the room tells it honestly what it has missed.
  if (!state.log.covers(offset)) return disconnect(turn, connection, { code: "restarting" });
  sync(turn, connection, offset);
}

function answer(turn: Turn, { session, generation, replied }: Reply): void {
  for (const signal of replied.near ?? []) turn.signal(signal, "near");
  const connection = turn.state.connection(session, generation);
  if (!connection) return;
  for (const text of replied.texts) turn.sendText(connection, text);
  connection.reject(replied.rejected);
  if (replied.over) disconnect(turn, connection, { code: "restarting" });
}

function dismiss(turn: Turn, dismissal: Dismissal): void {
  const { user, session, code, relay, generation = Infinity } = dismissal;
  const { mirror: copy, sessions } = turn.state;
  // It may be for one that is told by this one, from which the session has just come here.
  const mine = relay === copy?.name ? sessions.owned(session, user) : undefined;
  if (mine && mine.generation < generation) end(turn, mine, code);
  else if (!mine && copy?.next.some(({ name }) => name === relay)) turn.dismiss(dismissal);
  // It may be about to connect: the room is asked who is here.
  else if (!mine && copy && relay === copy.name) copy.isOverdue = true;
}

/** Whether nothing lies between what is here and what is told. Only the room itself can say what a new epoch continues. */
function isNext(state: RoomState, mirrored: Mirrored | Down): boolean {
  const isOurs = "rules" in mirrored || mirrored.epoch === state.epochs.current;
  return isOurs && mirrored.after <= state.log.head;
}

/** What is here is of a history that was undone: everybody must come back, from a position that the room judges. */
function startAnew(turn: Turn, { after }: Mirrored): void {
  const { state } = turn;
  for (const connection of state.connections.values()) disconnect(turn, connection, { code: "restarting" });
  // Also what this very tick has taken of it.
  state.log.rebase(after);
}

function enterEpoch(turn: Turn, epoch: string): void {
  const { state } = turn;
  if (state.epochs.current === epoch) return;
  const { head, oldest } = state.log;
  state.epochs.begin(epoch, head, oldest);
  if (state.connections.size > 0) turn.broadcast({ type: "epoch", epoch });
}

function take(state: RoomState, { after, items }: Mirrored): void {
  if (items === "") return;
  const publications = JSON.parse(`[${items}]`) as Publication[];
  if (after + 1 < state.log.oldest && state.log.staged.length === 0) state.log.refill(after, publications);
  state.log.adopt(publications);
}

/** A drain of the room is this relay's too. */
function drain(turn: Turn, { drain: told }: Mirrored): void {
  const { state, now } = turn;
  const { drain: known } = state;
  if (!told) return state.meta.delete("drain");
  if (known?.until === told.until && known.reopens === told.reopens) return;
  state.meta.set("drain", `${told.until} ${told.reopens}`);
  if (told.until > now) turn.broadcast({ type: "goaway", within: told.until - now, reason: "draining" });
}

function learn(state: RoomState, mirrored: Mirrored | Down): void {
  const { mirror: copy } = state;
  const { count, next } = mirrored;
  if ("rules" in mirrored) {
    state.meta.set("rules", JSON.stringify(mirrored.rules));
    state.meta.delete("untold");
    if (copy) copy.tries = 0;
  }
  if (!copy) return;
  copy.next = next;
  if (copy.count === count) return;
  copy.count = count;
  state.headcount.change();
}
