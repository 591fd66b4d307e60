/** Timers for waits that others name: platforms take one that is too long for none at all. */

/** The longest wait of a timer: about 25 days. */
export const LONGEST_MS = 2 ** 31 - 1;

/** Runs something in `ms`, or in {@link LONGEST_MS} if that is sooner. */
export function after(ms: number, run: () => void): ReturnType<typeof setTimeout> {
  return setTimeout(run, Math.min(ms, LONGEST_MS));
}
