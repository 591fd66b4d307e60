/** How often a room's alarm rings for its heartbeat, by the room's own rule and its default numbers. */
import { nextBeat } from "../../src/room/rules/deadlines.ts";
import { defineRoom } from "../../src/room/definition.ts";

const HOUR = 3_600_000;
const { heartbeat } = defineRoom({});

/** Beats within `ms` of a room with connections: one in which something happens between any two, or nothing ever. */
export function beatsWithin(ms: number, busy: boolean): number {
  let beat = { due: heartbeat.every, interval: heartbeat.every };
  let count = 0;
  while (beat.due <= ms) {
    count++;
    beat = nextBeat(beat.interval, busy, heartbeat, beat.due);
  }
  return count;
}

/** Beats in an hour, once the room has been in use, or idle, for long. */
export function beatsPerHour(busy: boolean): number {
  return beatsWithin(101 * HOUR, busy) - beatsWithin(100 * HOUR, busy);
}
