/**
 * What rooms rely on in their storage, as tests that run over both storages: the runtime's, and NodeStorage in plain
 * Node. A difference between the two is a mistake in NodeStorage. Knows nothing of rooms.
 */
import { describe, expect, it } from "vitest";
import { alarmContract } from "./alarm.ts";
import { transactionContract } from "./transactions.ts";
import type { Given } from "./given.ts";

/** Defines the tests. `given` hands an empty storage to each. */
export function storageContract(given: Given): void {
  describe("a cursor", () => {
    cursorContract(given);
  });
  describe("a value", () => {
    valueContract(given);
  });
  describe("a statement", () => {
    statementContract(given);
  });
  describe("a constraint", () => {
    constraintContract(given);
  });
  describe("a transaction", () => {
    transactionContract(given);
  });
  describe("the alarm", () => {
    alarmContract(given);
  });
}

const TWO_ROWS = "SELECT 1 AS a, 'x' AS b UNION SELECT 2, 'y' ORDER BY a";

function cursorContract(given: Given): void {
  it("yields plain objects by column name, in order", () =>
    given(({ sql }) => {
      const rows = [...sql.exec(TWO_ROWS)];
      expect(rows).toEqual([
        { a: 1, b: "x" },
        { a: 2, b: "y" },
      ]);
      expect(Object.getPrototypeOf(rows[0])).toBe(Object.prototype);
      expect(sql.exec(TWO_ROWS).columnNames).toEqual(["a", "b"]);
    }));

  it("hands each row out once, however it is read", () =>
    given(({ sql }) => {
      const cursor = sql.exec(TWO_ROWS);
      expect(cursor.next()).toEqual({ done: false, value: { a: 1, b: "x" } });
      expect(cursor.toArray()).toEqual([{ a: 2, b: "y" }]);
      expect(cursor.next()).toEqual({ done: true, value: undefined });
      expect([...cursor]).toEqual([]);
      const other = sql.exec(TWO_ROWS);
      const [first] = other;
      expect(first).toEqual({ a: 1, b: "x" });
      expect([...other]).toEqual([{ a: 2, b: "y" }]);
    }));

  it("has one row by one(), and throws for none and for several", () =>
    given(({ sql }) => {
      expect(sql.exec("SELECT 7 AS a").one()).toEqual({ a: 7 });
      expect(() => sql.exec("SELECT 7 AS a WHERE 0").one()).toThrow(
        "Expected exactly one result from SQL query, but got no results.",
      );
      expect(() => sql.exec(TWO_ROWS).one()).toThrow(
        "Expected exactly one result from SQL query, but got multiple results.",
      );
    }));

  it("gives rows as arrays by raw(), also where columns share a name", () =>
    given(({ sql }) => {
      expect([...sql.exec("SELECT 1 AS a, 2 AS a").raw()]).toEqual([[1, 2]]);
      expect(sql.exec("SELECT 1 AS a, 2 AS a").toArray()).toEqual([{ a: 2 }]);
    }));

  it("may be open twice for the same statement", () =>
    given(({ sql }) => {
      const pairs: unknown[] = [];
      for (const { a } of sql.exec(TWO_ROWS)) for (const { b } of sql.exec(TWO_ROWS)) pairs.push([a, b]);
      expect(pairs).toEqual([
        [1, "x"],
        [1, "y"],
        [2, "x"],
        [2, "y"],
      ]);
    }));

  it("sees a table that was made again with other columns", () =>
    given(({ sql }) => {
      sql.exec("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
      expect(sql.exec("SELECT * FROM t").toArray()).toEqual([{ a: 1 }]);
      sql.exec("DROP TABLE t; CREATE TABLE t (b, c); INSERT INTO t VALUES (2, 3)");
      expect(sql.exec("SELECT * FROM t").toArray()).toEqual([{ b: 2, c: 3 }]);
    }));
}

function valueContract(given: Given): void {
  it("comes back in the type it was bound in", () =>
    given(({ sql }) => {
      const back = (value: SqlStorageValue) => sql.exec("SELECT ? AS v", value).one()["v"];
      for (const value of [0, -1, 1.5, 1e300, 2 ** 53 - 1, "", "text", null]) expect(back(value)).toBe(value);
      expect(back(Number.NaN)).toBe(null);
      expect(back(undefined as unknown as null)).toBe(null);
      const blob = back(new Uint8Array([0, 1, 255]).buffer);
      expect(blob).toBeInstanceOf(ArrayBuffer);
      expect([...new Uint8Array(blob as ArrayBuffer)]).toEqual([0, 1, 255]);
      expect((back(new ArrayBuffer(0)) as ArrayBuffer).byteLength).toBe(0);
    }));

  it("is a REAL when bound, an INTEGER in an INTEGER column, and a number either way", () =>
    given(({ sql }) => {
      sql.exec("CREATE TABLE t (i INTEGER, r REAL, x)");
      sql.exec("INSERT INTO t VALUES (?, ?, ?)", 1_795_753_852_604, 2, 3);
      const types = "SELECT typeof(i) AS i, typeof(r) AS r, typeof(x) AS x FROM t";
      expect(sql.exec(types).one()).toEqual({ i: "integer", r: "real", x: "real" });
      expect(sql.exec("SELECT * FROM t").one()).toEqual({ i: 1_795_753_852_604, r: 2, x: 3 });
    }));

  it("is rounded to a double when it is an integer past 2^53", () =>
    given(({ sql }) => {
      const row = sql.exec("SELECT 9007199254740993 AS a, 9223372036854775807 AS b, -9223372036854775808 AS c").one();
      expect(row).toEqual({ a: 2 ** 53, b: 2 ** 63, c: -(2 ** 63) });
      expect(() => sql.exec("SELECT ?", 5n)).toThrow(TypeError);
    }));

  it("keeps any Unicode text, NUL included", () =>
    given(({ sql }) => {
      for (const text of ["ü😀漢字\u{10FFFF}", "a\0b", "'\";--\n\t?", "\u2028\uFEFF"]) {
        expect(sql.exec("SELECT ? AS v", text).one()["v"]).toBe(text);
        expect(sql.exec("SELECT length(CAST(? AS BLOB)) AS n", text).one()["n"]).toBe(Buffer.byteLength(text));
      }
    }));

  it("may be JSON text of 1 MB, and SQL can look into it", () =>
    given(({ sql }) => {
      sql.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, json TEXT NOT NULL)");
      const json = JSON.stringify({ text: "ü😀".repeat(174_000), n: 5 });
      expect(Buffer.byteLength(json)).toBeGreaterThan(1_000_000);
      sql.exec("INSERT INTO t VALUES (1, ?)", json);
      expect(sql.exec("SELECT json FROM t").one()["json"] === json).toBe(true);
      expect(sql.exec("SELECT json_extract(json, '$.n') AS n FROM t").one()["n"]).toBe(5);
      sql.exec("UPDATE t SET json = json || ',' || ? WHERE id = 1", "more");
      expect(sql.exec("SELECT substr(json, -5) AS end FROM t").one()["end"]).toBe(",more");
    }));
}

