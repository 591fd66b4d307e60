/** What happens in a simulation: a list of steps, drawn from a seed, of which any part is a schedule too. */
import { Chance, mixSeed } from "./world/random.ts";

/** Everything that can be done to a world, with how often it is. */
const WEIGHTS = {
  join: 12,
  publish: 16,
  signal: 4,
  presence: 4,
  call: 3,
  remind: 3,
  leave: 2,
  close: 2,
  reload: 2,
  rawJoin: 8,
  rawAgain: 6,
  rawPublish: 10,
  rawRepeat: 6,
  rawAck: 2,
  rawSync: 4,
  rawOdd: 2,
  rawSignal: 1,
  rawSilent: 1,
  rawSteal: 1,
  rawLeave: 1,
  rawFlood: 0.06,
  cut: 6,
  halfOpen: 2,
  slow: 2,
  evict: 9,
  crash: 3,
  crashAtStatement: 5,
  crashAtCommit: 3,
  failDisk: 2,
  slowDisk: 2,
  copy: 1.5,
  restore: 2,
  moveClock: 1,
  lateAlarms: 1,
  weather: 1,
  kick: 1.5,
  revoke: 0.5,
  drain: 0.8,
  post: 4,
  serverPublish: 2,
  serverSignal: 1,
  refresh: 1,
  outlet: 3,
} as const satisfies Record<string, number>;

/** And what can be done besides to a room with relays. */
const RELAY_WEIGHTS = {
  evictRelay: 9,
  crashRelay: 4,
  crashRelayAtCommit: 3,
  loseCalls: 6,
} as const satisfies Record<string, number>;

/** The kind of one step. */
export type StepKind = keyof typeof WEIGHTS | keyof typeof RELAY_WEIGHTS;

/** One thing that is done, and how long the world runs after it. */
export interface Step {
  readonly kind: StepKind;
  /** Of everything that this step leaves to chance: no other step moves it. */
  readonly seed: number;
  /** How long the world runs before the next step, in ms. */
  readonly wait: number;
}

/** Steps of one schedule. */
const STEPS = [16, 48] as const;

/** The schedule of a seed, for a room with so many relays. */
export function scheduleOf(seed: number, relays = 0): Step[] {
  const chance = new Chance(mixSeed(seed, 1));
  const choices = Object.entries({ ...WEIGHTS, ...(relays > 0 && RELAY_WEIGHTS) }).map(
    ([kind, weight]) => [weight, kind as StepKind] as const,
  );
  // More often few than many.
  const length = Math.min(chance.between(...STEPS), chance.between(...STEPS), chance.between(...STEPS));
  return Array.from({ length }, (_, i): Step => {
    const kind = (i < 2 ? "join" : chance.weighed(choices)) ?? "join";
    return { kind, seed: mixSeed(seed, 1_000 + i), wait: waitOf(chance) };
  });
}

/** Mostly so short that what was begun is still on its way, now and then long enough for what is due by time. */
function waitOf(chance: Chance): number {
  const dice = chance.float();
  if (dice < 0.6) return chance.between(0, 60);
  if (dice < 0.85) return chance.between(60, 2_000);
  return dice < 0.96 ? chance.between(2_000, 15_000) : chance.between(15_000, 90_000);
}

/** A step as people read it. */
export function describe({ kind, wait }: Step, index: number): string {
  return `${String(index).padStart(3)} ${kind.padEnd(17)} then ${wait} ms`;
}
