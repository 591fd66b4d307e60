/** A short run of the simulator, and its own promises: the same seed gives the same run, and a failure shrinks. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { list } from "../sim/mutations.ts";
import { fingerprint, run } from "../sim/run.ts";
import { scheduleOf, type Step } from "../sim/schedule.ts";
import { shrink } from "../sim/shrink.ts";

/** Schedules of the run that every change gets; `npm run sim` plays more. */
const SCHEDULES = 150;
/** And of rooms with relays. */
const RELAYED = 100;
const options = { seed: 1, threads: 2, enough: 1, twice: false };

describe("the simulator", () => {
  it(`finds no broken promise in ${SCHEDULES} schedules`, async () => {
    const tally = await run({ ...options, schedules: SCHEDULES });
    expect(tally.failures).toEqual([]);
    expect(tally.schedules).toBe(SCHEDULES);
    expect(tally.judged).toBeGreaterThan(SCHEDULES * 20);
    for (const fault of ["evicted", "cut", "half-open", "killed", "killed at a statement", "statement failed"]) {
      expect(tally.faults.get(fault), fault).toBeGreaterThan(0);
    }
  });

  it(`and none in ${RELAYED} of a room with relays`, async () => {
    const tally = await run({ ...options, schedules: RELAYED, relays: 3 });
    expect(tally.failures).toEqual([]);
    expect(tally.judged).toBeGreaterThan(RELAYED * 20);
    for (const fault of ["relay evicted", "relay killed", "calls lost", "killed", "statement failed"]) {
      expect(tally.faults.get(fault), fault).toBeGreaterThan(0);
    }
  });

  it("gives the same run for the same seeds, on one thread or several", async () => {
    const [one, two] = await Promise.all([1, 2].map((threads) => run({ ...options, schedules: 30, threads })));
    if (!one || !two) throw new Error("there are two runs");
    expect(fingerprint(one)).toBe(fingerprint(two));
    const other = await run({ ...options, seed: 61, schedules: 30 });
    expect(fingerprint(other)).not.toBe(fingerprint(one));
  });

  it.each(list)("can make the mistake that $name", ({ file, from, to }) => {
    const text = readFileSync(join(import.meta.dirname, "../..", file), "utf8");
    expect(text.split(from), "its text stands there once").toHaveLength(2);
    expect(to).not.toBe(from);
  });

  it("shrinks a failing schedule to the steps that it needs", async () => {
    const steps = scheduleOf(5);
    const needed = [steps[3], steps[11]];
    const fails = (some: readonly Step[]) => {
      return Promise.resolve(needed.every((step) => some.some(({ seed }) => seed === step?.seed)));
    };
    const shortest = await shrink(steps, fails);
    expect(shortest.map(({ seed }) => seed)).toEqual(needed.map((step) => step?.seed));
    expect(shortest.every(({ wait }) => wait === 0)).toBe(true);
  });
});
