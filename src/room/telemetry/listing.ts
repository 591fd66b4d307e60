/**
 * What a room reports to the directory of live rooms, to which part of it, and how often. The directory is for people who
 * look and for commands that go through all rooms; nothing waits for it and nothing depends on it.
 */

/** A live room, as it last reported. */
export interface Listing {
  readonly kind: string;
  readonly room: string;
  readonly connections: number;
  readonly members: number;
  /** Dropped ones included. */
  readonly sessions: number;
  /** Offset of its newest publication. */
  readonly offset: number;
  /** Batches of events that were given up, and those that wait behind one that has failed for minutes. */
  readonly undelivered: { readonly dead: number; readonly pending: number };
  /** A room that has not reported again after so many ms is not live. */
  readonly ttl: number;
}

/** Parts of the directory in each jurisdiction; each is a Durable Object. At one report per room and 10 minutes a part has room for many. */
export const DIRECTORY_SHARDS = 16;
/** A live room reports again when a heartbeat passes a multiple of this, in ms: stateless, so sleeping changes nothing. */
const RELIST_EVERY = 600_000;
/** And when something happened in it, a multiple of this: what was counted should not be much older. */
const RELIST_BUSY = 60_000;
/** Heartbeats come at most an idle interval apart, and reports get lost: a room counts as live for three times the longer. */
const LISTED_TIMES = 3;

/** The part of the directory that a room belongs to, by FNV-1a of its address. */
export function shardOf(kind: string, room: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(`${kind}/${room}`)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0) % DIRECTORY_SHARDS;
}

/** Whether a room that lives on reports to the directory with this heartbeat. */
export function isListedAgain(previousHeartbeat: number, now: number, busy: boolean): boolean {
  const every = busy ? RELIST_BUSY : RELIST_EVERY;
  return Math.floor(previousHeartbeat / every) !== Math.floor(now / every);
}

/** How long a report counts, in ms. */
export function listedFor(idle: number): number {
  return LISTED_TIMES * Math.max(RELIST_EVERY, idle);
}
