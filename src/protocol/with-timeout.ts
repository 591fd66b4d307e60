/**
 * Waiting for an answer no longer than so long: of a room, of the directory, of an outlet. Knows nothing of what is asked,
 * and takes the timer from its caller where time is not the runtime's own.
 */

/** Runs something after `ms`, unless it is called off by what this returns. */
export type Later = (ms: number, run: () => void) => () => void;

/**
 * What an answer resolves with, if it settles in time. Leaves no timer behind.
 *
 * @param name of the one that is asked, for the message of the error
 * @throws DOMException TimeoutError after `ms`; what the answer rejects with, unchanged
 */
export async function withTimeout<T>(answer: T, name: string, ms: number, later: Later = afterMs): Promise<Awaited<T>> {
  let cancel: (() => void) | undefined;
  const late = new Promise<never>((_, reject) => {
    cancel = later(ms, () => reject(new DOMException(`${name} did not answer in ${ms} ms`, "TimeoutError")));
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    cancel?.();
  }
}

const afterMs: Later = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};
