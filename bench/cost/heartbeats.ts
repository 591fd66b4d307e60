/** How often a room's alarm goes off for its heartbeat, by the room's own rule and its default intervals. */
import { nextHeartbeat } from "../../src/room/rules/deadlines.ts";
import { defineRoom } from "../../src/room/definition.ts";

const HOUR = 3_600_000;
const { heartbeat } = defineRoom({});

/**
 * Heartbeats within `ms` of a room with connections.
 *
 * @param busy whether something happens between any two of them; if not, nothing ever happens
 */
function heartbeatsWithin(ms: number, busy: boolean): number {
  let next = { due: heartbeat.every, interval: heartbeat.every };
  let count = 0;
  while (next.due <= ms) {
    count++;
    next = nextHeartbeat(next.interval, busy, heartbeat, next.due);
  }
  return count;
}

/** Heartbeats in an hour of a room that has long been in use, or long been idle. */
export function heartbeatsPerHour(busy: boolean): number {
  return heartbeatsWithin(101 * HOUR, busy) - heartbeatsWithin(100 * HOUR, busy);
}
