/** Members who say more than the room takes, through stalls, cuts and refusals by seed: what each promise comes to. */
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { beforeAll, describe, expect, it } from "vitest";
import type { Pressed, Spoken } from "../sim/pressure.ts";

const SEEDS = Array.from({ length: 10 }, (_, n) => n + 1);
const THREADS = 2;

let all: readonly Pressed[] = [];
const members = () =>
  all.flatMap(({ seed, members: some }) => some.map((one) => ({ ...one, who: `${one.user} ${seed}` })));
const sum = (of: (one: Spoken) => number) => members().reduce((total, one) => total + of(one), 0);

/** The seeds in a thread of their own: a simulation replaces the clock of its thread. */
function pressed(seeds: readonly number[]): Promise<readonly Pressed[]> {
  const worker = new Worker(join(import.meta.dirname, "../sim/pressure.ts"));
  return new Promise<readonly Pressed[]>((resolve, reject) => {
    worker.on("message", resolve);
    worker.on("error", reject);
    worker.postMessage(seeds, []);
  }).finally(() => void worker.terminate());
}

beforeAll(async () => {
  const parts = Array.from({ length: THREADS }, (_, n) => SEEDS.filter((seed) => seed % THREADS === n));
  all = (await Promise.all(parts.map(pressed))).flat();
});

describe("more than the room takes, for 10,000 publishes", () => {
  it("was as bad as it should be", () => {
    expect(all.map(({ failure }) => failure)).toEqual(SEEDS.map(() => undefined));
    expect(sum(({ published }) => published.length)).toBeGreaterThanOrEqual(10_000);
    const faults = new Set(all.flatMap(({ faults: some }) => Object.keys(some)));
    expect([...faults].toSorted()).toEqual(["clock", "cut", "evict", "half-open", "kill", "slow", "stall", "strict"]);
    expect(sum(({ refusals }) => refusals)).toBeGreaterThan(100);
    expect(sum(({ signalled }) => signalled)).toBeGreaterThan(1_000);
    expect(sum(({ reasons }) => reasons.length)).toBeGreaterThan(30);
  });

  it("C1: each member's own publishes keep their order, whatever was refused, stalled or sent again", () => {
    for (const { who, offsets } of members()) {
      expect(offsets, who).toEqual(offsets.toSorted((a, b) => a - b));
    }
  });

  it("C1: none is lost: all but those that the room rejected are acked, and everyone is told of each once, in order", () => {
    for (const { who, published, acked } of members()) {
      expect(acked, who).toEqual(published.filter((text) => !text.startsWith("reject ")));
    }
    for (const { members: some } of all) {
      const said = Object.fromEntries(some.map(({ user, acked }) => [user, acked]));
      for (const { heard } of some) expect(heard).toEqual(said);
    }
  });

  it("C3: the last presence of each is seen by all", () => {
    for (const { members: some } of all) {
      const last = Object.fromEntries(some.map(({ user, lastPresence }) => [user, lastPresence]));
      for (const { seen } of some) expect(seen).toEqual(last);
    }
  });

  it("C3: the room ends no connection for its rate", () => {
    expect(members().flatMap(({ reasons }) => reasons.filter((reason) => /rate/.test(reason)))).toEqual([]);
  });
});