function statementContract(given: Given): void {
  it("may be one of several, of which the last answers and takes the values", () =>
    given(({ sql }) => {
      sql.exec(`
        CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); -- a comment; with a semicolon
        /* another; */ INSERT INTO t VALUES (1, 'semi;colon?');
        INSERT INTO t VALUES (2, "it""s");
      `);
      expect(sql.exec("SELECT b FROM t ORDER BY a").toArray()).toEqual([{ b: "semi;colon?" }, { b: 'it"s' }]);
      expect(sql.exec("DELETE FROM t WHERE a = 1; SELECT a FROM t WHERE a = ?", 2).toArray()).toEqual([{ a: 2 }]);
      expect(() => sql.exec("SELECT ?; SELECT ?", 1)).toThrow("only the last statement can have parameters");
    }));

  it("leaves behind what came before the one that failed", () =>
    given(({ sql }) => {
      sql.exec("CREATE TABLE t (a INTEGER PRIMARY KEY)");
      expect(() => sql.exec("INSERT INTO t VALUES (1); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)")).toThrow(
        "SQLITE_CONSTRAINT",
      );
      expect(sql.exec("SELECT a FROM t").toArray()).toEqual([{ a: 1 }]);
    }));

  it("needs as many values as it has parameters", () =>
    given(({ sql }) => {
      const wrong = "Wrong number of parameter bindings for SQL query.";
      expect(() => sql.exec("SELECT ?")).toThrow(wrong);
      expect(() => sql.exec("SELECT ?", 1, 2)).toThrow(wrong);
      expect(() => sql.exec("SELECT '?'", 1)).toThrow(wrong);
      expect(sql.exec("SELECT ?2 AS a, ?1 AS b", 1, 2).one()).toEqual({ a: 2, b: 1 });
      const all = (n: number) => sql.exec(`SELECT max(${Array(n).fill("?").join(", ")}) AS n`, ...Array(n).keys());
      expect(all(100).one()).toEqual({ n: 99 });
      expect(() => all(101)).toThrow(/too many SQL variables.*: SQLITE_ERROR/);
    }));

  it("is refused when it is empty, too long or not SQL", () =>
    given(({ sql }) => {
      for (const empty of ["", " ;", "-- nothing"])
        expect(() => sql.exec(empty)).toThrow("did not contain a statement");
      expect(() => sql.exec(`SELECT '${"x".repeat(100_000)}'`)).toThrow("SQLITE_TOOBIG");
      expect(() => sql.exec("SELEC 1")).toThrow(/near "SELEC": syntax error.*: SQLITE_ERROR/);
      expect(() => sql.exec("SELECT * FROM missing")).toThrow("no such table: missing: SQLITE_ERROR");
    }));

  it("may not control transactions, set pragmas, attach files or touch the runtime's tables", () =>
    given(({ sql }) => {
      for (const text of ["BEGIN", "/* c */ COMMIT", "ROLLBACK", "SAVEPOINT a", "RELEASE a", "begin immediate"]) {
        expect(() => sql.exec(text)).toThrow("transactionSync() API");
      }
      for (const text of ["PRAGMA user_version", "PRAGMA journal_mode = OFF", "ATTACH ':memory:' AS b"]) {
        expect(() => sql.exec(text)).toThrow("not authorized: SQLITE_AUTH");
      }
      expect(() => sql.exec("CREATE TABLE _cf_mine (a)")).toThrow("not authorized: SQLITE_AUTH");
      sql.exec("CREATE TABLE t (a INTEGER PRIMARY KEY)");
      expect(sql.exec("PRAGMA table_info(t)").one()).toMatchObject({ name: "a", pk: 1 });
    }));

  it("upserts: INSERT OR REPLACE writes the whole row, ON CONFLICT the columns it names", () =>
    given(({ sql }) => {
      sql.exec("CREATE TABLE t (k TEXT PRIMARY KEY, a, b) WITHOUT ROWID; INSERT INTO t VALUES ('x', 1, 1)");
      sql.exec("INSERT OR REPLACE INTO t (k, a) VALUES (?, ?)", "x", 2);
      expect(sql.exec("SELECT * FROM t").toArray()).toEqual([{ k: "x", a: 2, b: null }]);
      sql.exec("INSERT INTO t VALUES ('x', 5, 6) ON CONFLICT (k) DO UPDATE SET b = excluded.b + a");
      expect(sql.exec("SELECT * FROM t").toArray()).toEqual([{ k: "x", a: 2, b: 8 }]);
    }));

  it("reads a table WITHOUT ROWID by its key, byte by byte", () =>
    given(({ sql }) => {
      sql.exec("CREATE TABLE t (a TEXT, b INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID");
      for (const [a, b] of [
        ["b", 1],
        ["a", 10],
        ["ä", 0],
        ["B", 5],
        ["a", 9],
      ] as const) {
        sql.exec("INSERT INTO t VALUES (?, ?)", a, b);
      }
      const keys = (where = "", ...values: SqlStorageValue[]) =>
        sql
          .exec(`SELECT a || b AS key FROM t ${where}`, ...values)
          .toArray()
          .map(({ key }) => key);
      expect(keys()).toEqual(["B5", "a9", "a10", "b1", "ä0"]);
      expect(keys("WHERE (a, b) > (?, ?) LIMIT 2", "a", 9)).toEqual(["a10", "b1"]);
      expect(keys("WHERE (a, b) > (?, ?)", "a", 10)).toEqual(["b1", "ä0"]);
    }));

  it("counts the rows that it changed in total_changes()", () =>
    given(({ sql }) => {
      const total = () => Number(sql.exec("SELECT total_changes() AS n").one()["n"]);
      const before = total();
      sql.exec("CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
      expect(total()).toBe(before);
      sql.exec("INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)");
      sql.exec("INSERT OR REPLACE INTO t VALUES (1, 5)");
      sql.exec("UPDATE t SET b = 0 WHERE a > 1");
      sql.exec("DELETE FROM t WHERE a = 9");
      expect(total()).toBe(before + 6);
    }));
}

function constraintContract(given: Given): void {
  it("says which one it is, with SQLite's names in the message, and the statement leaves nothing", () =>
    given(({ sql }) => {
      sql.exec(
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL, c UNIQUE CHECK (c > 0)); INSERT INTO t VALUES (1, 'x', 1)",
      );
      const causes = {
        "INSERT INTO t VALUES (2, 'x', 2), (1, 'x', 3)":
          "UNIQUE constraint failed: t.a: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_PRIMARYKEY)",
        "INSERT INTO t VALUES (2, NULL, 2)":
          "NOT NULL constraint failed: t.b: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_NOTNULL)",
        "INSERT INTO t VALUES (2, 'x', 1)":
          "UNIQUE constraint failed: t.c: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_UNIQUE)",
        "INSERT INTO t VALUES (2, 'x', -1)":
          "CHECK constraint failed: c > 0: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_CHECK)",
      };
      for (const [text, message] of Object.entries(causes)) expect(() => sql.exec(text)).toThrow(message);
      expect(sql.exec("SELECT count(*) AS n FROM t").one()["n"]).toBe(1);
    }));
}
