/**
 * Does what a committed tick asks for: frames to sockets, good-byes, work of hooks, events to their outlet, and the entries
 * in the books. Decides nothing; what comes of it is submitted as an event of its own.
 */
import { encode } from "../../protocol/codec.ts";
import type { Books } from "../telemetry/recorder.ts";
import { handOver } from "../core/events-out.ts";
import type { Effect, RoomEvent } from "../core/event.ts";
import type { Failure } from "../telemetry/failure.ts";
import { compose } from "./fanout.ts";
import type { Batch, Outlet } from "../outlet.ts";
import type { Sockets } from "./sockets.ts";
import type { Connection, RoomState } from "../store/state.ts";

/** What a performer works with. */
export interface Hands {
  readonly sockets: Sockets;
  readonly books: Books;
  /** Where the room's events go, if anywhere. */
  readonly outlet: () => Outlet<never> | undefined;
  readonly env: unknown;
  readonly submit: (event: RoomEvent) => Promise<unknown>;
  readonly fail: (failure: Failure) => void;
  readonly now: () => number;
}

/** Performs the effects of one room. */
export class Performer {
  readonly #hands: Hands;

  constructor(hands: Hands) {
    this.#hands = hands;
  }

  /** Does it all, in the order in which clients must see it. Returns how many sockets it wrote to. */
  perform(state: RoomState, effects: readonly Effect[]): number {
    const { books, sockets } = this.#hands;
    for (const effect of effects) this.#begin(state, effect);
    const written = this.#send(state, effects);
    books.tally.add("publications", state.log.staged.length);
    books.rows(state.sql.exec<{ n: number }>("SELECT total_changes() AS n").one().n);
    state.log.settle();
    // Where nobody is, nobody carries the books, and no heartbeat tells what is in them.
    const isAlone = state.connections.size === 0 && state.active && books.isDue;
    if (isAlone || effects.some((effect) => effect.type === "list")) books.tell(state.listing);
    for (const effect of effects) if (effect.type === "close") sockets.dismiss(effect.connection, effect.code);
    sockets.save(state.connections.values(), state.log.head, books);
    return written;
  }

  /** What does not wait for the frames: a socket must be there before it is written to. */
  #begin(state: RoomState, effect: Effect): void {
    const { books, sockets, fail } = this.#hands;
    if (effect.type === "accept") sockets.accept(effect.connection);
    else if (effect.type === "work") void this.#work(effect);
    else if (effect.type === "deliver") void this.#deliver(effect.batch);
    else if (effect.type === "count") books.tally.add(effect.series, effect.n);
    else if (effect.type === "failed") fail(effect.failure);
    else if (effect.type === "close") {
      const { session, user, traceparent } = effect.connection;
      const requestId = effect.requestId ?? state.sessions.get(session)?.requestId;
      const { kind, name } = state.name;
      books.closed(effect.code, { session, user, requestId, traceparent }, { kind, room: name });
    }
  }

  #send(state: RoomState, effects: readonly Effect[]): number {
    const { books, sockets, submit, now } = this.#hands;
    let written = 0;
    let messages = 0;
    let items = 0;
    let to: Connection | undefined;
    let reads = true;
    const at = now();
    const next = Math.max(0, (state.beat?.due ?? 0) - at);
    const probe = ({ fed }: Connection) => encode({ type: "heartbeat", offset: fed, next });
    for (const { connection, text, items: its, last } of compose(state, effects)) {
      messages++;
      items += its;
      // Judged once, before the first of a tick's messages: what is sent now cannot have been read yet.
      if (connection !== to) {
        written++;
        to = connection;
        reads = sockets.reads(connection, at, probe);
        const { session, generation } = connection;
        if (!reads) void submit({ type: "cut", session, generation, code: "slow" });
      }
      if (reads || last) sockets.send(connection, text);
    }
    books.tally.add("messages_sent", messages);
    books.tally.add("deliveries", items);
    return written;
  }

  async #work({ work, after }: Extract<Effect, { type: "work" }>): Promise<void> {
    let outcome: { ok: true; value: unknown } | { ok: false; error: unknown };
    try {
      outcome = { ok: true, value: await work() };
    } catch (error) {
      outcome = { ok: false, error };
      if (!after) this.#hands.fail({ code: "hook_failed", where: "defer", error });
    }
    if (after) await this.#hands.submit({ type: "deferred", outcome, after });
  }

  async #deliver(batch: Batch): Promise<void> {
    const { outlet, env, fail, submit } = this.#hands;
    const { outcome, error } = await handOver(batch, outlet(), env);
    if (!outcome.ok) fail({ code: outcome.code, where: "events", error });
    await submit({ type: "settled", batch: batch.id, outcome });
  }
}
