/** `npm run events`, seconds of it: events out of real rooms to a real receiver, each of which is gone now and then. */
import { expect, it } from "vitest";
import { run } from "../events/trial.ts";
import { patience } from "../support/patience.ts";

it(
  "nothing is lost or reordered when the receiver is down and the rooms are killed",
  { timeout: patience(60_000) },
  async () => {
    const outcome = await run({ time: 12_000, kills: 2, seed: 7, say: () => undefined });
    expect(outcome).toMatchObject({ lost: 0, invented: 0, reordered: 0, broken: 0, wrong: [] });
    expect(outcome.acknowledged).toBeGreaterThan(100);
    expect(outcome.happened).toBeGreaterThan(outcome.acknowledged);
    for (const manner of ["up", "failing", "late", "hanging"] as const) {
      expect(outcome.answered[manner], manner).toBeGreaterThan(0);
    }
    expect(outcome.duplicates).toBeGreaterThan(0);
  },
);
