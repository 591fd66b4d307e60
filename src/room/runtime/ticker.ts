/**
 * Runs ticks: one transaction each, then what it asks for, then the answers to the callers. Holds the state in memory and
 * throws it away when a transaction fails. Sees to it that what cannot be done fails alone, and arms the one alarm.
 */
import { aboutOf, traceOf } from "../core/context.ts";
import { keyOf } from "../core/alarm.ts";
import type { DueEvent, Refused, RoomEvent } from "../core/event.ts";
import { encodeFailure, failure } from "../core/frames.ts";
import { applyTick, EventFailed, type TickInput, type TickOutcome } from "../core/tick.ts";
import type { RoomDefinition } from "../definition.ts";
import type { Mirror } from "../store/mirror.ts";
import { migrate, versionOf } from "../store/schema.ts";
import type { Session } from "../store/sessions.ts";
import { RoomState, type Continuation } from "../store/state.ts";
import { codeOfThrown, UnreadableStorage, type Failure } from "../telemetry/failure.ts";
import type { Recorder } from "../telemetry/recorder.ts";
import type { EffectRunner } from "./effects.ts";
import type { Platform } from "./platform.ts";
import { MAX_RECORDED, Recording, type RowBudget } from "./recording.ts";
import type { Ran, Waiting } from "./scheduler.ts";
import type { Sockets } from "./sockets.ts";

/** The platform takes no alarm after the year 2189. */
const LATEST_ALARM = 6_900_000_000_000;
/** When to try again what could not be done. */
export const RETRY_MS = 30_000;
/** When to try again to set an alarm that could not be set. */
const REARM_MS = 1_000;
/** Due things that are held back by name; past it everything due is tried again. */
const MAX_HELD = 10_000;
/**
 * Transactions of one batch that may fail until the rest of it is refused untried. Each costs the state anew. One event that
 * cannot be written among 512 is found with 10, three with less than 30; a disk that takes nothing would have 1,023.
 */
const MAX_FAILED = 32;

/** What a ticker works with. */
export interface TickerParts {
  readonly platform: Platform;
  readonly definition: () => RoomDefinition;
  readonly sockets: Sockets;
  readonly recorder: Recorder;
  readonly effects: () => EffectRunner;
  readonly continuations: ReadonlyMap<string, Continuation>;
  /** In a relay: its copy of the room's log. */
  readonly mirror: Mirror | undefined;
  readonly span: <T>(name: string, attributes: Attributes, run: () => T) => T;
  readonly fail: (failure: Failure) => void;
  /** Takes ticks that failed, as data. */
  readonly onFailedTick: () => ((recording: Recording) => void) | undefined;
}

/** What a span says of itself. */
export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** What the failures of one batch have cost so far, and may still cost. */
interface Trouble extends RowBudget {
  /** Transactions that failed. */
  failed: number;
}

/** The ticks of one room. */
export class Ticker {
  readonly #parts: TickerParts;
  /** Due things that could not be done lately, by key: until when each has to wait. */
  readonly #held = new Map<string, number>();
  #state: RoomState | undefined;
  /** When the alarm is set to ring; `undefined` when it is not set. */
  #armed: number | undefined;
  /** For when the alarm was set that rings now. */
  #ringing: number | undefined;
  /** Sessions that lost their socket in a reset, until their drops have happened. */
  #lost: readonly Session[] = [];

  constructor(parts: TickerParts) {
    this.#parts = parts;
  }

  /** The state, if it is in memory. */
  get loaded(): RoomState | undefined {
    return this.#state;
  }

  /** The alarm is set to ring at this moment, without a tick that asked for it. */
  setArmed(at: number | undefined): void {
    this.#armed = at;
  }

  /**
   * The alarm is ringing, and is set no more.
   *
   * @param scheduled for when it was set, if the runtime says so. It may ring late: a state that is built now must know
   *   for when it was set, because a client that answered the last heartbeat so late is not silent
   */
  ring(scheduled: number | undefined): void {
    this.#ringing = scheduled ?? this.#armed;
    this.#armed = undefined;
  }

