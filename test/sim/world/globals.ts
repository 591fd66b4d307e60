/**
 * The clock, timers and chance of the platform, replaced by those of the simulation that runs: the client's real modules
 * use them as any program does. One simulation at a time; Node's own keep working for code that kept them.
 */

/** What the globals stand for while a simulation runs. */
export interface Surroundings {
  /** Time since the simulation began, in ms. */
  now(): number;
  /** The clock on a client's wall, in ms since the epoch. */
  wall(): number;
  after(ms: number, run: () => void): () => void;
  random(): number;
}

let current: Surroundings | undefined;

/**
 * Resolves when everything that was caused has been done: all promises, none of which waits for the outside. Node looks
 * at its ticks when no promise has anything left to do; `setImmediate` would say the same a turn of the event loop later:
 * 10,000 schedules took 61 s so, and take 51 s.
 */
export function settled(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

/** From here on the globals belong to this simulation. */
export function surround(surroundings: Surroundings): void {
  if (!current) install();
  current = surroundings;
}

function here(): Surroundings {
  if (!current) throw new Error("no simulation runs");
  return current;
}

function install(): void {
  const timers = new Map<number, () => void>();
  let nth = 0;
  const set = (run: (...values: unknown[]) => void, ms = 0, ...values: unknown[]) => {
    const id = ++nth;
    const cancel = here().after(ms, () => {
      timers.delete(id);
      run(...values);
    });
    timers.set(id, cancel);
    return id;
  };
  const clear = (id: unknown) => {
    timers.get(id as number)?.();
    timers.delete(id as number);
  };
  const every = (run: () => void, ms: number) => {
    const id = ++nth;
    const again = () => {
      timers.set(id, here().after(ms, again));
      run();
    };
    timers.set(id, here().after(ms, again));
    return id;
  };
  const replaced: Record<string, unknown> = {
    setTimeout: set,
    clearTimeout: clear,
    setInterval: every,
    clearInterval: clear,
  };
  for (const [name, value] of Object.entries(replaced)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  Object.defineProperty(performance, "now", { value: () => here().now(), configurable: true });
  Date.now = () => here().wall();
  Math.random = () => here().random();
  crypto.getRandomValues = ((array: Uint8Array) => {
    for (let i = 0; i < array.length; i++) array[i] = Math.floor(here().random() * 256);
    return array;
  }) as typeof crypto.getRandomValues;
}
