/** All parts of the directory together: its pages, totals and failures, and where an isolate reports. */
import type { RoomPage } from "../protocol/api.ts";
import type { Counts } from "../room/telemetry/counts.ts";
import { isGrave, type FailureRecord } from "../room/telemetry/failure.ts";
import { DIRECTORY_SHARDS } from "../room/telemetry/listing.ts";
import { addTotals, MAX_FAILURES, PAGE, type Directory } from "./directory.ts";
import type { KindTotals } from "./metrics.ts";

/** Grave failures that have a place in a list, however many others are newer. */
const MAX_GRAVE = 50;
/** The part that this isolate reports to. */
let chosen: string | undefined;

/** Where a list goes on: a part of the directory, and the last room of the page before. */
const CURSOR = /^(\d{1,2})(?::([^/]+)\/(.+))?$/;

/**
 * One page of all live rooms.
 *
 * @param cursor `next` of the page before; absent for the first
 * @returns `undefined` when the cursor is invalid
 */
export async function listRooms(
  directory: DurableObjectNamespace<Directory>,
  cursor = "0",
): Promise<RoomPage | undefined> {
  const [whole, digits, kind, room] = cursor.match(CURSOR) ?? [];
  const shard = Number(digits);
  if (whole === undefined || shard >= DIRECTORY_SHARDS) return undefined;
  const after = kind !== undefined && room !== undefined ? { kind, room } : undefined;
  const rooms = await directory.getByName(String(shard)).list(after);
  const last = rooms.length === PAGE ? rooms.at(-1) : undefined;
  if (last) return { rooms, next: `${shard}:${last.kind}/${last.room}` };
  return shard + 1 < DIRECTORY_SHARDS ? { rooms, next: String(shard + 1) } : { rooms };
}

/** Reports what this isolate counted. Any part will do; each isolate chooses one, so that none is hot. */
export async function reportCounts(
  directory: DurableObjectNamespace<Directory>,
  counts: Counts,
  failures: readonly FailureRecord[],
): Promise<void> {
  chosen ??= String(Math.floor(Math.random() * DIRECTORY_SHARDS));
  await directory.getByName(chosen).count(counts, failures);
}

/** What every part of the directory has counted, added up. */
export async function allTotals(directory: DurableObjectNamespace<Directory>): Promise<Record<string, KindTotals>> {
  const together: Record<string, KindTotals> = {};
  for (const totals of await Promise.all(parts(directory).map(async (part) => part.totals()))) {
    for (const [kind, more] of Object.entries(totals)) addTotals(together, kind, more);
  }
  return together;
}

/** The newest failures of all parts, newest first, at most a hundred: half of the places are kept for grave ones. */
export async function allFailures(directory: DurableObjectNamespace<Directory>): Promise<FailureRecord[]> {
  const found = await Promise.all(parts(directory).map(async (part) => part.failures()));
  const newest = found.flat().toSorted((a, b) => b.at - a.at);
  const grave = newest.filter(isGrave).slice(0, MAX_GRAVE);
  const others = newest.filter((failure) => !grave.includes(failure)).slice(0, MAX_FAILURES - grave.length);
  return [...grave, ...others].toSorted((a, b) => b.at - a.at);
}

function parts(directory: DurableObjectNamespace<Directory>): DurableObjectStub<Directory>[] {
  return Array.from({ length: DIRECTORY_SHARDS }, (_, shard) => directory.getByName(String(shard)));
}
