/**
 * Refs that the log's rows have no place for. Owns edgerooms_ref_chunks: each row is a chunk of refs of many sessions. The
 * chunks are a queue: the oldest ones' refs that still count move on to a new chunk when most of what the chunks hold
 * counts no more, so that a busy room writes one of them now and then and never holds much more than it must. How much
 * moves at a time is bounded, and so is a row.
 */
import { mergeRefs, type RefMemory, type RefTable } from "./refs.ts";

/** UTF-16 units of refs that a row of the log carries, at most: every publication writes them again. */
const CARRIED_LENGTH = 32_768;
/** UTF-16 units that a ref takes in a row, about: `1234,56789,1795446734704,`. */
const REF_LENGTH = 26;
/** How many times what counts the chunks may hold, before the oldest is emptied. */
const MAX_WASTE = 2;
/**
 * UTF-16 units of refs that one publication moves from old chunks, about; the rest has the next ones. Many sessions that
 * end together leave most of the chunks to be emptied. Several times what a tick carries, so that the queue shrinks.
 */
const MOVED_LENGTH = 262_144;
/** UTF-16 units of refs in one row, about; refs and offsets near 2^53 take twice that. The platform's limit is 2 MB. */
const CHUNK_LENGTH = 524_288;

interface Chunk {
  readonly slot: number;
  readonly refs: RefTable;
  readonly length: number;
}

/** The chunks of one room. */
export class RefChunks {
  readonly #sql: SqlStorage;
  #chunks: Chunk[] = [];
  #length = 0;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    for (const row of sql.exec("SELECT slot, refs FROM edgerooms_ref_chunks ORDER BY slot")) {
      const text = row["refs"] as string;
      this.#keep({ slot: row["slot"] as number, refs: JSON.parse(text) as RefTable, length: text.length });
    }
  }

  /** What the chunks hold. */
  get tables(): RefTable[] {
    return this.#chunks.map(({ refs }) => refs);
  }

  /**
   * Takes carried refs into a chunk when they are more than a row of the log should write again and again. Returns what
   * the row must carry.
   */
  spill(carried: RefTable, memory: RefMemory, alive: (session: string) => boolean, oldest: number): RefTable {
    if (lengthOf(carried) <= CARRIED_LENGTH) return carried;
    let refs = carried;
    let moved = 0;
    const counting = Math.max(CARRIED_LENGTH, memory.size * REF_LENGTH);
    while (this.#length > MAX_WASTE * counting && moved < MOVED_LENGTH) {
      const oldestChunk = this.#chunks.shift();
      if (!oldestChunk) break;
      this.#length -= oldestChunk.length;
      this.#sql.exec("DELETE FROM edgerooms_ref_chunks WHERE slot = ?", oldestChunk.slot);
      const kept = memory.carry(oldestChunk.refs, alive, oldest);
      moved += lengthOf(kept);
      refs = mergeRefs(kept, refs);
    }
    for (const piece of piecesOf(refs)) this.#write(piece);
    return {};
  }

  #write(refs: RefTable): void {
    const text = JSON.stringify(refs);
    const slot = (this.#chunks.at(-1)?.slot ?? 0) + 1;
    this.#sql.exec("INSERT INTO edgerooms_ref_chunks (slot, refs) VALUES (?, ?)", slot, text);
    this.#keep({ slot, refs, length: text.length });
  }

  #keep(chunk: Chunk): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }
}

/** UTF-16 units of refs as text, about. Each number takes about a third of a ref; counting costs less than writing. */
function lengthOf(refs: RefTable): number {
  let numbers = 0;
  for (const list of Object.values(refs)) numbers += list.length;
  return (numbers / 3 + Object.keys(refs).length) * REF_LENGTH;
}

/** Refs as tables that each fit into a row. A log that is told to keep less may let go of any number at once. */
function* piecesOf(refs: RefTable): Generator<RefTable> {
  let piece: RefTable = {};
  let length = 0;
  for (const [session, list] of Object.entries(refs)) {
    const more = lengthOf({ [session]: list });
    if (length > 0 && length + more > CHUNK_LENGTH) {
      yield piece;
      piece = {};
      length = 0;
    }
    piece[session] = list;
    length += more;
  }
  yield piece;
}
