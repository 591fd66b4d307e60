/** The waits between tries, as numbers. */
import { expect, it } from "vitest";
import { backoff, suspension, TRIES } from "../../src/client/connection/backoff.ts";
import { randomFrom } from "../support/random.ts";

const failures = [0, 1, 2, 3, 4, 5, 6, 100];

it.each([
  { random: 0, delays: [0, 0, 0, 0, 0, 0, 0, 0] },
  { random: 0.5, delays: [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000] },
  { random: 1, delays: [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000] },
])("full jitter up to 1 s, doubling up to 30 s: with random $random it is $delays", ({ random, delays }) => {
  expect(failures.map((n) => backoff(n, random))).toEqual(delays);
});

it("the client waits as long as the server asks, and the jitter comes on top", () => {
  expect([0, 0.5, 1].map((random) => backoff(1, random, 2_020))).toEqual([2_020, 3_020, 4_020]);
});

it.each([
  { random: 0, periods: [30_000, 60_000, 120_000, 240_000, 300_000, 300_000] },
  { random: 0.5, periods: [45_000, 90_000, 180_000, 360_000, 450_000, 450_000] },
  { random: 1, periods: [60_000, 120_000, 240_000, 480_000, 600_000, 600_000] },
])("a suspension lasts up to 60 s, doubling up to 10 min: with random $random $periods", ({ random, periods }) => {
  expect([0, 1, 2, 3, 4, 50].map((n) => suspension(n, random))).toEqual(periods);
});

it("five tries come before a suspension", () => {
  expect(TRIES).toBe(5);
});

it("waits are spread evenly over their window", () => {
  const random = randomFrom(3);
  const buckets = Array<number>(10).fill(0);
  for (let i = 0; i < 10_000; i++) {
    const at = Math.min(9, Math.floor(backoff(0, random()) / 100));
    buckets[at] = (buckets[at] ?? 0) + 1;
  }
  for (const count of buckets) expect(Math.abs(count - 1_000)).toBeLessThan(150);
});
