/**
 * A tick: what waits, or as much of it as one message should carry, as one change of the room. Runs inside a transaction
 * that its caller opens, and asks for nothing to be done before that has committed.
 */
import { Departing, dispatch } from "./events-out.ts";
import { step } from "./step.ts";
import type { Effect, RoomEvent } from "./event.ts";
import type { FailureContext } from "../telemetry/failure.ts";
import type { Waiting } from "../runtime/scheduler.ts";
import type { RoomState } from "../store/state.ts";

/** Bytes of publications after which a tick ends and the next begins; an event is never cut in two. */
const TICK_BYTES = 1_048_576;
/**
 * UTF-16 units that a tick has for single connections, after which it ends too. Replays, snapshots and lists of members
 * are up to 2 MiB each and in memory until the tick has committed: a few hundred at once would be more than an object has.
 */
const TICK_SENDS = 8_388_608;

/** What a tick came to. */
export interface Tick {
  /** Events it took, from the first. */
  done: number;
  readonly effects: Effect[];
  /** When the alarm must ring after it. */
  alarm: number | undefined;
}

/**
 * Applies events and writes the tick's publications. `tick.done` counts also the event that throws.
 *
 * @param tick is filled in; its `alarm` is the one that is set now
 */
export function applyTick(state: RoomState, batch: readonly Waiting[], now: number, tick: Tick): void {
  const { events } = state.definition;
  const departing = events && new Departing(events.types, state.roster.size);
  let sends = 0;
  while (tick.done < batch.length && state.log.stagedBytes < TICK_BYTES && sends < TICK_SENDS) {
    const waiting = batch[tick.done++];
    if (!waiting) continue;
    const published = state.log.staged.length;
    const effects = step(state, waiting.event, now);
    departing?.note(effects, state.log.staged.slice(published), now);
    for (const effect of effects) {
      if (effect.type === "result") waiting.result = effect.result;
      else tick.effects.push(effect);
      if (effect.type === "send") sends += effect.text.length;
    }
  }
  if (state.log.staged.length > 0) state.continueEpoch();
  state.log.commit((session) => state.sessions.get(session) !== undefined);
  if (departing) dispatch(state, departing.events, now, tick.effects);
  const isLive = state.connections.size > 0;
  if (isLive !== state.isListed) tick.effects.push({ type: "list" });
  state.isListed = isLive;
  if (state.deadlinesChanged) tick.alarm = state.nextAlarm();
}

/** Whose an event is, as far as the event or what was in memory says. */
export function aboutOf(event: RoomEvent, state: RoomState | undefined): FailureContext {
  if (event.type === "connect" || event.type === "operate") {
    const { credentials, requestId, traceparent } = event.type === "connect" ? event.admission : event.caller;
    return { user: credentials.user, requestId, traceparent };
  }
  if (!("session" in event)) return {};
  const session = state?.sessions.get(event.session);
  const traceparent = traceOf([{ event }]) ?? state?.connections.get(event.session)?.traceparent;
  const known = session && { user: session.user, requestId: session.requestId };
  return { session: event.session, ...known, traceparent };
}

/** The trace that a tick belongs to, as far as one of its events says so. */
export function traceOf(batch: readonly Waiting[]): string | undefined {
  for (const { event } of batch) {
    const from = event.type === "operate" ? event.caller : event.type === "frame" ? event.frame : undefined;
    if (from && "traceparent" in from && from.traceparent !== undefined) return from.traceparent;
  }
  return undefined;
}
