/** The shortest schedule that still fails: leaves out steps, and shortens waits, as long as something is wrong. */
import type { Step } from "./schedule.ts";

/** Whether a schedule still fails. */
export type Fails = (steps: readonly Step[]) => Promise<boolean>;

/** Schedules that are tried, at most, and for how long, in ms of real time. */
const MOST_TRIES = 2_000;
const LONGEST = 20_000;

/**
 * Shrinks a list of steps that fails (delta debugging): first by leaving out runs of steps, half of them and ever fewer,
 * then by waiting less.
 */
export async function shrink(steps: readonly Step[], fails: Fails): Promise<Step[]> {
  let tries = 0;
  const until = process.hrtime.bigint() + BigInt(LONGEST) * 1_000_000n;
  const stillFails = async (candidate: readonly Step[]) => {
    return ++tries <= MOST_TRIES && process.hrtime.bigint() < until && (await fails(candidate));
  };
  let current = [...steps];
  for (let size = Math.ceil(current.length / 2); size >= 1;) {
    const before = current.length;
    for (let at = 0; at < current.length;) {
      const without = current.toSpliced(at, size);
      if (without.length < current.length && (await stillFails(without))) current = without;
      else at += size;
    }
    // With single steps gone, others may be without use that were not.
    if (size === 1 && current.length === before) break;
    size = size === 1 ? 1 : Math.ceil(size / 2);
  }
  for (const [i, step] of current.entries()) {
    for (const wait of [0, 20, 100, 1_000, 10_000]) {
      if (wait >= step.wait) break;
      const shorter = current.with(i, { ...step, wait });
      if (!(await stillFails(shorter))) continue;
      current = shorter;
      break;
    }
  }
  return current;
}
