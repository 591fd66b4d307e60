/**
 * The publications: append, group commit, retention, replay. Owns the table edgerooms_log.
 *
 * A tick's publications are one row, a segment. A new segment takes the slot of the oldest one when the log can spare
 * it (an upsert: keeping the log costs no deletes), else a new slot. Items are kept as the JSON that travels, so a
 * replay passes text on without parsing it.
 */
import { byteLength } from "../../protocol/codec.ts";
import type { Publication } from "../../protocol/frames.ts";
import { MAX_MESSAGE_BYTES, REMEMBERED_REFS } from "../../protocol/limits.ts";
import { mergeRefs, newestRefs, RefMemory, type RefTable } from "./refs.ts";

/** Past this many bytes of items the log keeps fewer publications than `retain`. */
const MAX_LOG_BYTES = 16 * 1_048_576;
/** A row stays under this many bytes unless one item alone is larger; the platform's limit is 2 MB. */
const SEGMENT_BYTES = 1_048_576;
/** Refs that a row carries on for overwritten ones, as JSON, at most: each publication writes them again. */
const CARRIED_LENGTH = 32_768;
/** One item, at most: the largest message and what the room adds to it. */
const MAX_ITEM_BYTES = MAX_MESSAGE_BYTES + 32_768;

interface Segment {
  readonly slot: number;
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
  /** Bytes of everything the log ever held up to here, as far as this instance knows. */
  readonly total: number;
  readonly addressed: boolean;
  /** Refs stored in this row: its own and those it carries for overwritten segments. */
  readonly refs: RefTable;
}

/** A publication on its way into the log, with the text it travels as. */
export interface Item {
  readonly publication: Publication;
  readonly text: string;
  readonly bytes: number;
}

/** A run of the log: the offsets it covers and its items as text. */
export interface Stretch {
  readonly from: number;
  readonly upto: number;
  readonly items: string;
}

/** The log of one room. */
export class Log {
  readonly refs = new RefMemory();
  readonly #sql: SqlStorage;
  readonly #retain: number;
  #segments: Segment[] = [];
  /** Refs that rows had no place for, by session; each has a row of its own. */
  readonly #spilled = new Map<string, number[]>();
  #nextSlot = 0;
  #kept = 0;
  #committed = 0;
  #newestAt = 0;
  #staged: Item[] = [];
  #stagedBytes = 0;
  #stagedRefs: RefTable = {};

