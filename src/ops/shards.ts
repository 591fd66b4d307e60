/**
 * All parts of the directory together: its pages, totals and failures, and where an isolate reports. A part that fails or
 * hangs makes an answer incomplete, which says so; it does not make all the others unreadable. Rooms that must stay in a
 * jurisdiction have parts there.
 */
import type { LiveRoom } from "../protocol/api.ts";
import { codes } from "../protocol/codes.ts";
import { withTimeout } from "../protocol/with-timeout.ts";
import type { Counts } from "../room/telemetry/counts.ts";
import { isGrave, type FailureRecord } from "../room/telemetry/failure.ts";
import { DIRECTORY_SHARDS } from "../room/telemetry/listing.ts";
import type { Directory, Listed, Wanted } from "./directory.ts";
import { confinedTo, type Jurisdiction } from "./jurisdiction.ts";
import { MAX_RECORDS, type Recorded } from "./records.ts";
import { addTotals, isTotals, type KindTotals } from "./totals.ts";

/** Grave failures that have a place in a list, however many others are newer. */
const MAX_GRAVE = 50;
/** How long a part is waited for, in ms: with a report before it, less than Prometheus waits for a scrape (10 s). */
const PART_TIMEOUT_MS = 5_000;
/** And how long for a report to be taken. */
const REPORT_TIMEOUT_MS = 3_000;
/** A part that answers in a shape of its own is no better than one that does not answer. For as long as a deploy takes. */
const OTHER_VERSION = "the directory runs another version";
/** The part that this isolate reports to. */
let chosen: string | undefined;

/** What a part's mark of a row can be: it goes into a cursor, and a name must not get in by mistake. */
export const MARK = /^[A-Za-z0-9_-]{1,64}$/;

/** The parts of the directory of a Worker, by number. Those of rooms that may be anywhere come first. */
export class Shards {
  readonly #within: readonly DurableObjectNamespace<Directory>[];

  constructor(within: readonly DurableObjectNamespace<Directory>[]) {
    this.#within = within;
  }

  get count(): number {
    return this.#within.length * DIRECTORY_SHARDS;
  }

  /** @throws RangeError when there is no such part */
  get(shard: number): DurableObjectStub<Directory> {
    const namespace = this.#within[Math.floor(shard / DIRECTORY_SHARDS)];
    if (!namespace) throw new RangeError(`the directory has no part ${shard}`);
    return namespace.getByName(String(shard % DIRECTORY_SHARDS));
  }
}

/**
 * The parts of the directory that is bound as `EDGEROOMS_DIRECTORY`; `undefined` when none is.
 *
 * @param jurisdictions that rooms may be in; `undefined` stands for anywhere, and comes first
 */
export function shardsIn(env: object, jurisdictions: readonly (Jurisdiction | undefined)[]): Shards | undefined {
  const { EDGEROOMS_DIRECTORY: bound } = env as { EDGEROOMS_DIRECTORY?: DurableObjectNamespace<Directory> };
  if (!bound) return undefined;
  const within = jurisdictions.map((one) => (one === undefined ? bound : confinedTo(bound, one)));
  return new Shards(within.filter((namespace) => namespace !== undefined));
}

/** Where a list goes on. */
export interface Position {
  /** Number of a part of the directory. */
  readonly shard: number;
  /** That part's own mark of a row: random, so that it says nothing. Absent: from the start of the part. */
  readonly after?: string;
}

/** Some rooms, and where the rest of them begins. */
export interface Rooms {
  readonly rooms: readonly LiveRoom[];
  readonly next?: Position;
  /** Whether the part did not answer. Then `next` is the part after it. */
  readonly isMissing: boolean;
}

/** What the parts that answered said together, and the numbers of those that did not. */
export interface Gathered<T> {
  readonly value: T;
  readonly missing: readonly number[];
}

