/** The rooms under chaos, and what the checker must know of their settings. */
import type { Duration } from "../../src/room/definition.ts";

/** What the kinds have in common: heartbeats and windows short enough to matter within minutes. */
const hurried = {
  heartbeat: { every: "2s" as Duration, idle: "4s" as Duration, misses: 3 },
  grace: 2_000,
  rate: { perSecond: 200, burst: 400 },
};

/** Settings by kind of room. Times are in ms, because the checker counts with them. */
export const kinds = {
  wide: { ...hurried, retain: 1_000, resumeWindow: 60_000 },
  tight: { ...hurried, retain: 60, resumeWindow: 12_000 },
} as const;

/** The rooms that clients are spread over, as `kind/name`. */
export const rooms = ["wide/north", "tight/east", "wide/south"] as const;

/** The settings of a room `kind/name`. */
export function settingsOf(room: string): (typeof kinds)[keyof typeof kinds] {
  return kinds[room.split("/")[0] as keyof typeof kinds];
}
