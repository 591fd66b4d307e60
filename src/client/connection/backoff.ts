/** How long to wait before the next try. Pure: the caller hands randomness in. */

/** Ceiling of the first wait; it doubles with each failed try. */
const FIRST_WAIT_MS = 1_000;
/** Ceiling of any other wait. */
const LONGEST_WAIT_MS = 30_000;
/** Ceiling of a wait after a cut: a line that was open proves that connecting works. */
export const LONGEST_AFTER_CUT_MS = 5_000;
/** Failed tries in a row before the client is suspended. */
export const TRIES = 5;
/** Ceiling of the first suspension; it doubles up to {@link LONGEST_SUSPENSION_MS}. */
const FIRST_SUSPENSION_MS = 60_000;
const LONGEST_SUSPENSION_MS = 600_000;

/**
 * Full jitter: anything from 0 to the ceiling, so that clients cut at the same moment come back spread over it.
 *
 * @param failures failed tries so far
 * @param random from 0 to 1
 * @param atLeast what the server asked for, in ms; the jitter comes on top
 * @param longest ceiling of the jitter, in ms
 */
export function backoff(failures: number, random: number, atLeast = 0, longest = LONGEST_WAIT_MS): number {
  return atLeast + Math.round(random * Math.min(longest, FIRST_WAIT_MS * 2 ** failures));
}

/** Length of the n-th suspension in a row (from 0), in ms: half of it fixed, half of it jitter. */
export function suspension(n: number, random: number): number {
  const ceiling = Math.min(LONGEST_SUSPENSION_MS, FIRST_SUSPENSION_MS * 2 ** n);
  return Math.round(ceiling * (1 + random) * 0.5);
}
