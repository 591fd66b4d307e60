/**
 * How rooms are emptied: which ones, all at the same time, until each was seen empty. Knows the API's drain, and nothing of
 * the command line or of what is printed in the end.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { MAX_DRAIN_MS, type DrainBody, type Drained } from "../protocol/api.ts";
import { pathOf, type Named } from "./address.ts";
import { Failure } from "./command.ts";
import type { Server } from "./http.ts";
import { AT_ONCE, inEach } from "./everywhere.ts";
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
/** Rooms are not asked faster than this, in ms for each: a Worker takes 100 requests a second of a user. */
const ROOM_MS = 10;
/** Requests that a list of rooms takes, at least: one for each part of the directory, one after the other. */
const LIST_REQUESTS = 16;
/** Lists that are read after the last room was asked: to find new rooms, and to see that all are empty. */
const LOOKS = 2;
/** How much longer than expected it may take to ask the rest. */
const SPARE = 1.5;

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
  const { asked, failed, neverWere, incomplete } = await askAll(server, targets, body);
  const rooms = [...asked.values()].filter((drained) => drained !== undefined);
  const { left, incomplete: unseen } = await untilEmpty(targets, rooms, body.within + PATIENCE_MS);
  const now = Date.now();
  const stayed = new Set(left.map(({ name }) => name));
  const isOpen = ({ name, reopensHere }: DrainedRoom) => reopensHere <= now && !stayed.has(name);
  const reopened = body.reopenAfter === 0 ? [] : rooms.filter(isOpen).map(({ name }) => name);
  const missing = [...new Set([...incomplete, ...unseen])].toSorted((a, b) => a - b);
  return { all: asked.size, rooms, failed, left, reopened, neverWere, incomplete: missing, took: now - began };
}

/** The rooms that were asked, by name; `undefined` for one that could not be. */
interface Asked extends Pick<Emptied, "failed" | "neverWere" | "incomplete"> {
  readonly asked: ReadonlyMap<string, DrainedRoom | undefined>;
}

/**
 * Asks rooms until no room is new: a client that has to leave one may open another meanwhile. The first rooms are to stay
 * closed for as much longer as it will take to ask the others, so that all of them are closed when the last is empty.
 */
async function askAll(server: Server, targets: Targets, body: Required<DrainBody>): Promise<Asked> {
  const asked = new Map<string, DrainedRoom | undefined>();
  const failed: string[] = [];
  const neverWere: string[] = [];
  for (;;) {
    const pace = new Pace(Date.now());
    const { rooms: found, incomplete } = await targets.paths();
    const waiting = [...found].filter(([name]) => !asked.has(name));
    if (waiting.length === 0) return { asked, failed, neverWere, incomplete };
    pace.listed(waiting.length, Date.now());
    await inEach(waiting, "rooms asked to drain", async ([name, path]) => {
      const now = Date.now();
      const reopenAfter = body.reopenAfter === 0 ? 0 : Math.min(MAX_DRAIN_MS, body.reopenAfter + pace.left(now));
      const reopensHere = now + body.within + reopenAfter;
      try {
        const { value } = await server.ask("drain", { path }, { body: { ...body, reopenAfter } });
        asked.set(name, { ...value, name, reopensHere });
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        asked.set(name, undefined);
        if (error instanceof RequestFailed && error.code === "not_found") neverWere.push(name);
        else failed.push(`${name}: ${error.message}`);
      }
      pace.done++;
    });
  }
}

/** How long it will take until all rooms were asked and seen: as it took before, and at first as the list took. */
class Pace {
  done = 0;
  #began: number;
  #rooms = 0;
  #roomMs = ROOM_MS;
  #listMs = 0;

  constructor(began: number) {
    this.#began = began;
  }

  /** A list of so many rooms was read. */
  listed(rooms: number, now: number): void {
    this.#rooms = rooms;
    this.#listMs = now - this.#began;
    // Rooms are asked many at once.
    this.#roomMs = Math.max(ROOM_MS, this.#listMs / LIST_REQUESTS / AT_ONCE);
    this.#began = now;
  }

  /** In ms, and generously. */
  left(now: number): number {
    // Those on their way are half done, on average.
    const measured = (now - this.#began) / (this.done + AT_ONCE / 2);
    const roomMs = this.done < AT_ONCE ? this.#roomMs : Math.max(ROOM_MS, measured);
    const rooms = Math.max(0, this.#rooms - this.done - 1);
    return Math.ceil(SPARE * (roomMs * rooms + LOOKS * this.#listMs));
  }
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
