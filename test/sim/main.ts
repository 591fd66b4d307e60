/**
 * Plays seeded schedules against the room, in virtual time and plain Node:
 *
 *     npm run sim -- [--schedules 10000] [--seed 1] [--threads 2] [--twice]   many, and the shortest schedule of a failure
 *     npm run sim -- --seed 7 --schedules 1 [--keep 0,4,9] [--trace]           one, or a part of it
 *     npm run sim -- --mutations [--only text]                                 whether seeded mistakes are found
 *
 * `--relays 3` gives the room relays. `--hunt 60000` ends at the first failure, and after so many milliseconds of real time.
 */
import { parseArgs } from "node:util";
import type { Tally } from "./crew.ts";
import { mutations } from "./mutations.ts";
import { play } from "./play.ts";
import { fingerprint, run } from "./run.ts";
import { describe, scheduleOf, type Step } from "./schedule.ts";
import { shrink } from "./shrink.ts";

const { values } = parseArgs({
  options: {
    schedules: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
    threads: { type: "string", default: "2" },
    keep: { type: "string" },
    trace: { type: "boolean", default: false },
    twice: { type: "boolean", default: false },
    mutations: { type: "boolean", default: false },
    only: { type: "string" },
    hunt: { type: "string" },
    relays: { type: "string", default: "0" },
  },
});
const seed = Number(values.seed);
const schedules = Number(values.schedules);
const relays = Number(values.relays);
const asked = relays > 0 ? ` --relays ${relays}` : "";
const say = (line: string) => process.stdout.write(`${line}\n`);

/** A kept step, and how long the world runs after it if that is not what the seed says: `4` or `4:20`. */
function kept(list: string): Step[] {
  const all = scheduleOf(seed, relays);
  return list.split(",").flatMap((part) => {
    const [index, wait] = part.split(":").map(Number);
    const step = all[index ?? -1];
    return step ? [{ ...step, wait: wait ?? step.wait }] : [];
  });
}

/** How a list of steps is written after `--keep`. */
function keepOf(of: number, steps: readonly Step[]): string {
  const all = scheduleOf(of, relays);
  return steps
    .map((step) => {
      const index = all.findIndex((other) => other.seed === step.seed);
      return all[index]?.wait === step.wait ? String(index) : `${index}:${step.wait}`;
    })
    .join();
}

/** A failure without its names and numbers: another one is no shorter way to this one. */
function kindOf(failure: string | undefined): string | undefined {
  return failure?.replaceAll(/\b(?:ann|bob|eve|sam)\b|\([^)]*\)|"[^"]*"|[\d.]+/g, "");
}

async function explain(failed: number, what: string, steps = scheduleOf(failed, relays)): Promise<void> {
  say(`\nseed ${failed}: ${what}`);
  say(`reproduce: npm run sim -- --seed ${failed} --schedules 1${asked}`);
  const kind = kindOf(what);
  const isSame = async (some: readonly Step[]) =>
    kindOf((await play(failed, { steps: some, relays })).failure) === kind;
  const shortest = await shrink(steps, isSame);
  const { failure } = await play(failed, { steps: shortest, relays });
  const all = scheduleOf(failed, relays);
  say(`the shortest schedule that fails (${shortest.length} of ${all.length} steps): ${failure}`);
  for (const step of shortest)
    say(
      `  ${describe(
        step,
        all.findIndex((other) => other.seed === step.seed),
      )}`,
    );
  say(`reproduce: npm run sim -- --seed ${failed} --schedules 1 --keep ${keepOf(failed, shortest)} --trace${asked}`);
}

function summarize(tally: Tally, seconds: number): void {
  say(`\n${tally.schedules} schedules in ${seconds.toFixed(1)} s, ${tally.failures.length} failed`);
  say(
    `${tally.events} events in ${(tally.lasted / 3_600_000).toFixed(0)} hours of virtual time, ${tally.judged} frames judged`,
  );
  for (const [kind, n] of [...tally.faults].toSorted(([, a], [, b]) => b - a))
    say(`  ${String(n).padStart(7)} ${kind}`);
  say(`fingerprint ${fingerprint(tally)}`);
}

async function one(): Promise<boolean> {
  const steps = values.keep === undefined ? scheduleOf(seed, relays) : kept(values.keep);
  const { failure, hash, events } = await play(seed, { steps, relays, ...(values.trace && { tell: say }) });
  say(`seed ${seed}: ${steps.length} steps, ${events} events, hash ${hash}`);
  if (failure === undefined) return true;
  if (values.keep === undefined) await explain(seed, failure, steps);
  else say(failure);
  return false;
}

async function many(): Promise<boolean> {
  const clock = process.hrtime.bigint();
  let told = 0;
  const tally = await run({
    seed,
    schedules,
    threads: Number(values.threads),
    twice: values.twice,
    relays,
    enough: values.hunt === undefined ? 5 : 1,
    patience: Number(values.hunt ?? Infinity),
    progress: (so) => {
      if (so.schedules - told < schedules / 10) return;
      told = so.schedules;
      say(`${so.schedules} schedules, ${so.failures.length} failed`);
    },
  });
  summarize(tally, Number(process.hrtime.bigint() - clock) / 1e9);
  for (const { seed: failed, what } of tally.failures.slice(0, values.hunt === undefined ? 3 : 1))
    await explain(failed, what);
  return tally.failures.length === 0;
}

const isGood = values.mutations ? await mutations(say, values.only) : schedules === 1 ? await one() : await many();
process.exitCode = isGood ? 0 : 1;
