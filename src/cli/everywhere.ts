/** One thing done in many rooms: so many at a time, with progress. Knows neither the command nor what is printed in the end. */
import { progress } from "./output.ts";

/** Rooms that are asked at the same time. */
export const AT_ONCE = 16;

/**
 * Runs something for each of these, 16 at a time.
 *
 * @param what they are and what is done, for the progress: "rooms asked to drain"
 * @throws what `run` throws; those that have begun then go on
 */
export async function inEach<T>(all: readonly T[], what: string, run: (one: T) => Promise<void>): Promise<void> {
  const waiting = [...all];
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      await run(next);
      done++;
      progress(done, all.length, what);
    }
  };
  let done = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
