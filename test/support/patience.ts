/**
 * How long tests wait, in one place: ten times what a thing takes alone on an idle machine of two cores, times how much
 * slower this machine was when the run began. Must know nothing of rooms, of vitest or of Node's modules: tests inside
 * the runtime and programs outside of it wait by the same measure.
 */

/** A wait lasts this many times what was measured alone. */
const MARGIN = 10;
/** What {@link measure} takes on an idle machine of two cores, in ms. */
const REFERENCE_MS = 80;
const ROUNDS = 20;
/** Between two looks at a condition, in ms, unless a wait says otherwise. */
const LOOK_MS = 5;

/** The variable that carries the factor from the process that measured it to those that it starts. */
export const FACTOR = "TEST_PATIENCE_FACTOR";

// Tests replace the clock and the timers; waits keep to the real ones.
const now = performance.now.bind(performance);
const startTimer = globalThis.setTimeout;
const stopTimer = globalThis.clearTimeout;

/**
 * How many times slower than the reference this machine is, at least 1. Measured once, by the process that asks first.
 * `TEST_PATIENCE=3` in the environment makes all waits three times longer on top of it.
 */
export function factor(): number {
  process.env[FACTOR] ??= String(Math.max(1, measure()) * Number(process.env["TEST_PATIENCE"] ?? 1));
  const known = Number(process.env[FACTOR]);
  if (!(known > 0)) throw new Error("TEST_PATIENCE is not a positive number");
  return known;
}

/** How long to wait for what takes at most `aloneMs` (default: 2 s) on an idle machine, in ms. */
export function patience(aloneMs = 2_000): number {
  return Math.ceil(aloneMs * MARGIN * factor());
}

/** How a wait differs from the usual one. */
export interface Wait {
  /** What the error says was missing. Default: why the last look failed. */
  readonly what?: string;
  /** See {@link patience}. */
  readonly aloneMs?: number;
  /** Between two looks, in ms. Default: 5. */
  readonly everyMs?: number;
}

/** The time between two looks at a condition; `everyMs` is 5 by default. */
export function untilNextLook(everyMs = LOOK_MS): Promise<void> {
  return new Promise((resolve) => startTimer(resolve, everyMs));
}

/** Looks again and again until `check` neither throws nor is false, and returns what it returned. */
export async function eventually<T>(check: () => T | Promise<T>, wait: Wait = {}): Promise<T> {
  const { what = "the condition", aloneMs, everyMs } = wait;
  const limitMs = patience(aloneMs);
  const end = now() + limitMs;
  for (;;) {
    let failed: unknown;
    try {
      const value = await check();
      if (value !== false) return value;
      failed = undefined;
    } catch (error) {
      failed = error;
    }
    if (now() > end) throw failed ?? new Error(`waited ${limitMs} ms for ${what}`);
    await untilNextLook(everyMs);
  }
}

/** Something that changes at times. A waiter for a condition on it looks again after every change. */
export class Changes {
  #waiting: (() => void)[] = [];

  /** Something has changed. */
  notify(): void {
    for (const look of this.#waiting.splice(0)) look();
  }

  /** Waits until something holds. `what` says at the end of a wait in vain what was missing, and what was there. */
  async until(condition: () => boolean, what: () => string, aloneMs?: number): Promise<void> {
    const limitMs = patience(aloneMs);
    const end = now() + limitMs;
    while (!condition()) {
      const left = end - now();
      if (left <= 0) throw new Error(`waited ${limitMs} ms for ${what()}`);
      await new Promise<void>((resolve) => {
        const timer = startTimer(resolve, left);
        this.#waiting.push(() => {
          stopTimer(timer);
          resolve();
        });
      });
    }
  }
}

/** How many times the reference some work in turns with short sleeps takes: both what is slow and what is late count. */
function measure(): number {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  const began = now();
  for (let round = 0; round < ROUNDS; round++) {
    let hash = round;
    for (let i = 0; i < 2_000_000; i++) hash = Math.imul(hash ^ i, 0x6d2b79f5);
    Atomics.store(cell, 0, hash | 1);
    Atomics.wait(cell, 0, hash | 1, 1);
  }
  return (now() - began) / REFERENCE_MS;
}
