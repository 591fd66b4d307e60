/**
 * How rooms are emptied: which ones, all at the same time, until each was seen empty. Knows the API's drain, and nothing of
 * the command line or of what is printed in the end.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { DrainBody, Drained } from "../protocol/api.ts";
import { pathOf, type Named } from "./address.ts";
import { Failure } from "./command.ts";
import type { Server } from "./http.ts";
import { liveRooms, nameOf } from "./listing.ts";
import { progress } from "./output.ts";

/** A room that has been asked to drain. */
export type DrainedRoom = Drained & { readonly name: string };

/** A room that still has connections. */
export interface Left {
  readonly name: string;
  readonly connections: number;
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
}

/** A room while it empties: its connections, and since when it has taken new ones, if it has. */
interface Seen {
  readonly connections: number;
  readonly openSince: number;
}

/** The rooms to empty. */
export interface Targets {
  /** Rooms that have connections: their paths by name. */
  paths(): Promise<ReadonlyMap<string, string>>;
  /** Rooms that have connections, by name. */
  seen(): Promise<ReadonlyMap<string, Seen>>;
}

/** Rooms that are asked at the same time. */
const AT_ONCE = 16;
/** How long after the deadline a room may stay on the list, in ms: its alarm can be late. */
const PATIENCE_MS = 15_000;
const LOOK_EVERY_MS = 500;

/** Every live room. */
export function everyRoom(server: Server): Targets {
  return {
    paths: async () =>
      new Map((await liveRooms(server)).map((room) => [nameOf(room), pathOf(room.kind, room.room)] as const)),
    seen: async () =>
      new Map(
        (await liveRooms(server)).map((room) => [nameOf(room), { connections: room.connections, openSince: room.at }]),
      ),
  };
}

/** One room. Asks the room itself: needs no directory. */
export function oneRoom(server: Server, room: Named): Targets {
  return {
    paths: async () => new Map([[room.name, room.path]]),
    seen: async () => {
      const { connections, draining } = (await server.ask("readStats", room)).value;
      // A connection after a drain ends it.
      const openSince = draining ? 0 : Infinity;
      return new Map(connections === 0 ? [] : [[room.name, { connections, openSince }]]);
    },
  };
}

/** Asks every room to drain, and waits until each was seen empty, or its time is over. */
export async function empty(server: Server, targets: Targets, body: Required<DrainBody>): Promise<Emptied> {
  const asked = new Map<string, Drained | undefined>();
  const failed: string[] = [];
  const ask = async (name: string, path: string) => {
    try {
      asked.set(name, (await server.ask("drain", { path }, { body })).value);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      failed.push(`${name}: ${error.message}`);
      asked.set(name, undefined);
    }
  };
  // A client that has to leave one room may open another meanwhile: again until no room is new.
  while ((await askAll(targets, asked, ask)) > 0);
  const rooms = [...asked].flatMap(([name, drained]) => (drained ? [{ name, ...drained }] : []));
  const left = await untilEmpty(targets, rooms, body.within + PATIENCE_MS);
  return { all: asked.size, rooms, failed, left };
}

/** Asks every room that was not asked yet; returns how many those were. */
async function askAll(
  targets: Targets,
  asked: ReadonlyMap<string, unknown>,
  ask: (name: string, path: string) => Promise<void>,
): Promise<number> {
  const waiting = [...(await targets.paths())].filter(([name]) => !asked.has(name));
  const all = waiting.length;
  const worker = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      await ask(...next);
      progress(all - waiting.length, all, "rooms asked to drain");
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return all;
}

/** Waits until every room was seen without connections, or open again since its deadline; `patience` ms at most. */
async function untilEmpty(targets: Targets, rooms: readonly DrainedRoom[], patience: number): Promise<Left[]> {
  const deadline = Date.now() + patience;
  const waiting = new Map(rooms.map(({ name, until }) => [name, until]));
  while (rooms.length > 0) {
    const seen = await targets.seen();
    for (const [name, until] of waiting) if ((seen.get(name)?.openSince ?? Infinity) > until) waiting.delete(name);
    progress(rooms.length - waiting.size, rooms.length, "rooms empty");
    if (waiting.size === 0) break;
    if (Date.now() > deadline) {
      return [...waiting.keys()].map((name) => ({ name, connections: seen.get(name)?.connections ?? 0 }));
    }
    await sleep(LOOK_EVERY_MS);
  }
  return [];
}
