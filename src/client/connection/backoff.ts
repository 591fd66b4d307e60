/** How long to wait before the next try. Pure: randomness is handed in. */

/** Ceiling of the first wait, in ms; it doubles with each failed try. */
const FIRST = 1_000;
/** Ceiling of any wait, in ms. */
const LONGEST = 30_000;
/** Failed tries in a row before a quiet period. */
export const TRIES = 5;
/** The first quiet period, in ms; it doubles up to {@link LONGEST_QUIET}. */
const FIRST_QUIET = 60_000;
const LONGEST_QUIET = 600_000;

/**
 * Full jitter: anything from 0 to the ceiling, so that clients cut at the same moment come back spread over it.
 *
 * @param failures failed tries so far
 * @param random from 0 to 1
 * @param atLeast what the server asked for, in ms; the jitter comes on top
 */
export function backoff(failures: number, random: number, atLeast = 0): number {
  return atLeast + Math.round(random * Math.min(LONGEST, FIRST * 2 ** failures));
}

/** Length of the n-th quiet period in a row (from 0), in ms: half of it fixed, half of it jitter. */
export function quietPeriod(n: number, random: number): number {
  const ceiling = Math.min(LONGEST_QUIET, FIRST_QUIET * 2 ** n);
  return Math.round(ceiling * (1 + random) * 0.5);
}
