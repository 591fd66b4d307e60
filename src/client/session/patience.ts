/** How long a program waits for a publish or a call. */
import { RoomError } from "../error.ts";
import { after, LONGEST_MS } from "../timer.ts";

/** The part of the platform's AbortSignal that the client needs. */
export interface Abortable {
  readonly aborted: boolean;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** When a program stops waiting. What was not sent by then never is; of what was sent the outcome is unknown. */
export interface Patience {
  /** In ms. Default: for ever. */
  timeout?: number | undefined;
  /** Ends the wait when it is aborted. */
  signal?: Abortable | undefined;
}

/** Calls `giveUp` when the program waits no longer, unless the promise has settled by then. Returns the promise. */
export function whilePatient<T>(
  promise: Promise<T>,
  { timeout = LONGEST_MS, signal }: Patience,
  giveUp: (error: RoomError) => void,
): Promise<T> {
  const abort = () => giveUp(new RoomError("aborted", "Aborted.", false));
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort);
  const late = () => giveUp(new RoomError("timeout", "It took too long.", true));
  const timer = timeout < LONGEST_MS ? after(timeout, late) : undefined;
  return promise.finally(() => {
    clearTimeout(timer as never);
    signal?.removeEventListener("abort", abort);
  });
}
