/**
 * How many rooms, connections, members and sessions there are by kind, and what was counted: what it is, how it is added,
 * and what of another version's answer is one. Knows neither storage nor Prometheus.
 */
import { sum, type Counts } from "../room/telemetry/counts.ts";

/** How many rooms, connections, members and sessions of one kind there are now, and what was counted in them. */
export interface KindTotals {
  readonly rooms: number;
  readonly connections: number;
  readonly members: number;
  readonly sessions: number;
  /** Rooms with undelivered events, whether or not anybody is in them. */
  readonly undelivered_rooms: number;
  /** Batches of events that rooms gave up. */
  readonly dead_letters: number;
  readonly counts: Counts;
}

/** The totals of a kind of which there is nothing. */
export const NOTHING: KindTotals = {
  rooms: 0,
  connections: 0,
  members: 0,
  sessions: 0,
  undelivered_rooms: 0,
  dead_letters: 0,
  counts: {},
};

/** Adds what there is of a kind to what was found of it so far. What an older version does not tell of is 0. */
export function addTotals(found: Record<string, KindTotals>, kind: string, more: Partial<KindTotals>): void {
  const before = Object.hasOwn(found, kind) ? (found[kind] ?? NOTHING) : NOTHING;
  const added = { ...NOTHING, ...more };
  found[kind] = {
    rooms: before.rooms + added.rooms,
    connections: before.connections + added.connections,
    members: before.members + added.members,
    sessions: before.sessions + added.sessions,
    undelivered_rooms: before.undelivered_rooms + added.undelivered_rooms,
    dead_letters: before.dead_letters + added.dead_letters,
    counts: sum(before.counts, added.counts),
  };
}

/**
 * Whether a value is totals by kind. A version may know fewer numbers, and none that is known may be anything else: one
 * text among them would make text of a sum.
 */
export function isTotals(value: unknown): value is Record<string, Partial<KindTotals>> {
  return isRecord(value) && Object.values(value).every((totals) => isRecord(totals) && isOfNumbers(totals));
}

function isOfNumbers({ counts = {}, ...more }: Readonly<Record<string, unknown>>): boolean {
  if (!isRecord(counts) || !Object.values(counts).every(Number.isFinite)) return false;
  return Object.keys(NOTHING).every((name) => more[name] === undefined || Number.isFinite(more[name]));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
