/** Everyone is cut at the same instant: who comes back when. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { dialled } from "../support/dialled.ts";
import { randomFrom } from "../support/random.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const CLIENTS = 500;
const BUCKETS = 10;
/** The window of the first try. */
const WINDOW_MS = 1_000;

it("500 clients that are cut at the same instant come back spread evenly over the first second", async () => {
  const random = randomFrom(20_261_127);
  let dials: number[] = [];
  const herd = Array.from({ length: CLIENTS }, () =>
    dialled({ random }, (line) => {
      dials.push(performance.now());
      setTimeout(() => line.welcome({ resumed: line.url.searchParams.has("session") }), 5);
    }),
  );
  await vi.advanceTimersByTimeAsync(20);
  expect(herd.filter(({ client }) => client.state.name === "open")).toHaveLength(CLIENTS);
  dials = [];
  const cut = performance.now();
  for (const { line } of herd) line().cut();
  await vi.advanceTimersByTimeAsync(WINDOW_MS + 5);
  expect(herd.filter(({ log }) => log.at(-1) === "resumed at 0")).toHaveLength(CLIENTS);

  const counts = Array<number>(BUCKETS).fill(0);
  for (const at of dials) {
    const bucket = Math.min(BUCKETS - 1, Math.floor(((at - cut) * BUCKETS) / WINDOW_MS));
    counts[bucket] = (counts[bucket] ?? 0) + 1;
  }
  expect(dials).toHaveLength(CLIENTS);
  // Chi-squared with 9 degrees of freedom: above 28 once in a thousand seeds.
  const mean = CLIENTS / BUCKETS;
  expect(counts.reduce((sum, n) => sum + (n - mean) ** 2 / mean, 0)).toBeLessThan(28);
});
