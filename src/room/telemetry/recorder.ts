/**
 * What a room has counted and what went wrong in it since it last told: in memory, and in the attachment of one socket,
 * so that it outlives hibernation and costs no row. A crash forgets it. Knows who is to be told, not how.
 */
import { codes, type CodeName } from "../../protocol/codes.ts";
import { recordOf, addRecord, type Failure, type FailureRecord } from "./failure.ts";
import type { Listing } from "./listing.ts";
import { Counters, type Counts } from "./counts.ts";

/** A room that nobody is in tells not more often than this, in ms. */
const ALONE_EVERY = 60_000;
/** Failures kept until they are told; the newest. */
const MAX_NOTES = 5;
/** Characters of a note's message that fit with the rest into an attachment (16 KiB, the platform's limit). */
const MESSAGE_LENGTH = 120;

/** Upper bounds of the buckets of a histogram. */
export const buckets = {
  tick_events: [1, 2, 5, 10, 50, 100, 512],
  tick_seconds: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
} as const;

/** What rides in an attachment; of several the one with the highest `nth` is the newest. */
export interface Carried {
  readonly nth: number;
  readonly counts: Counts;
  readonly notes: readonly FailureRecord[];
}

/** What a room tells the directory: how it is, and what was counted and noted since it last did. */
export interface RoomReport {
  readonly listing: Listing;
  readonly counts: Counts;
  readonly notes: readonly FailureRecord[];
}

/** Who is told what is in the books. */
export interface Readers {
  /** Of a failure, at once. */
  readonly report: (note: FailureRecord) => void;
  /** Of everything, now and then. Rejects when that did not arrive. */
  readonly tell: (report: RoomReport) => Promise<void>;
  /** What was to be told is in the books again: somebody must carry it. */
  readonly untold: () => void;
  readonly now: () => number;
}

/** The books of one room. */
export class Books {
  readonly tally = new Counters();
  readonly #readers: Readers;
  #notes: readonly FailureRecord[] = [];
  #nth = 0;
  #rows = 0;
  #toldAt = -Infinity;

  constructor(readers: Readers) {
    this.#readers = readers;
  }

  /** Takes up what the sockets carried through hibernation. */
  restore(carried: readonly Carried[]): void {
    const newest = carried.reduce<Carried | undefined>((a, b) => (a && a.nth > b.nth ? a : b), undefined);
    if (!newest || newest.nth <= this.#nth) return;
    this.#nth = newest.nth;
    this.tally.merge(newest.counts);
    this.#notes = [...newest.notes, ...this.#notes].slice(-MAX_NOTES);
  }

  /** For an attachment: everything that was not told yet. */
  carry(): Carried {
    return { nth: ++this.#nth, counts: this.tally.counts, notes: this.#notes };
  }

  /** Everything that goes wrong in a room ends here. Returns whether it is the room's own or its disk's doing. */
  fail(failure: Failure, place: { readonly kind: string; readonly room: string }): boolean {
    const note = recordOf(failure, this.#readers.now(), place);
    const { severity } = codes[note.code];
    this.tally.add(`errors|${note.code}`);
    if (severity === "info") return false;
    this.#notes = addRecord(this.#notes, short(note), MAX_NOTES);
    try {
      this.#readers.report(note);
    } catch {
      // Whoever watches must not break what is watched.
    }
    return severity !== "warn";
  }

  /** A connection was told good-bye, for this reason and with these words about it. */
  closed(code: CodeName, about: Omit<Failure, "code" | "where">, place: { kind: string; room: string }): void {
    this.tally.add(`closes|${code}`);
    if (codes[code].severity !== "info") this.fail({ ...about, code, where: "connection" }, place);
  }

  /** A tick is committed: how many events it took, and for how many seconds. */
  ticked(events: number, seconds: number): void {
    this.#observe("tick_events", events);
    this.#observe("tick_seconds", Math.max(0, seconds));
  }

  /** @param total rows written since this instance opened its storage */
  rows(total: number): void {
    this.tally.add("rows_written", Math.max(0, total - this.#rows));
    this.#rows = total;
  }

  /** Whether a room that nobody is in may tell again. */
  get isDue(): boolean {
    return this.#readers.now() - this.#toldAt >= ALONE_EVERY;
  }

  /** Tells everything. Nobody waits for it: what got lost is told again next time. */
  tell(listing: Listing): void {
    this.#toldAt = this.#readers.now();
    const counts = this.tally.take();
    const notes = this.#notes;
    this.#notes = [];
    this.#readers.tell({ listing, counts, notes }).catch((error: unknown) => {
      this.tally.merge(counts);
      this.#notes = [...notes, ...this.#notes].slice(-MAX_NOTES);
      const { kind, room } = listing;
      this.fail({ code: "upstream_failed", where: "directory", error }, { kind, room });
      this.#readers.untold();
    });
  }

  /** One value of a histogram: in the first bucket that it fits into. */
  #observe(name: keyof typeof buckets, value: number): void {
    const bound = buckets[name].find((upper) => value <= upper) ?? "+Inf";
    this.tally.add(`${name}|${bound}`);
    this.tally.add(`${name}_sum`, value);
  }
}

/** A note that rides with a socket: whose it was is in the log, where its request leads. */
function short({ user: _user, session: _session, message, ...note }: FailureRecord): FailureRecord {
  return { ...note, ...(message !== undefined && { message: message.slice(0, MESSAGE_LENGTH) }) };
}
