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
  // Between the two: through relays there are both resumes and resets.
  large: { ...hurried, retain: 400, resumeWindow: 30_000, presence: "count" },
} as const;

/** How the rooms of the kind `large` are spread: so that a handful of clients needs several relays. */
export const spread = { from: 2, each: 4 } as const;

/** The rooms that clients are spread over, as `kind/name`. */
export const rooms = ["wide/north", "tight/east", "large/hall", "wide/south"] as const;

/** The rooms in the order in which clients come to them: the large one gets more than the others. */
export const seats: readonly string[] = [...rooms, "large/hall"];

/** Relays of a room that the checker looks at; there are never so many. */
const MOST_RELAYS = 12;

/** The settings of a room `kind/name`. */
export function settingsOf(room: string): (typeof kinds)[keyof typeof kinds] {
  return kinds[room.split("/")[0] as keyof typeof kinds];
}

/** Whether a room tells how many members it has, and not who they are. Such rooms are spread over relays. */
export function isLarge(room: string): boolean {
  return "presence" in settingsOf(room);
}

/** Names of the relays that a room can have here, where nobody knows of regions. */
export function relaysOf(room: string): string[] {
  return isLarge(room) ? Array.from({ length: MOST_RELAYS }, (_, i) => `${room}/any/${i}`) : [];
}
