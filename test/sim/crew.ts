/** One worker of a run: plays the seeds that it is given, one after the other, and says what came of them. */
import { parentPort } from "node:worker_threads";
import { play, type Outcome } from "./play.ts";

/** What a run tells a worker. */
export interface Order {
  readonly seeds: readonly number[];
  /** Plays each twice, and compares what happened. */
  readonly twice: boolean;
  /** How many relays the room has. */
  readonly relays: number;
}

/** What came of some schedules, added up. */
export interface Tally {
  schedules: number;
  events: number;
  judged: number;
  /** Virtual time, in ms. */
  lasted: number;
  readonly faults: Map<string, number>;
  readonly failures: { readonly seed: number; readonly what: string }[];
  /** Of everything that happened, in the order of seeds. */
  readonly hashes: Map<number, string>;
}

/** A tally of nothing. */
export function emptyTally(): Tally {
  return { schedules: 0, events: 0, judged: 0, lasted: 0, faults: new Map(), failures: [], hashes: new Map() };
}

/** Adds what came of one schedule. */
export function count(tally: Tally, outcome: Outcome): void {
  tally.schedules++;
  tally.events += outcome.events;
  tally.judged += outcome.judged;
  tally.lasted += outcome.lasted;
  for (const [kind, n] of outcome.faults) tally.faults.set(kind, (tally.faults.get(kind) ?? 0) + n);
  tally.hashes.set(outcome.seed, outcome.hash);
  if (outcome.failure !== undefined) tally.failures.push({ seed: outcome.seed, what: outcome.failure });
}

/** Adds one tally to another. */
export function add(to: Tally, from: Tally): void {
  to.schedules += from.schedules;
  to.events += from.events;
  to.judged += from.judged;
  to.lasted += from.lasted;
  for (const [kind, n] of from.faults) to.faults.set(kind, (to.faults.get(kind) ?? 0) + n);
  for (const [seed, hash] of from.hashes) to.hashes.set(seed, hash);
  to.failures.push(...from.failures);
}

/** Plays what is ordered. */
export async function work({ seeds, twice, relays }: Order): Promise<Tally> {
  const tally = emptyTally();
  for (const seed of seeds) {
    const outcome = await play(seed, { relays });
    const again = twice ? await play(seed, { relays }) : outcome;
    const differs = again.hash !== outcome.hash;
    count(tally, differs ? { ...outcome, failure: `played twice, ${outcome.hash} and ${again.hash}` } : outcome);
  }
  return tally;
}

parentPort?.on("message", (order: Order) => {
  // Rooms and disks fail all the time here, and where is of interest only in the one run that explains a failure.
  Error.stackTraceLimit = 0;
  void work(order).then((tally) => parentPort?.postMessage(tally, []));
});