  /**
   * The state, built from storage and sockets when this instance has none yet.
   *
   * @throws UnreadableStorage
   */
  load(): RoomState {
    try {
      return (this.#state ??= this.#build());
    } catch (error) {
      throw error instanceof UnreadableStorage ? error : new UnreadableStorage(String(error));
    }
  }

  /** The state is thrown away: it is built anew when it is needed, as after any failure. */
  forget(): void {
    this.#state = undefined;
  }

  /** Builds the state of a room that was ever written to; what cannot be read says so with the next tick. */
  wake(): void {
    try {
      // A room that was never written to has lost nobody, and gets no tables for the question.
      if (!this.#state && versionOf(this.#parts.platform.storage.sql) !== 0) this.load();
    } catch {
      // The tick that follows fails of the same, and the caller that waits for it is told.
    }
  }

  /** Things may be tried again that had to wait until now. */
  release(now: number): void {
    for (const [key, until] of this.#held) if (until <= now) this.#held.delete(key);
  }

  /** One tick with as many of these events as it takes; drops that nobody told of come first. */
  run(batch: readonly Waiting[]): Ran {
    this.#reconcile(batch);
    const attributes = { events: batch.length, traceparent: traceOf(batch.map(({ event }) => event)) };
    return this.#parts.span("tick", attributes, () => this.#tick(batch));
  }

  /** Sets the alarm, or calls it off. */
  arm(next: number | undefined): void {
    // The platform takes no moment before its first millisecond.
    const when = next === undefined ? undefined : Math.max(1, Math.min(next, LATEST_ALARM));
    this.#ringing = undefined;
    if (when === this.#armed) return;
    this.#armed = when;
    const { fail, platform } = this.#parts;
    const set = when === undefined ? platform.storage.deleteAlarm() : platform.storage.setAlarm(when);
    set.catch((error: unknown) => {
      // A newer alarm may have been set meanwhile, and stands.
      if (this.#armed !== when) return;
      this.#armed = undefined;
      fail({ code: "storage_failed", source: "setAlarm", error });
      // Nothing else would wake the room: it stays awake until it has an alarm again.
      if (when !== undefined) platform.later(REARM_MS, () => this.#armed ?? this.arm(when));
    });
  }

  /** Sets the alarm to ring in a while, unless it rings sooner. */
  armRetry(): void {
    this.arm(Math.min(this.#armed ?? Infinity, this.#parts.platform.now() + RETRY_MS));
  }

  #tick(batch: readonly Waiting[], trouble: Trouble = { failed: 0, left: MAX_RECORDED }): Ran {
    const { platform, recorder } = this.#parts;
    const input: TickInput = { events: batch.map(({ event }) => event), now: platform.now(), id: platform.mintId() };
    let outcome: TickOutcome;
    let state: RoomState;
    try {
      ({ outcome, state } = platform.storage.transactionSync(() => this.#apply(input)));
    } catch (error) {
      // Memory may be ahead of storage.
      this.#state = undefined;
      trouble.failed++;
      return this.#isolate(batch, input, error, trouble);
    }
    // Before anybody is told: a client that is not told all of it asks again.
    state.mirror?.settle(state.fed);
    this.arm(outcome.alarm);
    recorder.ticked(outcome.results.length, (platform.now() - input.now) / 1_000);
    const sockets = this.#perform(state, outcome);
    return { ...answer(batch, outcome), sockets };
  }

  /** Does what a tick asks for. Returns how many sockets were written to. */
  #perform(state: RoomState, outcome: TickOutcome): number {
    const { effects, fail, span } = this.#parts;
    try {
      return span("fan-out", { sockets: state.connections.size }, () => effects().run(state, outcome));
    } catch (error) {
      // The tick is committed; a client that did not get its frames sees a gap and asks for them. A relay has no refs:
      // its clients may lack an answer of the room, and must come back for it.
      this.#state = undefined;
      if (state.mirror) this.#parts.sockets.sendAllBack();
      fail({ code: codeOfThrown(error), source: "fan-out", error });
      return 0;
    }
  }

  /** Applies a tick inside the transaction. */
  #apply(input: TickInput): { outcome: TickOutcome; state: RoomState } {
    const state = this.load();
    return { outcome: applyTick(state, input), state };
  }

  /**
   * The transaction was undone. If one event threw, it has a tick of its own, between those before it and those after it;
   * if what they wrote together could not be written, each half has.
   */
  #isolate(batch: readonly Waiting[], input: TickInput, error: unknown, trouble: Trouble): Ran {
    const [only] = batch;
    if (batch.length <= 1 || !only) {
      const cause = error instanceof EventFailed ? error.cause : error;
      if (only) this.#refuse(only, input, cause, trouble);
      else {
        this.#parts.fail({ code: codeOfThrown(cause), source: "tick", error: cause });
        this.armRetry();
      }
      return { done: batch.length, sockets: 0 };
    }
    const index = error instanceof EventFailed ? error.index : undefined;
    if (index === undefined && trouble.failed >= MAX_FAILED) {
      for (const each of batch) this.#refuse(each, input, error, trouble);
      return { done: batch.length, sockets: 0 };
    }
    if (index === 0 && error instanceof EventFailed) {
      // Nothing came before it: it has just been seen to fail alone.
      this.#refuse(only, input, error.cause, trouble);
      return { done: 1, sockets: 0 };
    }
    const parts =
      index === undefined
        ? [batch.slice(0, batch.length >> 1), batch.slice(batch.length >> 1)]
        : [batch.slice(0, index), batch.slice(index, index + 1)];
    let done = 0;
    let sockets = 0;
    for (const part of parts) {
      if (part.length === 0) continue;
      const ran = this.#tick(part, trouble);
      done += ran.done;
      sockets += ran.sockets;
      // A tick may be full before its end: the rest has another.
      if (ran.done < part.length) break;
    }
    return { done, sockets };
  }

  /** One event that cannot be applied: the caller is told, and what is due waits a while. */
  #refuse({ event, resolve }: Waiting, input: TickInput, error: unknown, trouble: Trouble): void {
    const { fail, onFailedTick, platform } = this.#parts;
    const code = codeOfThrown(error);
    fail({ ...this.#aboutOf(event), code, source: "tick", error });
    const refused: Refused = { ok: false, code };
    resolve?.(refused);
    if (isDue(event)) {
      if (this.#held.size >= MAX_HELD) this.#held.clear();
      this.#held.set(keyOf(event), input.now + RETRY_MS);
    }
    this.armRetry();
    try {
      onFailedTick()?.(Recording.of(platform, input, error, trouble));
      if (event.type === "frame") this.#answerFailure(event, refused);
    } catch (second) {
      fail({ code: codeOfThrown(second), source: "tick", error: second });
    }
  }

  #aboutOf(event: RoomEvent) {
    try {
      return aboutOf(event, this.load());
    } catch {
      return aboutOf(event, undefined);
    }
  }

  #answerFailure({ session, generation, frame }: Extract<RoomEvent, { type: "frame" }>, { code }: Refused): void {
    const { sockets } = this.#parts;
    let state: RoomState;
    try {
      state = this.load();
    } catch (error) {
      // An answer that cannot be given ends the connection: its client comes back and repeats what has none.
      sockets.hangUp(session, generation, code);
      throw error;
    }
    // It was not there to be marked when the tick failed.
    state.isActive = true;
    const connection = state.connection(session, generation);
    if (connection) sockets.send(connection, encodeFailure(frame, failure(code)));
  }

  /**
   * Sessions that lost their socket in a reset have a tick of their own: what they cannot do is not the others' fault. Not
   * those whose socket has just closed, and woke the room by that: their drop is in the batch and says more.
   */
  #reconcile(batch: readonly Waiting[]): void {
    this.wake();
    if (this.#lost.length === 0) return;
    const closed = new Map(batch.flatMap(({ event }) => (event.type === "drop" ? [[event.session, event]] : [])));
    const lost = this.#lost.filter(({ id, generation }) => closed.get(id)?.generation !== generation);
    this.#lost = [];
    const drops = lost.map(({ id, generation }): RoomEvent => ({ type: "drop", session: id, generation }));
    for (let done = 0; done < drops.length;) {
      done += this.#tick(drops.slice(done).map((event) => ({ event }))).done;
    }
  }

  #build(): RoomState {
    const { platform, definition, sockets, recorder, continuations, mirror } = this.#parts;
    const { storage } = platform;
    // Here, not when the object begins: storage can be wiped under a running room. A room that was never written to gets
    // its tables with its first row.
    const schemaWritten = (rows: number) => recorder.counters.add("rows_written", rows);
    if (versionOf(storage.sql) !== 0) storage.transactionSync(() => migrate(storage.sql, schemaWritten));
    const { found, snapshot } = sockets.survivors();
    if (snapshot) recorder.restore(snapshot.recorder);
    mirror?.rewind(snapshot?.fed);
    const state = new RoomState({
      definition: definition(),
      sql: storage.sql,
      atomic: (run) => storage.transactionSync(run),
      pointers: [...found.keys()],
      room: platform.name,
      alarm: this.#ringing ?? this.#armed,
      heartbeatAt: snapshot?.heartbeatAt,
      now: platform.now(),
      held: this.#held,
      continuations,
      mirror,
      schemaWritten,
    });
    sockets.adopt(found, ({ session, generation }) => state.connection(session, generation));
    this.#lost = state.lost;
    return state;
  }
}

function answer(batch: readonly Waiting[], { results }: TickOutcome): Ran {
  for (const [i, result] of results.entries()) batch[i]?.resolve?.(result);
  return { done: results.length, sockets: 0 };
}

function isDue(event: RoomEvent): event is DueEvent {
  return ["drainOver", "sessionDue", "timerDue", "outboxDue", "heartbeatDue"].includes(event.type);
}
