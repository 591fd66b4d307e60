/**
 * The publications: append, group commit, retention. Where the rows are kept is log-rows.ts.
 *
 * A tick's publications are one row, a segment. A new segment takes the slot of the oldest one when the log can spare it
 * (an upsert: keeping the log costs no deletes), else a new slot. Items are kept as the JSON that travels, so that a replay
 * passes text on without parsing it. Reading back is replay.ts.
 */
import { byteLength } from "../../protocol/codec.ts";
import type { Publication } from "../../protocol/frames.ts";
import { MAX_ITEM_BYTES } from "../../protocol/limits.ts";
import { StoredRows, type LogRows } from "./log-rows.ts";
import { RefChunks } from "./ref-chunks.ts";
import { mergeRefs, RefMemory, type RefTable } from "./refs.ts";
import { Segments, type Segment } from "./segments.ts";

/** Past this many bytes of items the log keeps fewer publications than `retain`. */
const MAX_LOG_BYTES = 16 * 1_048_576;
/** And a row of a copy that is filled again: a replay passes on whole rows. */
const REFILLED_BYTES = 65_536;
/** A row stays under this many bytes unless one item alone is larger; the platform's limit is 2 MB. */
const SEGMENT_BYTES = 1_048_576;

/** A publication on its way into the log, with the text it travels as. */
export interface Item {
  readonly publication: Publication;
  readonly text: string;
  readonly bytes: number;
}

/** Where a publish came from: a repeat comes with the same. */
export interface Source {
  readonly session: string;
  readonly ref: number;
}

/** The log of one room. */
export class Log {
  readonly refs = new RefMemory();
  readonly segments = new Segments();
  readonly #rows: LogRows;
  readonly #retain: number;
  readonly #alive: (session: string) => boolean;
  readonly #chunks: RefChunks;
  #nextSlot = 0;
  #newestAt = 0;
  #committed = 0;
  #committedBytes = 0;
  #staged: Item[] = [];
  #stagedBytes = 0;
  #stagedRefs: RefTable = {};

