/** How long a call of a Durable Object is waited for. Knows nothing of what is asked. */

/** More than a room needs, and less than clients wait, in ms. */
export const ROOM_TIMEOUT_MS = 20_000;

/**
 * What a promise resolves with, if it settles in time.
 *
 * @param who did not answer, for the message of the error
 * @throws DOMException TimeoutError after `ms`; what the promise rejects with, unchanged
 */
export async function withTimeout<T extends PromiseLike<unknown>>(
  answer: T,
  who: string,
  ms = ROOM_TIMEOUT_MS,
): Promise<Awaited<T>> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DOMException(`${who} did not answer in ${ms} ms`, "TimeoutError")), ms);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    if (timer !== undefined) clearTimeout(timer);
  }
}
