/**
 * Counts of what happened, until somebody takes them. A series is a metric's name and the values of its labels:
 * `resumes|reset|log_trimmed`. Knows neither what is counted nor who reads it.
 */

/** Counts by series. */
export type Counts = Readonly<Record<string, number>>;

/** Two sets of counts as one. */
export function sum(a: Counts, b: Counts): Counts {
  const tally = new Counters();
  tally.merge(a);
  tally.merge(b);
  return tally.counts;
}

/** A set of counters. */
export class Counters {
  #counts: Record<string, number> = {};

  /** What was counted and not taken yet. */
  get counts(): Counts {
    return this.#counts;
  }

  add(series: string, n = 1): void {
    // What never happened is no series.
    if (n === 0) return;
    this.#counts[series] = (this.#counts[series] ?? 0) + n;
  }

  /** Adds what was counted elsewhere. */
  merge(counts: Counts): void {
    for (const [series, n] of Object.entries(counts)) this.add(series, n);
  }

  /** Hands over everything counted so far and begins anew. */
  take(): Counts {
    const counts = this.#counts;
    this.#counts = {};
    return counts;
  }
}
