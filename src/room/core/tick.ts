/**
 * A tick: what waits, or as much of it as one message should carry, as one change of the room. Runs inside a transaction
 * that its caller opens, and asks for nothing to be done before that has committed.
 */
import { dispatch } from "./delivery.ts";
import type { Effects } from "./effects.ts";
import type { Result, RoomEvent } from "./event.ts";
import type { Outgoing } from "./outgoing.ts";
import { announceCount } from "./presence.ts";
import { step } from "./step.ts";
import { TickContext, Turn } from "./turn.ts";
import type { RoomState } from "../store/state.ts";

/** Bytes of publications after which a tick ends and the next begins; an event is never cut in two. */
const TICK_BYTES = 1_048_576;
/** UTF-16 units of signals and presence for everyone, likewise: they are as large for each socket as publications are. */
const TICK_SHARED = 1_048_576;
/**
 * UTF-16 units that a tick has for single connections, after which it ends too. Replays, snapshots and lists of members
 * are up to 2 MiB each and in memory until the tick has committed: a few hundred at once would be more than an object has.
 */
const TICK_SENDS = 8_388_608;

/** What a tick is given: the same input to the same room gives the same outcome. */
export interface TickInput {
  readonly events: readonly RoomEvent[];
  /** In ms since the epoch. */
  readonly now: number;
  /** Unguessable and new for every tick: the ids that it gives out are made of it. */
  readonly id: string;
}

/** What a tick came to. */
export interface TickOutcome {
  /** One for each event that it took, from the first. */
  readonly results: readonly Result[];
  readonly outgoing: Outgoing;
  readonly effects: Effects;
  /** When the alarm must ring after it; `undefined` when nothing will ever be due. */
  readonly alarm: number | undefined;
}

/** An event that could not be applied. */
export class EventFailed extends Error {
  override readonly name = "EventFailed";
  /** Its place in the tick. */
  readonly index: number;

  constructor(index: number, cause: unknown) {
    super("an event could not be applied", { cause });
    this.index = index;
  }
}

/**
 * Applies events and writes what they changed.
 *
 * @throws EventFailed when one of them cannot be applied; anything else when what they changed cannot be written
 */
export function applyTick(state: RoomState, { events, now, id }: TickInput): TickOutcome {
  const tick = new TickContext(state, now, id);
  const { outgoing, effects, eventsOut } = tick;
  const results: Result[] = [];
  const isFull = () =>
    state.log.stagedBytes >= TICK_BYTES || outgoing.sharedLength >= TICK_SHARED || outgoing.length >= TICK_SENDS;
  for (const [index, event] of events.entries()) {
    if (isFull()) break;
    try {
      results.push(step(tick, event));
    } catch (error) {
      throw new EventFailed(index, error);
    }
  }
  if (state.log.staged.length > 0) state.continueEpoch(tick.mintId());
  if (eventsOut) dispatch(new Turn(tick), eventsOut.events);
  state.sessions.commit();
  state.log.commit();
  announceCount(tick);
  outgoing.finish(state, now);
  // A relay has them from its room, which has counted them.
  if (!state.mirror) effects.counts.add("publications", state.log.staged.length);
  state.log.settle();
  const isLive = state.connections.size > 0 || state.remote.isAttached;
  if (isLive !== state.isListed) effects.isListingDue = true;
  if ((state.undelivered.due ?? Infinity) <= now) effects.isListingDue = true;
  if (effects.isListingDue) state.undelivered.sent(now);
  state.isListed = isLive;
  // The next instance must know how long this has gone on.
  if (state.mirror?.pass(now)) state.meta.set("untold", String(state.mirror.tries));
  return { results, outgoing, effects, alarm: state.nextAlarm() };
}
