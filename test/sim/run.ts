/** Plays many schedules on several threads, and adds up what came of them. */
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { add, emptyTally, type Order, type Tally } from "./crew.ts";

/** What to play. */
export interface RunOptions {
  readonly seed: number;
  readonly schedules: number;
  readonly threads: number;
  readonly twice: boolean;
  /** How many relays the room has. Default: none. */
  readonly relays?: number;
  /** No more is begun after this many failures. */
  readonly enough: number;
  /** No more is begun after so many ms of real time. */
  readonly patience?: number;
  readonly progress?: (tally: Tally) => void;
}

/** Seeds that a worker is given at a time. */
const CHUNK = 50;

/** Plays the schedules of seeds in a row. */
export async function run(options: RunOptions): Promise<Tally> {
  const { seed, schedules, threads, twice, enough, patience = Infinity, progress, relays = 0 } = options;
  const tally = emptyTally();
  const began = performance.now();
  let next = 0;
  const order = (): Order | undefined => {
    const isEnough = tally.failures.length >= enough || performance.now() - began > patience;
    if (isEnough || next >= schedules) return undefined;
    const seeds = Array.from({ length: Math.min(CHUNK, schedules - next) }, (_, i) => seed + next + i);
    next += seeds.length;
    return { seeds, twice, relays };
  };
  const crew = Array.from({ length: Math.min(threads, Math.ceil(schedules / CHUNK)) }, () => {
    return employ(order, (part) => {
      add(tally, part);
      progress?.(tally);
    });
  });
  await Promise.all(crew);
  tally.failures.sort((a, b) => a.seed - b.seed);
  return tally;
}

/** One worker, from its first order to its last. */
function employ(order: () => Order | undefined, done: (part: Tally) => void): Promise<void> {
  const first = order();
  if (!first) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const worker = new Worker(join(import.meta.dirname, "crew.ts"), {
      // Most of what a schedule makes does not outlive it.
      resourceLimits: { maxYoungGenerationSizeMb: 64 },
    });
    worker.on("error", reject);
    worker.on("message", (part: Tally) => {
      done(part);
      const more = order();
      if (more) worker.postMessage(more, []);
      else void worker.terminate().then(() => resolve());
    });
    worker.postMessage(first, []);
  });
}

/** Everything that happened in every schedule, as one number: the same for the same seeds. */
export function fingerprint({ hashes }: Tally): string {
  let a = 0x811c9dc5;
  for (const [seed, hash] of [...hashes].toSorted(([x], [y]) => x - y)) {
    for (const char of `${seed} ${hash}`) a = Math.imul(a ^ char.charCodeAt(0), 0x01000193);
  }
  return (a >>> 0).toString(16).padStart(8, "0");
}
