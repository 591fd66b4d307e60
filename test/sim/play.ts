/** Plays one schedule from beginning to end. */
import { Cast } from "./cast.ts";
import { perform } from "./perform.ts";
import { scheduleOf, type Step } from "./schedule.ts";
import { settle } from "./settle.ts";

/** What became of a schedule. */
export interface Outcome {
  readonly seed: number;
  /** What is wrong; `undefined` when nothing is. */
  readonly failure: string | undefined;
  /** Of everything that happened. */
  readonly hash: string;
  readonly events: number;
  /** Frames that were judged. */
  readonly judged: number;
  /** Faults by kind. */
  readonly faults: ReadonlyMap<string, number>;
  /** Virtual time that passed, in ms. */
  readonly lasted: number;
}

/** How to play. */
export interface PlayOptions {
  /** Instead of all steps of the seed. */
  readonly steps?: readonly Step[];
  /** Is told everything that happens. */
  readonly tell?: (line: string) => void;
  /** How many relays the room has. Default: none. */
  readonly relays?: number;
}

/** Plays the schedule of a seed. Never throws for what is wrong with the room. */
export async function play(seed: number, { relays = 0, steps, tell }: PlayOptions = {}): Promise<Outcome> {
  const cast = new Cast(seed, relays, tell);
  const { world } = cast;
  let failure: string | undefined;
  try {
    for (const step of steps ?? scheduleOf(seed, relays)) {
      perform(cast, step);
      await world.run(step.wait);
    }
    await settle(cast);
  } catch (error) {
    failure =
      error instanceof Error
        ? error.name === "Violation"
          ? error.message
          : (error.stack ?? error.message)
        : String(error);
  }
  for (const { disk } of world.objects) disk.close();
  return {
    seed,
    failure,
    hash: world.trace.hash,
    events: world.events,
    judged: world.oracle.judged,
    faults: cast.done,
    lasted: world.timeline.now,
  };
}
