/** How long the Worker waits for a room. */

/** More than any room needs, and less than clients wait: 20 s. */
const PATIENCE = 20_000;

/**
 * A room's answer.
 *
 * @throws DOMException TimeoutError when there was none in time; what the room's object throws, unchanged
 */
export async function inTime<T extends PromiseLike<unknown>>(answer: T): Promise<Awaited<T>> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DOMException("the room did not answer", "TimeoutError")), PATIENCE);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    if (timer !== undefined) clearTimeout(timer);
  }
}
