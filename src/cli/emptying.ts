/**
 * How rooms are emptied: which ones, all at the same time, until each was seen empty. Knows the API's drain, and nothing of
 * the command line or of what is printed in the end.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { DrainBody, Drained } from "../protocol/api.ts";
import { pathOf, type Named } from "./address.ts";
import { Failure } from "./command.ts";
import type { Server } from "./http.ts";
import { inEach } from "./everywhere.ts";
import { findRooms, nameOf } from "./listing.ts";
import { progress } from "./output.ts";
import { RequestFailed } from "./reply.ts";

/** A room that has been asked to drain. */
export interface DrainedRoom extends Drained {
  readonly name: string;
  /** When it takes connections again, at the earliest, by the clock of this machine: that of the server may differ. */
  readonly reopensHere: number;
}

/** A room that was not seen empty. */
export interface Left {
  readonly name: string;
  /** Absent when the list of rooms did not say, because a part of it was missing. */
  readonly connections?: number;
}

/** What came of it. */
export interface Emptied {
  /** How many rooms there were. */
  readonly all: number;
  readonly rooms: readonly DrainedRoom[];
  /** Rooms that could not be asked, and why. */
  readonly failed: readonly string[];
  /** Rooms that were not empty in time. */
  readonly left: readonly Left[];
  /** Names of rooms that were empty, and take connections again by now though they were to stay closed for a while. */
  readonly reopened: readonly string[];
  /** Names of rooms on the list in which nothing has ever happened. */
  readonly neverWere: readonly string[];
  /** Parts of the directory that did not answer: their rooms were not asked, or nobody knows whether they are empty. */
  readonly incomplete: readonly number[];
  /** How long it took from the first room to the last, in ms. */
  readonly took: number;
}

/** A room while it empties: its connections, and since when it has taken new ones, if it has. */
interface Seen {
  readonly connections: number;
  readonly openSince: number;
}

/** Rooms that have connections, by name. */
interface Look<T> {
  readonly rooms: ReadonlyMap<string, T>;
  /** Parts of the directory that did not answer: a room that is not here may be one of theirs. */
  readonly incomplete: readonly number[];
}

/** The rooms to empty. */
export interface Targets {
  /** Their paths. */
  paths(): Promise<Look<string>>;
  /** How they are. */
  seen(): Promise<Look<Seen>>;
}

/** How long after the deadline a room may stay on the list, in ms: its alarm can be late. */
const PATIENCE_MS = 15_000;
const LOOK_EVERY_MS = 500;

/** Every live room. */
export function everyRoom(server: Server): Targets {
  return {
    async paths() {
      const { rooms, incomplete } = await findRooms(server);
      return { rooms: new Map(rooms.map((room) => [nameOf(room), pathOf(room.kind, room.room)])), incomplete };
    },
    async seen() {
      const { rooms, incomplete } = await findRooms(server);
      const seen = rooms.map((room) => [nameOf(room), { connections: room.connections, openSince: room.at }] as const);
      return { rooms: new Map(seen), incomplete };
    },
  };
}

/** One room. Asks the room itself: needs no directory. */
export function oneRoom(server: Server, room: Named): Targets {
  return {
    paths: () => Promise.resolve({ rooms: new Map([[room.name, room.path]]), incomplete: [] }),
    async seen() {
      const { connections, draining } = (await server.ask("readStats", room)).value;
      // A connection after a drain ends it.
      const openSince = draining ? 0 : Infinity;
      return { rooms: new Map(connections === 0 ? [] : [[room.name, { connections, openSince }]]), incomplete: [] };
    },
  };
}

/** Asks every room to drain, and waits until each was seen empty, or its time is over. */
export async function empty(server: Server, targets: Targets, body: Required<DrainBody>): Promise<Emptied> {
  const began = Date.now();
  const asked = new Map<string, DrainedRoom | undefined>();
  const failed: string[] = [];
  const neverWere: string[] = [];
  const ask = async ([name, path]: readonly [string, string]) => {
    const reopensHere = Date.now() + body.within + body.reopenAfter;
    try {
      asked.set(name, { ...(await server.ask("drain", { path }, { body })).value, name, reopensHere });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      asked.set(name, undefined);
      if (error instanceof RequestFailed && error.code === "not_found") neverWere.push(name);
      else failed.push(`${name}: ${error.message}`);
    }
  };
  let incomplete: readonly number[];
  // A client that has to leave one room may open another meanwhile: again until no room is new.
  for (;;) {
    const found = await targets.paths();
    incomplete = found.incomplete;
    const waiting = [...found.rooms].filter(([name]) => !asked.has(name));
    if (waiting.length === 0) break;
    await inEach(waiting, "rooms asked to drain", ask);
  }
  const rooms = [...asked.values()].filter((drained) => drained !== undefined);
  const { left, incomplete: unseen } = await untilEmpty(targets, rooms, body.within + PATIENCE_MS);
  const now = Date.now();
  const stayed = new Set(left.map(({ name }) => name));
  const isOpen = ({ name, reopensHere }: DrainedRoom) => reopensHere <= now && !stayed.has(name);
  const reopened = body.reopenAfter === 0 ? [] : rooms.filter(isOpen).map(({ name }) => name);
  const missing = [...new Set([...incomplete, ...unseen])].toSorted((a, b) => a - b);
  return { all: asked.size, rooms, failed, left, reopened, neverWere, incomplete: missing, took: now - began };
}

/** Rooms that still wait, and parts of the directory that the last look was without, if it mattered. */
interface Waited {
  readonly left: readonly Left[];
  readonly incomplete: readonly number[];
}

/** Waits until every room was seen without connections, or open again since its deadline; `patience` ms at most. */
async function untilEmpty(targets: Targets, rooms: readonly DrainedRoom[], patience: number): Promise<Waited> {
  const deadline = Date.now() + patience;
  const waiting = new Map(rooms.map(({ name, until }) => [name, until]));
  while (waiting.size > 0) {
    const { rooms: seen, incomplete } = await targets.seen();
    // Which rooms a missing part has is not known here: that a room is not on the list says nothing then.
    const absentSince = incomplete.length === 0 ? Infinity : 0;
    for (const [name, until] of waiting) if ((seen.get(name)?.openSince ?? absentSince) > until) waiting.delete(name);
    progress(rooms.length - waiting.size, rooms.length, "rooms empty");
    if (waiting.size > 0 && Date.now() > deadline) {
      return { left: [...waiting.keys()].map((name) => leftOf(name, seen.get(name))), incomplete };
    }
    if (waiting.size > 0) await sleep(LOOK_EVERY_MS);
  }
  return { left: [], incomplete: [] };
}

function leftOf(name: string, seen: Seen | undefined): Left {
  return { name, ...(seen && { connections: seen.connections }) };
}
