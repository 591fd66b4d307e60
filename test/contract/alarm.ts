/** What rooms rely on in the alarm, and in `deleteAll`. Part of the suite in storage.ts. */
import { expect, it } from "vitest";
import type { Given } from "./given.ts";

/** Far enough away not to ring during a test. */
const LATER_MS = 1_000_000_000;

/** Defines the tests. `given` hands an empty storage to each. */
export function alarmContract(given: Given): void {
  it("is null until it is set, and again when it is taken back", () =>
    given(async (storage) => {
      const at = Date.now() + LATER_MS;
      expect(await storage.getAlarm()).toBe(null);
      await storage.deleteAlarm();
      await storage.setAlarm(at);
      expect(await storage.getAlarm()).toBe(at);
      await storage.setAlarm(new Date(at + 5));
      expect(await storage.getAlarm()).toBe(at + 5);
      await storage.setAlarm(at + 7.9);
      expect(await storage.getAlarm()).toBe(at + 7);
      await storage.deleteAlarm();
      expect(await storage.getAlarm()).toBe(null);
    }));

  it("is set before its promise resolves", () =>
    given(async (storage) => {
      const at = Date.now() + LATER_MS;
      const first = storage.setAlarm(at);
      const second = storage.setAlarm(at + 1);
      expect(await storage.getAlarm()).toBe(at + 1);
      await Promise.all([first, second, storage.sync()]);
      await storage.deleteAlarm();
    }));

  it("is one row written whenever it is set or taken back", () =>
    given(async (storage) => {
      const total = () => Number(storage.sql.exec("SELECT total_changes() AS n").one()["n"]);
      await storage.setAlarm(Date.now() + LATER_MS);
      const before = total();
      await storage.setAlarm(Date.now() + 2 * LATER_MS);
      expect(total()).toBe(before + 1);
      await storage.deleteAlarm();
      expect(total()).toBe(before + 2);
    }));

  it("rejects what is no time, not positive, or after the year 2189", () =>
    given(async (storage) => {
      for (const time of [Number.NaN, Infinity, -5, 0, 8.64e15]) {
        await expect(storage.setAlarm(time), String(time)).rejects.toThrow(TypeError);
      }
      expect(await storage.getAlarm()).toBe(null);
      await storage.setAlarm(6_900_000_000_000);
      expect(await storage.getAlarm()).toBe(6_900_000_000_000);
      await storage.deleteAlarm();
    }));

  it("goes with everything else in deleteAll", () =>
    given(async (storage) => {
      storage.sql.exec("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
      await storage.setAlarm(Date.now() + LATER_MS);
      expect(storage.sql.databaseSize).toBeGreaterThan(4_096);
      await storage.deleteAll();
      expect(await storage.getAlarm()).toBe(null);
      expect(() => storage.sql.exec("SELECT * FROM t")).toThrow("no such table");
      storage.sql.exec("CREATE TABLE t (b); INSERT INTO t VALUES (2)");
      expect(storage.sql.exec("SELECT * FROM t").toArray()).toEqual([{ b: 2 }]);
    }));
}
