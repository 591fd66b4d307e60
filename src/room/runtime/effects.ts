/**
 * Does what a committed tick asks for: frames to sockets, good-byes, work of hooks, events to their outlet, and what is to
 * be recorded. Decides nothing; what comes of it is submitted as an event of its own.
 */
import { encode } from "../../protocol/codec.ts";
import type { CodeName } from "../../protocol/codes.ts";
import type { Effects, Work } from "../core/effects.ts";
import type { RoomEvent } from "../core/event.ts";
import type { TickOutcome } from "../core/tick.ts";
import type { Batch, Outlet } from "../outlet.ts";
import type { Connection } from "../rules/connection.ts";
import type { Continuation, RoomState } from "../store/state.ts";
import type { Failure } from "../telemetry/failure.ts";
import type { Recorder } from "../telemetry/recorder.ts";
import { compose } from "./fanout.ts";
import { handOver } from "./hand-over.ts";
import type { Platform } from "./platform.ts";
import type { Sockets } from "./sockets.ts";

/** What the effects of a room are done with. */
export interface EffectParts {
  readonly platform: Platform;
  readonly sockets: Sockets;
  readonly recorder: Recorder;
  /** Where the room's events go, if anywhere. */
  readonly outlet: () => Outlet<never> | undefined;
  readonly env: unknown;
  readonly submit: (event: RoomEvent) => Promise<unknown>;
  readonly fail: (failure: Failure) => void;
  /** What follows on work that has not ended, by its id. */
  readonly continuations: Map<string, Continuation>;
  /** What relays, or the room of this relay, learn of a tick. */
  readonly ticked: (state: RoomState, outcome: TickOutcome) => void;
}

/** Performs the effects of one room. */
export class EffectRunner {
  readonly #parts: EffectParts;
  /** Whether the room is to be asked soon to tell how many members there are. */
  #isCountDue = false;

  constructor(parts: EffectParts) {
    this.#parts = parts;
  }

  /** Does it all, in the order in which clients must see it. Returns how many sockets it wrote to. */
  run(state: RoomState, outcome: TickOutcome): number {
    const { outgoing, effects } = outcome;
    // First: what members of a relay have said must not be lost with what fails below.
    this.#parts.ticked(state, outcome);
    const { recorder, sockets } = this.#parts;
    // A socket must be there before it is written to.
    for (const connection of effects.accepted) this.#accept(connection);
    this.#record(state, effects);
    for (const work of effects.work) void this.#work(work);
    for (const batch of effects.batches) void this.#deliver(batch);
    if (effects.countDue !== undefined) this.#countLater(effects.countDue);
    const written = this.#send(state, outgoing);
    recorder.rows(state.sql.exec<{ n: number }>("SELECT total_changes() AS n").one().n);
    // Where nobody is, nobody carries the recorder, and no heartbeat reports what is in it.
    const hasNews = state.isActive || outgoing.range.items.length > 0;
    const isAlone = state.connections.size === 0 && hasNews && recorder.isDue;
    if (isAlone || effects.isListingDue) recorder.report(state.listing);
    for (const { connection, code } of effects.closed) sockets.dismiss(connection, code);
    this.save(state);
    return written;
  }

  /** Writes down in the sockets what must outlive hibernation. */
  save(state: RoomState): void {
    const { recorder, sockets } = this.#parts;
    const heartbeatAt = state.heartbeat?.sentAt;
    sockets.save(state.changed, state.connections.values(), () => ({
      recorder: recorder.snapshot(),
      ...(heartbeatAt !== undefined && { heartbeatAt }),
      ...(state.mirror?.fed && { fed: state.mirror.fed }),
    }));
  }

  /** To one connection, apart from a tick. A peer that does not read what it is sent is cut instead. */
  answer(state: RoomState, connection: Connection, text: string): void {
    const { platform, sockets } = this.#parts;
    if (sockets.reads(connection, platform.now(), this.#question(state))) sockets.send(connection, text);
    else this.#cut(connection, "slow");
  }

  #accept(connection: Connection): void {
    const { fail, sockets } = this.#parts;
    try {
      sockets.accept(connection);
    } catch (error) {
      // The platform has no socket for it: its request is refused, and nobody else is harmed.
      fail({ code: "internal", source: "accept", session: connection.session, user: connection.user, error });
      this.#cut(connection, "internal");
    }
  }

  #cut({ session, generation }: Connection, code: CodeName): void {
    void this.#parts.submit({ type: "cut", session, generation, code });
  }

  /** What asks a peer for a sign of life. */
  #question(state: RoomState): (connection: Connection) => string {
    return ({ stoppedAt }) => {
      const next = Math.max(0, (state.heartbeat?.due ?? 0) - this.#parts.platform.now());
      return encode({ type: "heartbeat", offset: stoppedAt ?? state.log.committed, next });
    };
  }

  /** A timer of memory and no alarm, which would be a row each time: where it is lost, the next heartbeat tells. */
  #countLater(due: number): void {
    const { platform, submit } = this.#parts;
    if (this.#isCountDue) return;
    this.#isCountDue = true;
    platform.later(due - platform.now(), () => {
      this.#isCountDue = false;
      void submit({ type: "countDue" });
    });
  }

  #record(state: RoomState, { counts, failures, ends }: Effects): void {
    const { recorder, fail } = this.#parts;
    recorder.counters.merge(counts.counts);
    for (const failure of failures) fail(failure);
    const { kind, name } = state.name;
    for (const end of ends) recorder.ended(end, { kind, room: name });
  }

  #send(state: RoomState, outgoing: TickOutcome["outgoing"]): number {
    const { platform, recorder, sockets } = this.#parts;
    const now = platform.now();
    const ask = this.#question(state);
    let written = 0;
    let messages = 0;
    let publications = 0;
    let to: Connection | undefined;
    let reads = true;
    // A client that has caught up gets signals again: where there are only signals, nothing else would have it judged.
    for (const connection of sockets.behind) sockets.reads(connection, now, ask);
    const audience = { connections: state.connections, members: () => state.roster.text };
    for (const { connection, text, items, isLast } of compose(outgoing, audience)) {
      messages++;
      publications += items;
      // Judged once, before the first of a tick's messages: what is sent now cannot have been read yet.
      if (connection !== to) {
        written++;
        to = connection;
        reads = sockets.reads(connection, now, ask);
        if (!reads && !isLast) this.#cut(connection, "slow");
        if (outgoing.isHeartbeat) connection.backlog.asked(now);
      }
      if (reads || isLast) sockets.send(connection, text);
    }
    recorder.counters.add("messages_sent", messages);
    recorder.counters.add("deliveries", publications);
    return written;
  }

  async #work({ id, run, followUp }: Work): Promise<void> {
    const { continuations, fail, submit } = this.#parts;
    if (followUp) continuations.set(id, followUp);
    let outcome: { ok: true; value: unknown } | { ok: false; error: unknown };
    try {
      // The tick's own messages go out first: they do not wait for anybody's code.
      await Promise.resolve();
      outcome = { ok: true, value: await run() };
    } catch (error) {
      outcome = { ok: false, error };
      if (!followUp) fail({ code: "hook_failed", source: "defer", error });
    }
    if (followUp) await submit({ type: "deferred", work: id, outcome });
    continuations.delete(id);
  }

  async #deliver(batch: Batch): Promise<void> {
    const { outlet, env, fail, submit, platform } = this.#parts;
    const { outcome, error } = await handOver(batch, outlet(), env, platform);
    if (!outcome.ok) fail({ code: outcome.code, source: "events", error });
    await submit({ type: "settled", batch: batch.id, outcome });
  }
}
