/**
 * Seeded random schedules against an oracle, a few of them through the runtime; the simulator plays thousands. A failing
 * one prints its seed as a command; `MODEL_SCHEDULES=500` tries more.
 */
import { it } from "vitest";
import { patience } from "../support/patience.ts";
import { play } from "./schedule.ts";

const SCHEDULES = Number(process.env["MODEL_SCHEDULES"] || 10);
const SEED = process.env["MODEL_SEED"];
const SEEDS = SEED ? [Number(SEED)] : Array.from({ length: SCHEDULES }, (_, i) => i + 1);
const CHUNK = 50;
const ROOMS_AT_ONCE = 5;

async function playOrTell(seed: number): Promise<void> {
  try {
    await play(seed);
  } catch (error) {
    const command = `MODEL_SEED=${seed} npm test -- --project workerd test/model`;
    throw new Error(`${String(error)}\nreproduce: ${command}`, { cause: error });
  }
}

for (let first = 0; first < SEEDS.length; first += CHUNK) {
  const seeds = SEEDS.slice(first, first + CHUNK);
  const limit = { timeout: patience(10_000) };
  it(`no schedule of seeds ${seeds[0]} to ${seeds.at(-1)} breaks a promise`, limit, async () => {
    // Several rooms live side by side, as they do in one isolate of the real thing.
    const waiting = seeds.values();
    const worker = async () => {
      for (const seed of waiting) await playOrTell(seed);
    };
    await Promise.all(Array.from({ length: ROOMS_AT_ONCE }, worker));
  });
}
