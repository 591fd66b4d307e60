/** The numbers of one run of one rival, and the result file that holds all runs. */
import type { Reading } from "./load/jobs.ts";

/** Numbers by name. The columns of a scenario say which of them a table shows. */
export type Sample = Readonly<Record<string, number>>;

/** All runs of one scenario. */
export interface ScenarioResult {
  readonly id: string;
  readonly title: string;
  /** The number that is compared with {@link ScenarioResult.base}. */
  readonly key: string;
  readonly base: string;
  readonly columns: readonly string[];
  /** By rival, one sample a round. */
  readonly samples: Readonly<Record<string, readonly Sample[]>>;
}

/** Where, when and with which versions a run was made. */
export interface Circumstances {
  readonly date: string;
  readonly commit: string;
  readonly command: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memory: string;
  readonly kernel: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly seconds: number;
}

/** A result file. */
export interface Results {
  readonly circumstances: Circumstances;
  readonly rounds: number;
  readonly skipped: readonly string[];
  readonly scenarios: readonly ScenarioResult[];
  /** Numbers that only our room has: rows written, bytes of the client. */
  readonly facts: Sample;
}

/** The numbers of every run that publishes. */
export function publishing(reading: Reading): Sample {
  const { ms, cpu, deliveries, messages, acks, publications, latency, everyone, generator } = reading;
  return {
    cost: (cpu * 1_000) / deliveries,
    rate: (deliveries / ms) * 1_000,
    perMessage: deliveries / messages,
    ...(acks > 0 && { perAck: deliveries / acks }),
    cores: cpu / ms,
    publications,
    deliveries,
    ...(latency && { p50: latency.p50, p95: latency.p95, p99: latency.p99 }),
    ...(everyone && { allP50: everyone.p50, allP99: everyone.p99 }),
    ...generatorOf(reading),
    ...((generator.cpu > BUSY || generator.late > LATE) && { generatorBound: 1 }),
  };
}

/** The generator's own load in a run. */
export function generatorOf({ generator }: Reading): Sample {
  return { generator: generator.cpu, late: generator.late };
}

/** A generator that needs more of a core than this may itself be what was measured. */
export const BUSY = 0.85;
/** So may a generator whose event loop is later than this, in ms: on shared cores it may have waited for its turn. */
export const LATE = 50;