/** A page of rooms, of one part of the directory. */
export async function listRooms(
  shards: Shards,
  { shard, after }: Position,
  wanted: Omit<Wanted, "after">,
): Promise<Rooms> {
  const following = shard + 1 < shards.count ? { next: { shard: shard + 1 } } : {};
  try {
    const listed = await asked(shards.get(shard).list({ ...wanted, after }), shard);
    // A part of an older version knows nothing of patterns: what it lists may not be for the caller.
    if (!isListed(listed)) throw new TypeError(OTHER_VERSION);
    const next = listed.after === undefined ? following : { next: { shard, after: listed.after } };
    return { rooms: listed.rooms, ...next, isMissing: false };
  } catch {
    return { rooms: [], ...following, isMissing: true };
  }
}

/**
 * Reports what this isolate counted. Any part that is in no jurisdiction will do; each isolate chooses one, so that none is
 * hot, and another after one that failed.
 */
export async function reportCounts(
  directory: DurableObjectNamespace<Directory>,
  counts: Counts,
  failures: readonly FailureRecord[],
): Promise<void> {
  chosen ??= String(Math.floor(Math.random() * DIRECTORY_SHARDS));
  try {
    await withTimeout(directory.getByName(chosen).count(counts, failures), "the directory", REPORT_TIMEOUT_MS);
  } catch (error) {
    chosen = undefined;
    throw error;
  }
}

/** What the parts of the directory have counted, added up. */
export async function allTotals(shards: Shards): Promise<Gathered<Record<string, KindTotals>>> {
  const { value, missing } = await all(shards, async (part) => {
    const totals: unknown = await part.totals();
    if (!isTotals(totals)) throw new TypeError(OTHER_VERSION);
    return totals;
  });
  const together: Record<string, KindTotals> = {};
  for (const totals of value) for (const [kind, more] of Object.entries(totals)) addTotals(together, kind, more);
  return { value: together, missing };
}

/** The newest failures of all parts, at most a hundred: half of the places are kept for grave ones. And as many ends. */
export async function allFailures(shards: Shards): Promise<Gathered<Recorded>> {
  const { value, missing } = await all(shards, async (part) => {
    // What is no list, as another version may answer, throws here.
    const { failures, ends } = await part.failures();
    return { failures: failures.filter(isRecord), ends: ends.filter(isRecord) };
  });
  const newest = newestFirst(value.flatMap(({ failures }) => failures));
  const grave = newest.filter(isGrave).slice(0, MAX_GRAVE);
  const others = newest.filter((failure) => !grave.includes(failure)).slice(0, MAX_RECORDS - grave.length);
  const ends = newestFirst(value.flatMap((part) => part.ends)).slice(0, MAX_RECORDS);
  return { value: { failures: newestFirst([...grave, ...others]), ends }, missing };
}

function isListed(answer: unknown): answer is Listed {
  const { rooms, after } = (answer ?? {}) as { rooms?: unknown; after?: unknown };
  const isRooms = Array.isArray(rooms) && rooms.every((room: unknown) => typeof room === "object" && room !== null);
  return isRooms && (after === undefined || (typeof after === "string" && MARK.test(after)));
}

/** A later version has codes that this one has no severity for. */
function isRecord(value: unknown): value is FailureRecord {
  if (typeof value !== "object" || value === null || !("code" in value) || !("at" in value)) return false;
  return typeof value.code === "string" && Object.hasOwn(codes, value.code) && Number.isFinite(value.at);
}

function newestFirst(records: readonly FailureRecord[]): FailureRecord[] {
  return records.toSorted((a, b) => b.at - a.at);
}

/**
 * Asks every part.
 *
 * @throws what the first of them threw when no part answered
 */
async function all<T>(shards: Shards, ask: (part: DurableObjectStub<Directory>) => Promise<T>): Promise<Gathered<T[]>> {
  const answers = await Promise.allSettled(
    Array.from({ length: shards.count }, (_, part) => asked(ask(shards.get(part)), part)),
  );
  const value = answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
  const missing = answers.flatMap((answer, part) => (answer.status === "rejected" ? [part] : []));
  const [first] = answers;
  if (value.length === 0 && first?.status === "rejected") throw first.reason;
  return { value, missing };
}

async function asked<T>(answer: PromiseLike<T>, part: number): Promise<T> {
  return withTimeout(answer, `part ${part} of the directory`, PART_TIMEOUT_MS);
}
