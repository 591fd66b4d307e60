/**
 * What NodeStorage can do that real storage cannot where it runs locally: fail where a test wants, go back to an earlier
 * copy, and refuse what production refuses.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { NodeStorage } from "../support/sqlite.ts";

const folder = mkdtempSync(join(tmpdir(), "edgerooms-node-storage-"));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const INSERT = "INSERT INTO t VALUES (?)";

function withTable(path?: string): NodeStorage {
  const storage = new NodeStorage(path);
  storage.sql.exec("CREATE TABLE t (a)");
  return storage;
}

const valuesIn = ({ sql }: NodeStorage) =>
  sql
    .exec("SELECT a FROM t ORDER BY a")
    .toArray()
    .map((row) => row["a"]);

/** Throws at the `nth` statement, counted from 0, and at every later one. */
function crashAt(nth: number): (statement: string) => void {
  let seen = 0;
  return () => {
    if (seen++ >= nth) throw new Error("crash");
  };
}

describe("a fault", () => {
  it("is asked before every statement, those of a transaction included", async () => {
    const storage = withTable();
    const seen: string[] = [];
    storage.fault = (statement) => void seen.push(statement);
    storage.transactionSync(() => {
      storage.sql.exec(INSERT, 1);
      storage.transactionSync(() => storage.sql.exec("SELECT 1; SELECT 2"));
    });
    await storage.sync();
    expect(seen).toEqual([
      "BEGIN",
      INSERT,
      "SAVEPOINT edge_1",
      "SELECT 1",
      "SELECT 2",
      "RELEASE edge_1",
      "COMMIT",
      "sync",
    ]);
  });

  it("that crashes at any statement of a transaction leaves nothing of it, even where it is caught", () => {
    const storage = withTable();
    const before = storage.snapshot();
    const run = () =>
      storage.transactionSync(() => {
        storage.sql.exec(INSERT, 1);
        storage.sql.exec(INSERT, 2);
        try {
          storage.transactionSync(() => storage.sql.exec(INSERT, 3));
        } catch {
          // As a room does whose hook threw.
        }
        storage.sql.exec(INSERT, 4);
      });
    // BEGIN, 2 rows, SAVEPOINT, a row, RELEASE, a row, COMMIT.
    for (let nth = 0; nth < 8; nth++) {
      storage.fault = crashAt(nth);
      expect(run).toThrow("crash");
      storage.fault = undefined;
      expect(valuesIn(storage)).toEqual([]);
      expect(Buffer.from(storage.snapshot())).toEqual(Buffer.from(before));
    }
    storage.fault = crashAt(8);
    run();
    storage.fault = undefined;
    expect(valuesIn(storage)).toEqual([1, 2, 3, 4]);
  });

  it("makes the alarm fail by a rejection, and leaves the one that was set", async () => {
    const storage = new NodeStorage();
    await storage.setAlarm(5);
    storage.fault = (statement) => {
      if (statement.startsWith("INSERT")) throw new Error("disk");
    };
    await expect(storage.setAlarm(6)).rejects.toThrow("disk");
    expect(await storage.getAlarm()).toBe(5);
  });
});

describe("the limit of a row", () => {
  it("is the 2 MB of production, for a text and a blob too, also for a text that grew", () => {
    const { sql } = new NodeStorage();
    sql.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)");
    const insert = "INSERT INTO t VALUES (1, ?, ?)";
    const tooBig = "string or blob too big: SQLITE_TOOBIG";
    expect(() => sql.exec(insert, "x".repeat(2_000_001), "")).toThrow(tooBig);
    expect(() => sql.exec(insert, "\u20ac".repeat(700_000), "")).toThrow(tooBig);
    expect(() => sql.exec(insert, "x".repeat(1_000_000), new Uint8Array(1_000_000))).toThrow(tooBig);
    sql.exec(insert, "x".repeat(1_900_000), "");
    expect(() => sql.exec("UPDATE t SET a = a || ?", "x".repeat(100_001))).toThrow(tooBig);
  });
});

const paths: [string, () => string | undefined][] = [
  ["in memory", () => undefined],
  ["in a file", () => join(folder, `${crypto.randomUUID()}.sqlite`)],
];

describe.each(paths)("a snapshot %s", (_where, path) => {
  it("puts back rows, tables and the alarm, any number of times", async () => {
    const storage = withTable(path());
    storage.sql.exec(INSERT, 1);
    await storage.setAlarm(5);
    const snapshot = storage.snapshot();
    for (let round = 0; round < 2; round++) {
      storage.sql.exec(INSERT, 2);
      storage.sql.exec("CREATE TABLE other (b)");
      await storage.setAlarm(6);
      storage.restore(snapshot);
      expect(valuesIn(storage)).toEqual([1]);
      expect(await storage.getAlarm()).toBe(5);
      expect(() => storage.sql.exec("SELECT * FROM other")).toThrow("no such table");
    }
  });

  it("can be put into another storage, and into one that is empty again", async () => {
    const storage = withTable(path());
    storage.sql.exec(INSERT, 1);
    const other = new NodeStorage(path());
    const empty = other.snapshot();
    other.restore(storage.snapshot());
    other.sql.exec(INSERT, 2);
    expect(valuesIn(other)).toEqual([1, 2]);
    expect(valuesIn(storage)).toEqual([1]);
    other.restore(empty);
    expect(other.sql.exec("SELECT * FROM sqlite_master").toArray()).toEqual([]);
    await other.deleteAll();
    other.close();
  });

  it("cannot be taken or put back within a transaction", () => {
    const storage = withTable(path());
    const snapshot = storage.snapshot();
    expect(() => storage.transactionSync(() => storage.snapshot())).toThrow("a transaction is open");
    expect(() => storage.transactionSync(() => storage.restore(snapshot))).toThrow("a transaction is open");
  });
});
