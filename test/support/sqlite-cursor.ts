/** `SqlStorage` and its cursor over rows that were already read. Knows no database: it is handed a function that runs SQL. */

type Row = Record<string, SqlStorageValue>;

/** What `storage.sql` is, without a way to anything else of the storage. */
export class NodeSql implements Pick<SqlStorage, "exec" | "databaseSize"> {
  readonly #exec: (query: string, bindings: readonly unknown[]) => NodeCursor;
  readonly #size: () => number;

  constructor(exec: (query: string, bindings: readonly unknown[]) => NodeCursor, size: () => number) {
    this.#exec = exec;
    this.#size = size;
  }

  get databaseSize(): number {
    return this.#size();
  }

  exec<T extends Row>(query: string, ...bindings: unknown[]): SqlStorageCursor<T> {
    // The caller says what its columns are, as it does to the real one.
    return this.#exec(query, bindings) as SqlStorageCursor<Row> as SqlStorageCursor<T>;
  }
}

/** Rows that were read, handed out once. */
export class NodeCursor implements SqlStorageCursor<Row> {
  readonly #columns: () => readonly string[];
  readonly #rows: readonly SqlStorageValue[][];
  #next = 0;

  /** @param columns gives their names; asked when somebody wants them: most statements give no rows */
  constructor(columns: () => readonly string[], rows: readonly SqlStorageValue[][]) {
    this.#columns = columns;
    this.#rows = rows;
  }

  get columnNames(): string[] {
    return [...this.#columns()];
  }

  get rowsRead(): number {
    throw new Error("NodeStorage does not count the rows it reads");
  }

  /** Always 0: NodeStorage does not count the rows it writes. The room adds this up for its bill. */
  get rowsWritten(): number {
    return 0;
  }

  next(): IteratorResult<Row, undefined> {
    const row = this.#rows[this.#next];
    if (!row) return { done: true, value: undefined };
    this.#next++;
    return { done: false, value: named(this.#columns(), row) };
  }

  toArray(): Row[] {
    const left = this.#rows.slice(this.#next);
    this.#next = this.#rows.length;
    return left.map((row) => named(this.#columns(), row));
  }

  one(): Row {
    const { value } = this.next();
    if (!value) throw new Error("Expected exactly one result from SQL query, but got no results.");
    if (this.#next < this.#rows.length) {
      throw new Error("Expected exactly one result from SQL query, but got multiple results.");
    }
    return value;
  }

  *raw<U extends SqlStorageValue[]>(): Generator<U, undefined> {
    for (let row = this.#rows[this.#next]; row; row = this.#rows[this.#next]) {
      this.#next++;
      yield row as U;
    }
  }

  *[Symbol.iterator](): Generator<Row, undefined> {
    for (let row = this.next(); !row.done; row = this.next()) yield row.value;
  }
}

function named(columns: readonly string[], row: readonly SqlStorageValue[]): Row {
  const object: Row = {};
  for (const [i, name] of columns.entries()) object[name] = row[i] ?? null;
  return object;
}
