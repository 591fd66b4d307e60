/** What rooms rely on in `transactionSync`. Part of the suite in storage.ts. */
import { expect, it } from "vitest";
import type { Given, TestedStorage } from "./given.ts";

const write = ({ sql }: TestedStorage, ...names: string[]) => {
  for (const name of names) sql.exec("INSERT INTO t VALUES (?)", name);
};
const names = ({ sql }: TestedStorage) =>
  sql
    .exec("SELECT name FROM t")
    .toArray()
    .map((row) => row["name"]);

/** Runs something that must throw, and returns what it threw. */
function thrownBy(run: () => void): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

/** Defines the tests. `given` hands an empty storage to each. */
export function transactionContract(given: Given): void {
  const withTable = (run: (storage: TestedStorage) => void | Promise<void>) => () =>
    given(async (storage) => {
      storage.sql.exec("CREATE TABLE t (name TEXT PRIMARY KEY) WITHOUT ROWID");
      await run(storage);
    });

  it(
    "returns what its function returns, and keeps what it wrote",
    withTable((storage) => {
      const result = storage.transactionSync(() => {
        write(storage, "a");
        return names(storage);
      });
      expect(result).toEqual(["a"]);
      expect(names(storage)).toEqual(["a"]);
    }),
  );

  it(
    "is undone by a throw, which is passed on as it is",
    withTable((storage) => {
      write(storage, "before");
      const error = new TypeError("mine");
      const thrown = thrownBy(() =>
        storage.transactionSync(() => {
          write(storage, "a", "b");
          storage.sql.exec("DELETE FROM t WHERE name = 'before'; CREATE TABLE other (a)");
          throw error;
        }),
      );
      expect(thrown).toBe(error);
      expect(names(storage)).toEqual(["before"]);
      expect(() => storage.sql.exec("SELECT * FROM other")).toThrow("no such table");
    }),
  );

  it(
    "may be nested: the inner one is undone alone",
    withTable((storage) => {
      storage.transactionSync(() => {
        write(storage, "outer 1");
        thrownBy(() =>
          storage.transactionSync(() => {
            write(storage, "inner");
            storage.transactionSync(() => write(storage, "innermost"));
            throw new Error("inner");
          }),
        );
        expect(names(storage)).toEqual(["outer 1"]);
        storage.transactionSync(() => write(storage, "inner 2"));
        write(storage, "outer 2");
      });
      expect(names(storage)).toEqual(["inner 2", "outer 1", "outer 2"]);
    }),
  );

  it(
    "may be nested: with the outer one everything is undone",
    withTable((storage) => {
      thrownBy(() =>
        storage.transactionSync(() => {
          storage.transactionSync(() => write(storage, "inner"));
          write(storage, "outer");
          throw new Error("outer");
        }),
      );
      expect(names(storage)).toEqual([]);
      storage.transactionSync(() => write(storage, "next"));
      expect(names(storage)).toEqual(["next"]);
    }),
  );

  it(
    "goes on after a statement that failed and was caught",
    withTable((storage) => {
      storage.transactionSync(() => {
        write(storage, "a");
        expect(() => storage.sql.exec("INSERT INTO t VALUES ('b'), ('a')")).toThrow("SQLITE_CONSTRAINT");
        write(storage, "c");
      });
      expect(names(storage)).toEqual(["a", "c"]);
    }),
  );

  it(
    "counts in total_changes() what was undone, too",
    withTable((storage) => {
      const total = () => Number(storage.sql.exec("SELECT total_changes() AS n").one()["n"]);
      const before = total();
      thrownBy(() =>
        storage.transactionSync(() => {
          write(storage, "a");
          throw new Error("undone");
        }),
      );
      expect(total()).toBe(before + 1);
    }),
  );

  it(
    "holds the alarm as well",
    withTable(async (storage) => {
      const [first, second] = [Date.now() + 1e9, Date.now() + 2e9];
      await storage.setAlarm(first);
      thrownBy(() =>
        storage.transactionSync(() => {
          void storage.setAlarm(second);
          throw new Error("undone");
        }),
      );
      expect(await storage.getAlarm()).toBe(first);
      storage.transactionSync(() => void storage.setAlarm(second));
      expect(await storage.getAlarm()).toBe(second);
      await storage.deleteAlarm();
    }),
  );
}
