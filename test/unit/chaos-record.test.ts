/** What test/chaos writes down, says and plans: nothing is lost on the way to the checker, and a seed is a schedule. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { Plan } from "../chaos/orders.ts";
import { history, Recorder } from "../chaos/record.ts";
import { addressees, authorOf, brief, isBroken, lengthOf, saying } from "../chaos/saying.ts";
import { faults, schedule } from "../chaos/schedule.ts";

describe("the record", () => {
  const folder = mkdtempSync(join(tmpdir(), "edgerooms-record-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  it("is one history in the order of time, however many files it is in", () => {
    const paths = ["a", "b"].map((name) => join(folder, name));
    const [a, b] = paths.map((path) => new Recorder(path));
    for (let i = 0; i < 500; i++)
      (i % 3 === 0 ? a : b)?.note({ what: "say", client: "\u00fc".repeat(i), data: `c.${i}` });
    a?.flush();
    b?.flush();
    const events = [...history(paths)];
    const times = events.map(({ t }) => t);
    expect(times).toEqual(times.toSorted((x, y) => x - y));
    // What happened in one process keeps its order, also within one microsecond.
    const numbers = events.map((event) => ("data" in event ? Number(event.data.slice(2)) : -1));
    const all = Array.from({ length: 500 }, (_, i) => i);
    for (const isFirst of [true, false]) {
      const mine = (n: number) => (n % 3 === 0) === isFirst;
      expect(numbers.filter(mine)).toEqual(all.filter(mine));
    }
  });

  it("has what was said in short, and nothing of it is lost", () => {
    const text = brief(saying("c3", 7, ["u1", "u2"], true, 4_000));
    expect(text).toBe("c3.7>u1,u2!+3989");
    expect([addressees(text), authorOf(text), isBroken(text), lengthOf(text)]).toEqual([
      ["u1", "u2"],
      { name: "c3", n: 7 },
      true,
      4_005,
    ]);
    expect([addressees("c3.7"), isBroken("c3.7"), lengthOf("c3.7"), brief(saying("c3", 7, [], false, 0))]).toEqual([
      undefined,
      false,
      4,
      "c3.7",
    ]);
  });
});

it("a seed is a schedule: the same one again, and every fault within half an hour", () => {
  const plan = (i: number): Plan => ({
    name: `c${i}`,
    sort: i % 3 === 0 ? "raw" : "sdk",
    user: `u${i}`,
    room: "tight/east",
    port: 1,
    credit: false,
    ttl: 60,
    sloppy: false,
    seed: i,
    others: [],
    pace: 1,
  });
  const plans = Array.from({ length: 6 }, (_, i) => plan(i));
  const first = schedule(5, 1_800_000, plans, []);
  expect(schedule(5, 1_800_000, plans, [])).toEqual(first);
  expect(schedule(6, 1_800_000, plans, [])).not.toEqual(first);
  expect(new Set(first.map(({ fault }) => fault))).toEqual(new Set(Object.keys(faults)));
  expect(schedule(5, 1_800_000, plans, ["kill"])).toEqual(first.filter(({ fault }) => fault !== "kill"));
});
