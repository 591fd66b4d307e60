/**
 * What a room has counted and what went wrong in it since its last report: in memory, and as a snapshot in the attachment
 * of one socket, so that it outlives hibernation and costs no row. A crash forgets it. Knows what it reports to, not how.
 */
import { codes } from "../../protocol/codes.ts";
import { Counters, type Counts } from "./counts.ts";
import { endRecordOf, recordOfEnd, type End, type EndRecord } from "./end.ts";
import { addRecord, recordOf, type Failure, type FailureRecord } from "./failure.ts";
import type { Listing } from "./listing.ts";

/** A room that nobody is in reports not more often than this. */
const ALONE_EVERY_MS = 60_000;
/** Failures kept until they are reported, and ends of connections besides; the newest. */
const MAX_RECORDS = 5;
/** Characters of a record's message that fit with the rest into an attachment (16 KiB, the platform's limit). */
const MESSAGE_LENGTH = 120;

/** Upper bounds of the buckets of a histogram. */
export const buckets = {
  tick_events: [1, 2, 5, 10, 50, 100, 512],
  tick_seconds: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
} as const;

/** What rides in an attachment. Of several, the one with the highest `nth` is the newest. */
export interface Snapshot {
  readonly nth: number;
  readonly counts: Counts;
  readonly records: readonly FailureRecord[];
  /** Absent in a snapshot of an older version. */
  readonly ends?: readonly FailureRecord[];
}

/** What the directory learns of a room: how it is, and what was counted, went wrong and was ended since the last report. */
export interface RoomReport {
  readonly listing: Listing;
  readonly counts: Counts;
  readonly records: readonly FailureRecord[];
}

/** Where a room's failures and counts go. */
export interface Readers {
  /** A failure, at once. Must not throw. */
  readonly report: (record: FailureRecord) => void;
  /** The end of a connection, at once. Must not throw. */
  readonly ended: (record: EndRecord) => void;
  /** Everything, now and then. Rejects when it did not arrive. */
  readonly sendReport: (report: RoomReport) => Promise<void>;
  /** A report did not arrive: a socket must carry what was in it. */
  readonly restored: () => void;
  readonly now: () => number;
}

/** Where a failure happened. */
export interface Place {
  readonly kind: string;
  readonly room: string;
}

/** The recorder of one room. */
export class Recorder {
  readonly counters = new Counters();
  readonly #readers: Readers;
  #records: readonly FailureRecord[] = [];
  /** Of connections that the room ended. Apart: refused frames must not push them out, nor they what is grave. */
  #ends: readonly FailureRecord[] = [];
  #nth = 0;
  #rows = 0;
  #reportedAt = -Infinity;

  constructor(readers: Readers) {
    this.#readers = readers;
  }

  /** Takes up what a socket carried through hibernation. */
  restore({ nth, counts, records, ends = [] }: Snapshot): void {
    if (nth <= this.#nth) return;
    this.#nth = nth;
    this.#takeBack(counts, records, ends);
  }

  /** For an attachment: everything that was not reported yet. */
  snapshot(): Snapshot {
    return { nth: ++this.#nth, counts: this.counters.counts, records: this.#records, ends: this.#ends };
  }

  /** Everything that goes wrong in a room ends here. Returns whether it is the room's own or its disk's doing. */
  fail(failure: Failure, place: Place): boolean {
    const record = recordOf(failure, this.#readers.now(), place);
    const { severity } = codes[record.code];
    this.counters.add(`errors|${record.code}`);
    if (severity === "info") return false;
    this.#records = addRecord(this.#records, short(record), MAX_RECORDS);
    try {
      this.#readers.report(record);
    } catch {
      // An observer must not break the room.
    }
    return severity !== "warn";
  }

  /** A connection has ended. Its own line says so, so that it is no other line's business, a failure or not. */
  ended(end: End, place: Place): void {
    const { code } = end;
    if (code !== "closed" && code !== "lost") {
      this.counters.add(`closes|${code}`);
      if (codes[code].severity !== "info") this.counters.add(`errors|${code}`);
    }
    const written = endRecordOf(end, this.#readers.now(), place);
    const record = recordOfEnd(written);
    if (record) this.#ends = [...this.#ends, record].slice(-MAX_RECORDS);
    try {
      this.#readers.ended(written);
    } catch {
      // An observer must not break the room.
    }
  }

  /** A tick is committed: how many events it took, and for how many seconds. */
  ticked(events: number, seconds: number): void {
    this.#observe("tick_events", events);
    this.#observe("tick_seconds", Math.max(0, seconds));
  }

  /** @param total rows written since this instance opened its storage */
  rows(total: number): void {
    this.counters.add("rows_written", Math.max(0, total - this.#rows));
    this.#rows = total;
  }

  /** Whether a room that nobody is in may report again. */
  get isDue(): boolean {
    return this.#readers.now() - this.#reportedAt >= ALONE_EVERY_MS;
  }

  /** Reports everything. Nobody waits for it: what got lost is reported again next time. */
  report(listing: Listing): void {
    this.#reportedAt = this.#readers.now();
    const counts = this.counters.take();
    const [records, ends] = [this.#records, this.#ends];
    this.#records = [];
    this.#ends = [];
    this.#readers.sendReport({ listing, counts, records: [...records, ...ends] }).catch((error: unknown) => {
      this.#takeBack(counts, records, ends);
      const { kind, room } = listing;
      this.fail({ code: "upstream_failed", source: "directory", error }, { kind, room });
      this.#readers.restored();
    });
  }

  /** What was counted and written down before what is here. */
  #takeBack(counts: Counts, records: readonly FailureRecord[], ends: readonly FailureRecord[]): void {
    this.counters.merge(counts);
    this.#records = [...records, ...this.#records].slice(-MAX_RECORDS);
    this.#ends = [...ends, ...this.#ends].slice(-MAX_RECORDS);
  }

  /** One value of a histogram: in the first bucket that it fits into. */
  #observe(name: keyof typeof buckets, value: number): void {
    const bound = buckets[name].find((upper) => value <= upper) ?? "+Inf";
    this.counters.add(`${name}|${bound}`);
    this.counters.add(`${name}_sum`, value);
  }
}

/** A record that rides with a socket: its user is in the log, where its request leads. */
function short({ user: _user, session: _session, message, ...record }: FailureRecord): FailureRecord {
  return { ...record, ...(message !== undefined && { message: message.slice(0, MESSAGE_LENGTH) }) };
}
