/** The heartbeats of the rooms of worker.ts, and what they show of themselves: known to both the Worker and the program. */

/** Times in milliseconds. */
export interface Rhythm {
  readonly heartbeat: { readonly every: number; readonly idle: number; readonly misses: number };
  readonly grace: number;
}

/** Faster than anything that is measured here. */
export const FAST = { perSecond: 1_000_000, burst: 1_000_000 };

export const rhythms = {
  /** Short, and always the same, so that many peers can be measured. */
  quick: { heartbeat: { every: 500, idle: 500, misses: 3 }, grace: 1_000 },
  /** Doubles while nothing happens. */
  idling: { heartbeat: { every: 250, idle: 2_000, misses: 3 }, grace: 500 },
  /** By hand (`--slow`): as a deployer might set it. */
  steady: { heartbeat: { every: 5_000, idle: 5_000, misses: 3 }, grace: 2_000 },
  /** By hand (`--slow`): longer than the ten seconds after which the runtime takes an idle room out of memory. */
  asleep: { heartbeat: { every: 12_000, idle: 12_000, misses: 3 }, grace: 500 },
} as const satisfies Record<string, Rhythm>;

/** What a room shows of itself. */
export interface Seen {
  readonly members: readonly string[];
  readonly sessions: readonly {
    readonly user: string;
    readonly generation: number;
    /** When the room noticed that the connection is gone. */
    readonly droppedAt: number | null;
    readonly present: boolean;
  }[];
  readonly sockets: readonly {
    readonly open: boolean;
    readonly buffered: number;
    /** Offsets that it was fed and did not acknowledge; 0 for one without credit. */
    readonly unacked: number;
  }[];
  /** How often it was brought into memory. */
  readonly woken: number;
  /** How late its latest alarm was, in ms. */
  readonly latestAlarm: number;
}

/**
 * When a peer that is silent from some moment on has been noticed, at the latest: it may have answered a heartbeat just
 * before, so that the next one still finds an answer; the `misses` after that find none.
 */
export function noticedWithin({ every, misses }: { readonly every: number; readonly misses: number }): number {
  return (misses + 1) * every;
}

/** The same for a room that idles: the doubt after the first unanswered heartbeat makes the others come soon. */
export function noticedIdleWithin({
  every,
  idle,
  misses,
}: {
  readonly every: number;
  readonly idle: number;
  readonly misses: number;
}): number {
  return 2 * idle + (misses - 1) * every;
}
