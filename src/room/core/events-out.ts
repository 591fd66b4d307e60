/**
 * Which events of a tick go out of the room, and when the next batch is handed to the outlet. Read off what the tick did:
 * no rule of the room knows of it.
 */
import type { Effect } from "./event.ts";
import { codeOfOutlet } from "../telemetry/failure.ts";
import type { Item } from "../store/log.ts";
import type { Delivered, NewEvent } from "../store/outbox.ts";
import { OutletRefused, type Batch, type Outlet, type OutEvent, type OutEventType } from "../outlet.ts";
import type { RoomState } from "../store/state.ts";

/** After so many ms an outlet that has not answered has failed; webhooks of our own give up sooner. */
const PATIENCE = 30_000;

/** Collects the events of one tick, step by step, in their order. */
export class Departing {
  readonly #events: NewEvent[] = [];
  readonly #types: ReadonlySet<OutEventType>;
  #members: number;

  /** @param members how many were here before the tick */
  constructor(types: ReadonlySet<OutEventType>, members: number) {
    this.#types = types;
    this.#members = members;
  }

  get events(): readonly NewEvent[] {
    return this.#events;
  }

  /** What one event of the room did: its effects, and its publications. */
  note(effects: readonly Effect[], items: readonly Item[], now: number): void {
    let told = 0;
    for (const effect of effects) {
      if (effect.type !== "presence" || effect.change === "update") continue;
      // A publication may kick, a leave may publish: what came first goes out first.
      while ((items[told]?.publication.offset ?? Infinity) <= effect.after) this.#published(items[told++]);
      if (effect.change === "join") {
        this.#members++;
        this.#add("join", { at: now, member: effect.member });
      } else {
        this.#members--;
        this.#add("leave", { at: now, user: effect.user });
        if (this.#members === 0) this.#add("empty", { at: now });
      }
    }
    for (const item of items.slice(told)) this.#published(item);
  }

  /** The text of the log: what a hook has returned may have become something else since. */
  #published(item: Item | undefined): void {
    if (!item || !this.#types.has("publication")) return;
    this.#events.push(`"type":"publication","at":${item.publication.at},"publication":${item.text}}`);
  }

  #add(type: OutEventType, more: Omit<OutEvent, "id" | "type">): void {
    if (this.#types.has(type)) this.#events.push(JSON.stringify({ type, ...more }).slice(1));
  }
}

/** Puts the events of a tick into the outbox, and the oldest batch on its way. */
export function dispatch(state: RoomState, events: readonly NewEvent[], now: number, effects: Effect[]): void {
  if (events.length === 0) return;
  const given = state.outbox.add(events, now);
  if (given > 0) {
    effects.push({ type: "count", series: "events_out|dead", n: given });
    failed(effects, given, "overflow");
  }
  state.deadlinesChanged = true;
  deliver(state, now, effects);
}

/** Hands the oldest batch to the outlet, unless one is on its way or the oldest must wait. */
export function deliver(state: RoomState, now: number, effects: Effect[]): void {
  if (!state.definition.events) return;
  const { kind, name } = state.name;
  const batch = state.outbox.take(kind, name, now);
  if (batch) effects.push({ type: "deliver", batch });
}

/** Gives a batch to an outlet and waits for what comes of it, for as long as an outlet may take. Never throws. */
export async function handOver(
  batch: Batch,
  outlet: Outlet<never> | undefined,
  env: unknown,
): Promise<{ outcome: Delivered; error?: unknown }> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DOMException("the outlet did not answer", "TimeoutError")), PATIENCE);
  });
  try {
    // The tick's own messages go out first: they do not wait for anybody's code.
    await Promise.resolve();
    if (!outlet) throw new Error("there is no outlet any more");
    // Sound: an outlet is written for the environment that its Worker has.
    await Promise.race([outlet(batch, env as never), late]);
    return { outcome: { ok: true } };
  } catch (error) {
    return { outcome: { ok: false, code: codeOfOutlet(error), final: error instanceof OutletRefused }, error };
  } finally {
    if (timer !== undefined) clearTimeout(timer);
  }
}

/** What came of a delivery; the next one follows. */
export function settle(
  state: RoomState,
  { batch, outcome }: { readonly batch: string; readonly outcome: Delivered },
  now: number,
  effects: Effect[],
): void {
  const became = state.outbox.settle(batch, outcome, now);
  if (became === undefined) return;
  effects.push({ type: "count", series: `events_out|${became}` });
  if (became === "dead") failed(effects, 1, outcome.ok ? "" : outcome.code);
  state.deadlinesChanged = true;
  deliver(state, now, effects);
}

function failed(effects: Effect[], batches: number, why: string): void {
  const error = new Error(`${batches} batches of events given up: ${why}`);
  effects.push({ type: "failed", failure: { code: "undelivered", where: "events", error } });
}
