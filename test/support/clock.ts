/** The wall clock of a file of tests, while timers stay real. */
import { afterEach, beforeEach, vi } from "vitest";

/** For each test of this file `Date` stands still at now; spies end with it. Returns what moves it on. */
export function heldDate(): (ms: number) => void {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });
  return (ms) => void vi.setSystemTime(Date.now() + ms);
}