  /**
   * @param alive whether a session still exists; refs of others are forgotten
   * @param rows where its rows are kept. Default: in storage
   */
  constructor(
    sql: SqlStorage,
    retain: number,
    alive: (session: string) => boolean,
    rows: LogRows = new StoredRows(sql),
  ) {
    this.#rows = rows;
    this.#retain = retain;
    this.#alive = alive;
    const tables: RefTable[] = [];
    for (const { at, ...row } of rows.load()) {
      const refs = this.#ofTheLiving(row.refs);
      this.segments.push({ ...row, refs });
      tables.push(refs);
      this.#nextSlot = Math.max(this.#nextSlot, row.slot + 1);
      this.#newestAt = Math.max(this.#newestAt, at);
    }
    this.#committed = this.segments.newest?.last ?? rows.base.offset;
    this.#committedBytes = this.segments.newest?.total ?? rows.base.total;
    this.#chunks = new RefChunks(sql);
    this.refs.load([...tables, ...this.#chunks.tables.map((table) => this.#ofTheLiving(table))], this.oldest);
  }

  /** Offset of the newest publication, staged ones included; 0 before the first. */
  get head(): number {
    return this.#committed + this.#staged.length;
  }

  /** Offset of the newest publication of an earlier tick: where this tick's own begin. */
  get committed(): number {
    return this.#committed;
  }

  /** The oldest offset that can still be replayed; head + 1 when nothing can. */
  get oldest(): number {
    return this.segments.oldest?.first ?? this.#committed + 1;
  }

  /** When the newest publication was stored; 0 before the first. */
  get newestAt(): number {
    return this.#newestAt;
  }

  /** Bytes of this tick's publications so far. */
  get stagedBytes(): number {
    return this.#stagedBytes;
  }

  /** This tick's publications so far. */
  get staged(): readonly Item[] {
    return this.#staged;
  }

  /**
   * Gives a publication its offset; `undefined` when it is too large to be stored: numbers may grow when they are
   * written again (1e20), and a hook may return anything. It is stored, and may be seen, after {@link commit}.
   */
  append(publication: Omit<Publication, "offset">, source?: Source): Item | undefined {
    const offset = this.head + 1;
    const item = itemOf({ offset, ...publication });
    if (item.bytes > MAX_ITEM_BYTES) return undefined;
    this.#staged.push(item);
    this.#stagedBytes += item.bytes;
    if (source) {
      const { session, ref } = source;
      (this.#stagedRefs[session] ??= []).push(ref, offset, publication.at);
      this.refs.add(session, ref, { offset, at: publication.at }, this.oldest);
    }
    return item;
  }

  /**
   * Writes what the tick appended as one row (more only past 1 MiB). Runs inside the tick's transaction, after which
   * {@link settle} makes it the past.
   */
  commit(): void {
    const runs = runsOf(this.#staged, SEGMENT_BYTES);
    for (const { items, bytes } of runs)
      this.#write(items, bytes, items.at(-1) === this.#staged.at(-1) ? this.#stagedRefs : {});
  }

  /** The tick is committed: its publications are part of the log. */
  settle(): void {
    this.#committed = this.head;
    this.#committedBytes += this.#stagedBytes;
    this.#staged = [];
    this.#stagedBytes = 0;
    this.#stagedRefs = {};
  }

  /** Whether everything after `offset` can be replayed. */
  covers(offset: number): boolean {
    return offset + 1 >= this.oldest && offset <= this.head;
  }

  /**
   * Bytes of everything ever published up to an offset. Counts whole segments of earlier ticks, so that the answer is the
   * same after waking from storage; of what has left the log it counts all.
   */
  totalUpTo(offset: number): number {
    if (offset >= this.head) return this.#committedBytes + this.#stagedBytes;
    if (offset === this.#committed) return this.#committedBytes;
    if (offset < this.#committed) {
      return this.segments.oldest ? this.segments.totalUpTo(offset) : this.#committedBytes;
    }
    const some = this.#staged.slice(0, offset - this.#committed);
    return some.reduce((total, { bytes }) => total + bytes, this.#committedBytes);
  }

  /** Takes publications that have their offsets already: this log is a copy. Those that it has are left out. */
  adopt(publications: readonly Publication[]): void {
    for (const publication of publications) if (publication.offset === this.head + 1) this.append(publication);
  }

  /** Begins anew, with nothing: what this copy had is not of the history that goes on here. */
  rebase(offset: number): void {
    this.segments.clear();
    this.#staged = [];
    this.#stagedBytes = 0;
    this.#committed = offset;
    this.#rows.clear({ offset, total: this.#committedBytes });
  }

  /** Begins further back, and ends where it did: somebody wants to continue from before what this copy has. */
  refill(after: number, publications: readonly Publication[]): void {
    const past = publications.filter(({ offset }) => offset > after && offset <= this.#committed).map(itemOf);
    const [end, total] = [this.#committed, this.#committedBytes];
    const [first] = past;
    // What is not whole is no copy.
    if (first?.publication.offset !== after + 1 || past.at(-1)?.publication.offset !== end) return;
    this.segments.clear();
    this.#committedBytes = total - past.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#rows.clear({ offset: after, total: this.#committedBytes });
    // All of it, also what this log would not retain: the room may have kept more, and somebody is promised to go on from there.
    for (const { items, bytes } of runsOf(past, REFILLED_BYTES))
      this.#put({ slot: this.#nextSlot++, carried: {} }, items, bytes, {});
    this.#committedBytes = total;
  }

  /** The items of a segment, as JSON joined by commas. */
  items({ slot }: Segment): string {
    return this.#rows.items(slot);
  }

  /** The session is over: what it published stays, what could be repeated is forgotten. */
  forget(session: string): void {
    this.refs.forget(session);
  }

  #write(items: readonly Item[], bytes: number, refs: RefTable): void {
    const first = items[0]?.publication.offset ?? 0;
    const last = items.at(-1)?.publication.offset ?? 0;
    this.#put(this.#makePlace(first, last), items, bytes, refs);
  }

  #put({ slot, carried }: Place, items: readonly Item[], bytes: number, refs: RefTable): void {
    const first = items[0]?.publication.offset ?? 0;
    const last = items.at(-1)?.publication.offset ?? 0;
    const at = items.at(-1)?.publication.at ?? 0;
    const total = (this.segments.newest?.total ?? this.#committedBytes) + bytes;
    const segment: Segment = {
      slot,
      first,
      last,
      bytes,
      total,
      addressed: items.some((item) => item.publication.to !== undefined),
      refs: mergeRefs(carried, refs),
    };
    this.#rows.put({ ...segment, at }, items.map((item) => item.text).join(","));
    this.segments.push(segment);
    this.#newestAt = at;
  }

  /** Lets go of what the log can spare. Returns the slot for the new segment, and the refs that it must carry. */
  #makePlace(first: number, last: number): Place {
    let slot: number | undefined;
    let carried: RefTable = {};
    for (let spare = this.#spare(last); spare; spare = this.#spare(last, 2)) {
      if (slot === undefined) slot = spare.slot;
      else this.#rows.delete(spare.slot);
      this.segments.shift();
      const oldest = this.segments.oldest?.first ?? first;
      carried = mergeRefs(carried, this.refs.carry(spare.refs, this.#alive, oldest));
    }
    const oldest = this.segments.oldest?.first ?? first;
    return { slot: slot ?? this.#nextSlot++, carried: this.#chunks.spill(carried, this.refs, this.#alive, oldest) };
  }

  /**
   * The oldest segment, if the log, reaching to `head`, has `times` its retention without it. One segment is spared for
   * its slot as soon as it can be; more are deleted only past twice the retention, so that many small segments followed by
   * large ones do not stay for long, yet lone publications never cost a delete.
   */
  #spare(head: number, times = 1): Segment | undefined {
    const { oldest, bytes } = this.segments;
    if (!oldest) return undefined;
    const isEnough = head - oldest.last >= this.#retain * times || bytes - oldest.bytes >= MAX_LOG_BYTES * times;
    return isEnough ? oldest : undefined;
  }

  #ofTheLiving(table: RefTable): RefTable {
    return Object.fromEntries(Object.entries(table).filter(([session]) => this.#alive(session)));
  }
}

/** Where a segment goes, and the refs that it must carry. */
interface Place {
  readonly slot: number;
  readonly carried: RefTable;
}

/** Items in runs of so many bytes, at least one in each. */
function runsOf(all: readonly Item[], most: number): { readonly items: readonly Item[]; readonly bytes: number }[] {
  const runs: { readonly items: readonly Item[]; readonly bytes: number }[] = [];
  for (let from = 0; from < all.length;) {
    let upto = from;
    let bytes = 0;
    do bytes += all[upto++]?.bytes ?? 0;
    while (upto < all.length && bytes + (all[upto]?.bytes ?? 0) <= most);
    runs.push({ items: all.slice(from, upto), bytes });
    from = upto;
  }
  return runs;
}

function itemOf(publication: Publication): Item {
  const text = textOf(publication, publication.offset);
  return { publication, text, bytes: byteLength(text) };
}

/** A publication as it travels. Written by hand, because of everything that a room does it does this most. */
function textOf({ by, at, data, to, traceparent }: Omit<Publication, "offset">, offset: number): string {
  // A hook may return what JSON leaves out, such as a function; every item has data.
  const json = JSON.stringify(data) ?? "null";
  const addressed = to ? `,"to":${JSON.stringify(to)}` : "";
  const traced = traceparent === undefined ? "" : `,"traceparent":"${traceparent}"`;
  return `{"offset":${offset},"by":${JSON.stringify(by)},"at":${at},"data":${json}${addressed}${traced}}`;
}

/** Whether a user may see a publication: it is everyone's, theirs, or was addressed to them. */
export function isVisible(publication: Publication, user: string): boolean {
  return publication.to === undefined || publication.by === user || publication.to.includes(user);
}
