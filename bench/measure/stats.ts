/** Medians, spreads and percentiles. */

/** The value that half of the values do not exceed. NaN without values. */
export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** The value that `p` % of the values do not exceed, interpolated between neighbours. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = Float64Array.from(values).toSorted();
  const at = ((sorted.length - 1) * p) / 100;
  const low = sorted[Math.floor(at)] ?? NaN;
  const high = sorted[Math.ceil(at)] ?? NaN;
  return low + (high - low) * (at - Math.floor(at));
}

/** A median with the smallest and the largest value. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The median and the spread of several rounds. */
export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** Latencies in ms. */
export interface Latency {
  /** The shortest. */
  readonly first: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** Latencies as three percentiles. */
export function latency(values: readonly number[]): Latency {
  return {
    first: percentile(values, 0),
    p50: percentile(values, 50),
    p95: percentile(values, 95),
    p99: percentile(values, 99),
  };
}
