/** Work that goes on after its request was answered. Knows nothing of what it is. */
// As a namespace, because a module that imports a name the runtime does not export would not start.
import * as runtime from "cloudflare:workers";

type Runtime = { readonly waitUntil?: (work: Promise<unknown>) => void };

/** Keeps work going when its request ends. A failure is not told: a caller that needs the result waits for the work itself. */
export function inBackground(work: Promise<unknown>): void {
  const settled = work.catch(() => undefined);
  try {
    (runtime as Runtime).waitUntil?.(settled);
  } catch {
    // Outside of a request: nothing ends the work then.
  }
}
