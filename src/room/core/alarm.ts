/**
 * What time does to a room. Everything that is due is an event of its own, so that what cannot be done stops nothing else.
 * Applying one twice changes nothing: each takes away the reason for itself, or finds it gone.
 */
import { missed, nextHeartbeat, sessionDeadline } from "../rules/deadlines.ts";
import type { RoomState } from "../store/state.ts";
import { isListedAgain } from "../telemetry/listing.ts";
import { deliver } from "./delivery.ts";
import { disconnect, end, graceOver } from "./depart.ts";
import type { DueEvent } from "./event.ts";
import { runHook } from "./hooks.ts";
import type { Turn } from "./turn.ts";

/** Sessions and timers that one alarm takes; the next one follows at once. */
const MAX_DUE = 1_000;

/** What is due at `now`, in the order in which it happens. The heartbeat comes last: it is for the connections left. */
export function dueEvents(state: RoomState, now: number, answeredAt: () => Record<string, number>): DueEvent[] {
  const { held } = state;
  const events: DueEvent[] = [];
  if ((state.drain?.until ?? Infinity) <= now && state.connections.size > 0) add({ type: "drainOver" });
  // By id: an order that waking from storage cannot change.
  for (const session of state.sessions.due(now, MAX_DUE, held).toSorted()) add({ type: "sessionDue", session });
  for (const { name } of state.timers.due(now, MAX_DUE, held)) add({ type: "timerDue", name });
  if (state.definition.events && (state.outbox.next ?? Infinity) <= now) add({ type: "outboxDue" });
  if (state.heartbeat && state.heartbeat.due <= now && !held.has("heartbeat")) {
    add({ type: "heartbeatDue", answeredAt: answeredAt() });
  }
  return events;

  function add(event: DueEvent): void {
    if (!held.has(keyOf(event))) events.push(event);
  }
}

/** What a due thing is called while it is held back because it could not be done. */
export function keyOf(event: DueEvent): string {
  switch (event.type) {
    case "sessionDue":
      return `session:${event.session}`;
    case "timerDue":
      return `timer:${event.name}`;
    case "drainOver":
      return "drain";
    case "outboxDue":
      return "outbox";
    case "heartbeatDue":
      return "heartbeat";
  }
}

/** Does one thing whose time has come. */
export function happen(turn: Turn, event: DueEvent): void {
  switch (event.type) {
    case "drainOver":
      return endDrain(turn);
    case "sessionDue":
      return endSession(turn, event.session);
    case "timerDue":
      return runTimer(turn, event.name);
    case "outboxDue":
      return deliver(turn);
    case "heartbeatDue":
      return sendHeartbeat(turn, event.answeredAt);
  }
}

function endDrain(turn: Turn): void {
  const { state, now } = turn;
  const { drain } = state;
  if (!drain || drain.until > now) return;
  const retryAfter = drain.reopens > now ? drain.reopens - now : undefined;
  for (const connection of state.connections.values()) disconnect(turn, connection, { code: "restarting", retryAfter });
}

function endSession(turn: Turn, id: string): void {
  const { state, now } = turn;
  const session = state.sessions.get(id);
  if (!session || sessionDeadline(session, state.definition) > now) return;
  const connection = state.connections.get(id);
  if (connection) disconnect(turn, connection, { code: "token_expired" });
  else if (session.present) graceOver(turn, session);
  // The grace can end long after the window did, when the room could not run in between.
  const left = state.sessions.get(id);
  if (left?.droppedAt != null && left.droppedAt + state.definition.resumeWindow <= now) end(turn, left);
}

function runTimer(turn: Turn, name: string): void {
  const { state, now } = turn;
  const { onTimer } = state.definition.hooks;
  const timer = state.timers.get(name);
  // Another one may have moved or cancelled it.
  if (!timer || timer.due > now) return;
  if (!onTimer) {
    turn.fail({ code: "hook_failed", source: "onTimer", error: new Error(`no onTimer for the timer ${name}`) });
    return state.timers.cancel(name);
  }
  const data = state.timers.dataOf(timer);
  const result = runHook(turn, "onTimer", (room) => onTimer(room, name, data));
  if (result.ok) state.timers.cancel(name);
  else state.timers.retry(timer, now);
}

function sendHeartbeat(turn: Turn, answeredAt: Readonly<Record<string, number>>): void {
  const { state, now } = turn;
  const { heartbeat: current, definition, log } = state;
  if (!current || current.due > now) return;
  const { sentAt } = current;
  let hasDoubts = false;
  for (const connection of state.connections.values()) {
    const { since, session } = connection;
    const times = { since, answeredAt: answeredAt[session] ?? 0, sentAt };
    const count = missed(connection.missed, times);
    if (count > 0) turn.count("heartbeats_missed");
    connection.miss(count);
    if (count >= definition.heartbeat.misses) disconnect(turn, connection, { code: "heartbeat_lost" });
    else if (count > 0) hasDoubts = true;
  }
  if (state.connections.size === 0) return;
  // A connection that missed one in a quiet room is asked again soon: a ghost must not live for several long intervals.
  const isBusy = state.isActive || Math.max(log.newestAt, state.sessions.newestAt) >= sentAt;
  state.heartbeat = nextHeartbeat(current.interval, hasDoubts || isBusy, definition.heartbeat, now);
  if (isListedAgain(sentAt, now, isBusy)) turn.list();
  state.isActive = false;
  // What this tick itself publishes follows in the same message: only what was before can have been missed.
  turn.broadcast({ type: "heartbeat", offset: log.committed, next: state.heartbeat.due - now });
}
