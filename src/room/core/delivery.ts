/** When the next batch of events is handed to the outlet, and what follows on what came of it. */
import type { Delivered } from "../store/outbox.ts";
import type { Turn } from "./turn.ts";

/** Puts the events of a tick into the outbox, and the oldest batch on its way. */
export function dispatch(turn: Turn, events: readonly string[]): void {
  if (events.length === 0) return;
  const given = turn.state.outbox.add(events, turn.now, turn.mintId());
  if (given > 0) {
    turn.count("events_out|dead", given);
    givenUp(turn, given, "overflow");
  }
  deliver(turn);
}

/** Hands the oldest batch to the outlet, unless one is on its way or the oldest must wait. */
export function deliver(turn: Turn): void {
  const { state, now } = turn;
  if (!state.definition.events) return;
  const { kind, name } = state.name;
  const batch = state.outbox.take(kind, name, now);
  if (batch) turn.deliver(batch);
}

/** What came of a delivery; the next one follows. */
export function settle(turn: Turn, batch: string, outcome: Delivered): void {
  const became = turn.state.outbox.settle(batch, outcome, turn.now);
  if (became === undefined) return;
  if (became !== "skipped") turn.count(`events_out|${became}`);
  if (became === "dead") givenUp(turn, 1, outcome.ok ? "" : outcome.code);
  deliver(turn);
}

function givenUp(turn: Turn, batches: number, why: string): void {
  const error = new Error(`${batches} batches of events given up: ${why}`);
  turn.fail({ code: "undelivered", source: "events", error });
}
