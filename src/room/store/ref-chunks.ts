/**
 * Refs that the log's rows have no place for. Owns edgerooms_ref_chunks: each row is a chunk of refs of many sessions. The
 * chunks are a queue: the oldest one's refs that still count move on to a new chunk when most of what the chunks hold
 * counts no more, so that a busy room writes one of them now and then and never holds much more than it must.
 */
import { mergeRefs, type RefMemory, type RefTable } from "./refs.ts";

/** UTF-16 units of refs that a row of the log carries, at most: every publication writes them again. */
const CARRIED_LENGTH = 32_768;
/** UTF-16 units that a ref takes in a row, about: `1234,56789,1795446734704,`. */
const REF_LENGTH = 26;
/** How many times what counts the chunks may hold, before the oldest is emptied. */
const MAX_WASTE = 2;

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
    // Each number takes about a third of a ref; counting them costs less than writing them.
    let numbers = 0;
    for (const list of Object.values(carried)) numbers += list.length;
    if ((numbers / 3) * REF_LENGTH + Object.keys(carried).length * REF_LENGTH <= CARRIED_LENGTH) return carried;
    let refs = carried;
    const counting = Math.max(CARRIED_LENGTH, memory.size * REF_LENGTH);
    while (this.#length > MAX_WASTE * counting) {
      const oldestChunk = this.#chunks.shift();
      if (!oldestChunk) break;
      this.#length -= oldestChunk.length;
      this.#sql.exec("DELETE FROM edgerooms_ref_chunks WHERE slot = ?", oldestChunk.slot);
      refs = mergeRefs(memory.carry(oldestChunk.refs, alive, oldest), refs);
    }
    const text = JSON.stringify(refs);
    const slot = (this.#chunks.at(-1)?.slot ?? 0) + 1;
    this.#sql.exec("INSERT INTO edgerooms_ref_chunks (slot, refs) VALUES (?, ?)", slot, text);
    this.#keep({ slot, refs, length: text.length });
    return {};
  }

  #keep(chunk: Chunk): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }
}
