/**
 * What time does to a room. Everything that is due happens, each thing once: running it twice changes nothing,
 * because every step takes away the reason for itself.
 */
import { encode } from "../../protocol/codec.ts";
import { applyAll } from "./commands.ts";
import { missed, nextBeat, sessionDeadline } from "../rules/deadlines.ts";
import { deliver } from "./events-out.ts";
import { disconnect, end, graceOver } from "./depart.ts";
import type { Effect } from "./event.ts";
import { runHook } from "./hooks.ts";
import { isListedAgain } from "../telemetry/listing.ts";
import type { Connection, RoomState } from "../store/state.ts";

/** Does all that is due at `now`. */
export function ring(
  state: RoomState,
  answeredAt: (connection: Connection) => number,
  now: number,
  effects: Effect[],
): void {
  state.deadlinesChanged = true;
  endDrain(state, now, effects);
  endSessions(state, now, effects);
  runJobs(state, now, effects);
  deliver(state, now, effects);
  beat(state, answeredAt, now, effects);
}

function endDrain(state: RoomState, now: number, effects: Effect[]): void {
  const { drain } = state;
  if (!drain || drain.until > now) return;
  const hold = drain.reopens > now ? drain.reopens - now : undefined;
  for (const connection of state.connections.values()) {
    disconnect(state, connection, "restarting", now, effects, hold);
  }
}

function endSessions(state: RoomState, now: number, effects: Effect[]): void {
  const due = [...state.sessions.all()].filter((session) => sessionDeadline(session, state.definition) <= now);
  // By id: an order that waking from storage cannot change.
  for (const { id } of due.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
    const session = state.sessions.get(id);
    if (!session) continue;
    const connection = state.connections.get(session.id);
    if (connection) disconnect(state, connection, "token_expired", now, effects);
    else if (session.present) graceOver(state, session, now, effects);
    // The grace can end long after the window did, when the room could not run in between.
    const left = state.sessions.get(session.id);
    if (left?.droppedAt != null && left.droppedAt + state.definition.resumeWindow <= now) {
      end(state, left, now, effects);
    }
  }
}

function runJobs(state: RoomState, now: number, effects: Effect[]): void {
  const { onTimer } = state.definition.hooks;
  for (const job of state.jobs.due(now)) {
    if (!state.jobs.isSet(job)) continue;
    if (!onTimer) {
      const error = new Error(`no onTimer for the timer ${job.name}`);
      effects.push({ type: "failed", failure: { code: "hook_failed", where: "onTimer", error } });
      state.jobs.cancel(job.name);
      continue;
    }
    const result = runHook(state, now, effects, "onTimer", (room) => onTimer(room, job.name, job.data));
    if (!result.ok) {
      state.jobs.retry(job, now);
      continue;
    }
    state.jobs.cancel(job.name);
    applyAll(state, result.commands, now, effects);
  }
}

function beat(state: RoomState, answeredAt: (connection: Connection) => number, now: number, effects: Effect[]): void {
  const { beat: current, definition } = state;
  if (!current || current.due > now) return;
  const previous = current.due - current.interval;
  let doubts = false;
  for (const connection of state.connections.values()) {
    const count = missed(connection.missed, connection.since, answeredAt(connection), previous);
    if (count > 0) effects.push({ type: "count", series: "heartbeats_missed" });
    if (count !== connection.missed) {
      connection.missed = count;
      connection.dirty = true;
    }
    if (count >= definition.heartbeat.misses) disconnect(state, connection, "heartbeat_lost", now, effects);
    else if (count > 0) doubts = true;
  }
  if (state.connections.size === 0) return;
  // Who has missed one in a quiet room is asked again soon: a ghost must not live for several of the longest intervals.
  const busy = isBusy(state, previous);
  const next = nextBeat(current.interval, doubts || busy, definition.heartbeat, now);
  state.beat = next;
  if (isListedAgain(previous, now, busy)) effects.push({ type: "list" });
  state.active = false;
  // What this tick itself publishes follows in the same message: only what was before can have been missed.
  effects.push({ type: "all", text: encode({ type: "heartbeat", offset: state.log.committed, next: next.due - now }) });
}

/** Whether anything happened since the previous beat; read from what is durable, because memory may be younger. */
function isBusy(state: RoomState, previous: number): boolean {
  if (state.active || state.log.newestAt >= previous) return true;
  for (const { connectedAt, droppedAt, dataAt } of state.sessions.all()) {
    if (Math.max(connectedAt, droppedAt ?? 0, dataAt) >= previous) return true;
  }
  return false;
}
