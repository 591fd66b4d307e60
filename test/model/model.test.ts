/**
 * Seeded random schedules against an oracle. A failing one prints its seed as a command; `MODEL_SCHEDULES=5000` tries
 * more than the 500 of CI.
 */
import { env } from "cloudflare:workers";
import { it } from "vitest";
import { play } from "./schedule.ts";

const ONE = env.MODEL_SEED === "" ? undefined : Number(env.MODEL_SEED);
const SEEDS = ONE === undefined ? Array.from({ length: Number(env.MODEL_SCHEDULES) }, (_, i) => i + 1) : [ONE];
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
  it(`no schedule of seeds ${seeds[0]} to ${seeds.at(-1)} breaks a promise`, { timeout: 60_000 }, async () => {
    // Several rooms live side by side, as they do in one isolate of the real thing.
    const waiting = seeds.values();
    const worker = async () => {
      for (const seed of waiting) await playOrTell(seed);
    };
    await Promise.all(Array.from({ length: ROOMS_AT_ONCE }, worker));
  });
}