  constructor(sql: SqlStorage, retain: number) {
    this.#sql = sql;
    this.#retain = retain;
    const rows = sql.exec("SELECT slot, first, last, at, bytes, addressed, refs FROM edgerooms_log ORDER BY first");
    for (const row of rows) {
      const refs = JSON.parse(row["refs"] as string) as RefTable;
      this.#segments.push({
        slot: row["slot"] as number,
        first: row["first"] as number,
        last: row["last"] as number,
        bytes: row["bytes"] as number,
        total: this.#kept + (row["bytes"] as number),
        addressed: row["addressed"] === 1,
        refs,
      });
      this.#nextSlot = Math.max(this.#nextSlot, (row["slot"] as number) + 1);
      this.#newestAt = Math.max(this.#newestAt, row["at"] as number);
      this.#kept += row["bytes"] as number;
      this.refs.add(refs);
    }
    for (const row of sql.exec("SELECT session, refs FROM edgerooms_refs")) {
      const session = row["session"] as string;
      const refs = JSON.parse(row["refs"] as string) as number[];
      this.#spilled.set(session, refs);
      this.refs.add({ [session]: refs });
    }
    this.#committed = this.#segments.at(-1)?.last ?? 0;
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
    return this.#segments[0]?.first ?? this.#committed + 1;
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
  append(publication: Omit<Publication, "offset">, source?: { session: string; ref: number }): Publication | undefined {
    const { by, at, data, to, traceparent } = publication;
    const offset = this.head + 1;
    // A hook may return what JSON leaves out, such as a function; every item has data.
    const json = JSON.stringify(data) ?? "null";
    const addressed = to ? `,"to":${JSON.stringify(to)}` : "";
    const traced = traceparent === undefined ? "" : `,"traceparent":"${traceparent}"`;
    const text = `{"offset":${offset},"by":${JSON.stringify(by)},"at":${at},"data":${json}${addressed}${traced}}`;
    const stored: Publication = {
      offset,
      by,
      at,
      data,
      ...(to && { to }),
      ...(traceparent !== undefined && { traceparent }),
    };
    const bytes = byteLength(text);
    if (bytes > MAX_ITEM_BYTES) return undefined;
    this.#staged.push({ publication: stored, text, bytes });
    this.#stagedBytes += bytes;
    if (source) {
      const taken = [source.ref, stored.offset, at];
      (this.#stagedRefs[source.session] ??= []).push(...taken);
      this.refs.add({ [source.session]: taken });
    }
    return stored;
  }

  /**
   * Writes what the tick appended as one row (more only past 1 MiB). Runs inside the tick's transaction, after which
   * {@link settle} makes it the past.
   *
   * @param alive whether a session still exists; refs of others are forgotten
   */
  commit(alive: (session: string) => boolean): void {
    let from = 0;
    while (from < this.#staged.length) {
      let upto = from;
      let bytes = 0;
      do bytes += this.#staged[upto++]?.bytes ?? 0;
      while (upto < this.#staged.length && bytes + (this.#staged[upto]?.bytes ?? 0) <= SEGMENT_BYTES);
      this.#write(this.#staged.slice(from, upto), bytes, upto === this.#staged.length ? this.#stagedRefs : {}, alive);
      from = upto;
    }
  }

  /** The tick is committed: its publications are part of the log. */
  settle(): void {
    this.#committed = this.head;
    this.#staged = [];
    this.#stagedBytes = 0;
    this.#stagedRefs = {};
  }

  /** Whether everything after `offset` can be replayed. */
  covers(offset: number): boolean {
    return offset + 1 >= this.oldest && offset <= this.head;
  }

  /**
   * What a user may see of the offsets after `offset`, as stretches of about `maxBytes` at most each. Stops after the
   * head; yields nothing when there is nothing after `offset`. Only for an `offset` that the log {@link covers}.
   */
  *after(offset: number, user: string, maxBytes: number): Generator<Stretch> {
    let from = offset + 1;
    let upto = offset;
    let parts: string[] = [];
    let bytes = 0;
    for (const part of this.#parts(offset, user)) {
      if (bytes > 0 && bytes + part.items.length > maxBytes) {
        yield { from, upto, items: parts.join(",") };
        from = upto + 1;
        parts = [];
        bytes = 0;
      }
      if (part.items !== "") parts.push(part.items);
      bytes += part.items.length;
      upto = part.upto;
    }
    if (upto >= from) yield { from, upto, items: parts.join(",") };
  }

  /**
   * Bytes of items after one offset and up to another, whoever may see them. Counts whole segments, so that the
   * answer is the same after waking from storage.
   */
  bytesBetween(after: number, upto: number): number {
    let bytes = Math.max(0, this.#totalUpTo(upto) - this.#totalUpTo(after));
    for (const { publication, bytes: size } of this.#staged) {
      if (publication.offset > after && publication.offset <= upto) bytes += size;
    }
    return bytes;
  }

  /** Bytes of the segments that end at or before an offset. */
  #totalUpTo(offset: number): number {
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#segments[middle]?.last ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    const oldest = this.#segments[0];
    return this.#segments[low - 1]?.total ?? (oldest ? oldest.total - oldest.bytes : 0);
  }

  /** The newest publications a user may see (`undefined`: all), oldest first. */
  recent(limit: number, maxBytes: number, user?: string): Publication[] {
    const newest: Publication[] = [];
    let bytes = 0;
    const take = (publication: Publication, size: number) => {
      if (user !== undefined && !visible(publication, user)) return true;
      bytes += size;
      if (newest.length >= limit || bytes > maxBytes) return false;
      newest.push(publication);
      return true;
    };
    for (const item of this.#staged.toReversed()) if (!take(item.publication, item.bytes)) return newest.toReversed();
    for (const segment of this.#segments.toReversed()) {
      const average = segment.bytes / (segment.last - segment.first + 1);
      for (const publication of this.#load(segment).toReversed()) {
        if (!take(publication, average)) return newest.toReversed();
      }
    }
    return newest.toReversed();
  }

  /** Publications after an offset, whoever may see them, oldest first: at most `limit`, and about `maxBytes`. */
  page(after: number, limit: number, maxBytes: number): Publication[] {
    const found: Publication[] = [];
    let bytes = 0;
    for (const segment of this.#segments) {
      if (segment.last <= after) continue;
      const average = segment.bytes / (segment.last - segment.first + 1);
      for (const publication of this.#load(segment)) {
        if (publication.offset <= after) continue;
        if (found.length >= limit || (found.length > 0 && bytes + average > maxBytes)) return found;
        found.push(publication);
        bytes += average;
      }
    }
    return found;
  }

  /** Runs of items after `offset`: a whole segment as stored text where nothing has to be left out. */
  *#parts(offset: number, user: string): Generator<{ upto: number; items: string }> {
    for (const segment of this.#segments) {
      if (segment.last <= offset) continue;
      if (segment.first > offset && !segment.addressed) {
        yield { upto: segment.last, items: this.#text(segment) };
        continue;
      }
      const items = this.#load(segment).filter((p) => p.offset > offset && visible(p, user));
      yield { upto: segment.last, items: items.map((p) => JSON.stringify(p)).join(",") };
    }
    for (const { publication, text } of this.#staged) {
      if (publication.offset > offset) {
        yield { upto: publication.offset, items: visible(publication, user) ? text : "" };
      }
    }
  }

  #text(segment: Segment): string {
    return this.#sql.exec("SELECT items FROM edgerooms_log WHERE slot = ?", segment.slot).one()["items"] as string;
  }

  #load(segment: Segment): Publication[] {
    return JSON.parse(`[${this.#text(segment)}]`) as Publication[];
  }

  #write(items: readonly Item[], bytes: number, refs: RefTable, alive: (session: string) => boolean): void {
    const first = items[0]?.publication.offset ?? 0;
    const last = items.at(-1)?.publication.offset ?? 0;
    const at = items.at(-1)?.publication.at ?? 0;
    const addressed = items.some((item) => item.publication.to !== undefined);
    const slot = this.#spare(last) ? this.#segments[0]?.slot : undefined;
    let carried: RefTable = {};
    for (let oldest = this.#spare(last), n = 0; oldest; oldest = this.#spare(last, 2), n++) {
      if (n > 0) this.#sql.exec("DELETE FROM edgerooms_log WHERE slot = ?", oldest.slot);
      carried = mergeRefs(carried, this.refs.carry(oldest.refs, alive, REMEMBERED_REFS));
      this.#segments.shift();
      this.#kept -= oldest.bytes;
    }
    this.#spill(carried);
    const segment: Segment = {
      slot: slot ?? this.#nextSlot++,
      first,
      last,
      bytes,
      total: (this.#segments.at(-1)?.total ?? 0) + bytes,
      addressed,
      refs: mergeRefs(carried, refs),
    };
    this.#sql.exec(
      `INSERT OR REPLACE INTO edgerooms_log (slot, first, last, at, bytes, addressed, items, refs)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      segment.slot,
      first,
      last,
      at,
      bytes,
      addressed ? 1 : 0,
      items.map((item) => item.text).join(","),
      JSON.stringify(segment.refs),
    );
    this.#segments.push(segment);
    this.#kept += bytes;
    this.#newestAt = at;
  }

  /** Moves carried refs to rows of their own, the longest first, until a row of the log has place for the rest. */
  #spill(carried: RefTable): void {
    let size = JSON.stringify(carried).length;
    if (size <= CARRIED_LENGTH) return;
    for (const [session, list] of Object.entries(carried).toSorted(([, a], [, b]) => b.length - a.length)) {
      if (size <= CARRIED_LENGTH / 2) return;
      const refs = newestRefs([...(this.#spilled.get(session) ?? []), ...list], REMEMBERED_REFS);
      this.#sql.exec(
        "INSERT OR REPLACE INTO edgerooms_refs (session, refs) VALUES (?, ?)",
        session,
        JSON.stringify(refs),
      );
      this.#spilled.set(session, refs);
      delete carried[session];
      size -= JSON.stringify(list).length;
    }
  }

  /** The session is over: what it published stays, what could be repeated is forgotten. */
  forget(session: string): void {
    this.refs.forget(session);
    if (this.#spilled.delete(session)) this.#sql.exec("DELETE FROM edgerooms_refs WHERE session = ?", session);
  }

  /**
   * The oldest segment, if the log, reaching to `head`, has `times` its retention without it. One segment is spared
   * for its slot as soon as it can be; more are deleted only past twice the retention, so that many small segments
   * followed by large ones do not stay for long, yet lone publications never cost a delete.
   */
  #spare(head: number, times = 1): Segment | undefined {
    const [oldest] = this.#segments;
    if (!oldest) return undefined;
    const enough = head - oldest.last >= this.#retain * times || this.#kept - oldest.bytes >= MAX_LOG_BYTES * times;
    return enough ? oldest : undefined;
  }
}

/** Whether a user may see a publication: it is everyone's, theirs, or was addressed to them. */
export function visible(publication: Publication, user: string): boolean {
  return publication.to === undefined || publication.by === user || publication.to.includes(user);
}
