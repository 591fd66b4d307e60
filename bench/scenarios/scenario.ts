/** What a scenario is. Some are run by each rival in turn, some by all rivals at once. A run gives a sample. */
import { Load } from "../load/load.ts";
import type { Crowd } from "../load/jobs.ts";
import type { Rival, Running } from "../rivals.ts";
import type { Sample } from "../sample.ts";

/** One thing that is measured. */
export interface Scenario {
  readonly id: string;
  readonly title: string;
  /** The number of a sample that is compared. */
  readonly key: string;
  /** The rival with which the others are compared. */
  readonly base: string;
  /** The numbers that its table shows. */
  readonly columns: readonly string[];
  /** The runs that have it. */
  readonly modes: readonly Mode[];
  readonly rounds?: number;
  takes?(rival: Rival, mode: Mode): boolean;
  /** Run by each rival in turn, every round. `room` is a new name. */
  run?(running: Running, room: string, timing: Timing): Promise<Sample>;
  /** Run by all rivals at once: one round lasts as long as one rival alone. */
  together?(running: ReadonlyMap<string, Running>, room: string): Promise<ReadonlyMap<string, Sample>>;
}

/** The kinds of runs: everything, the short run of CI, how costs grow, our room with and without credit. */
export type Mode = "full" | "quick" | "growth" | "credit";

/** How long a run warms up and how long it measures, in ms. */
export interface Timing {
  readonly warm: number;
  readonly measure: number;
  /** Repetitions inside one run, where one is short. */
  readonly times: number;
  /** Whether this is the server's first round. Memory is measured only then: a server gives none back. */
  readonly first: boolean;
}

/** A server's first round warms up longer: its code must be compiled. */
export function timingOf(mode: Mode, first: boolean): Timing {
  if (mode === "quick" || mode === "credit") return { warm: first ? 1_000 : 300, measure: 1_200, times: 3, first };
  return { warm: first ? 1_500 : 500, measure: 2_000, times: 5, first };
}

/** Opens a crowd in a generator of its own, and ends both in any case. */
export async function withCrowd<T>(
  { target }: Running,
  crowd: Crowd,
  work: (load: Load, opened: Awaited<ReturnType<Load["run"]>>) => Promise<T>,
): Promise<T> {
  const load = new Load();
  try {
    return await work(load, await load.run({ type: "open", target, crowd }));
  } finally {
    await load.stop();
  }
}

/** A crowd in one room. */
export function oneRoom(room: string, members: number): Crowd {
  return { room, rooms: 1, members, concurrency: 64 };
}
