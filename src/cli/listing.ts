/** All rooms of a list, page by page: for every command that goes through them. Says what is missing from an answer. */
import type { LiveRoom } from "../protocol/api.ts";
import type { Server } from "./http.ts";
import { notice } from "./output.ts";
import { count } from "./text.ts";

/** Rooms, and the parts of the directory that did not answer: their rooms are not among them. */
export interface RoomsFound {
  readonly rooms: readonly LiveRoom[];
  readonly incomplete: readonly number[];
}

/**
 * Every live room that the token is admin of, by kind and name.
 *
 * @param dead rooms with undelivered events instead
 */
export async function findRooms(server: Server, dead = false): Promise<RoomsFound> {
  const rooms: LiveRoom[] = [];
  const incomplete: number[] = [];
  let cursor: string | undefined;
  do {
    const page = await server.rooms({ cursor, dead });
    rooms.push(...page.rooms);
    incomplete.push(...(page.incomplete ?? []));
    cursor = page.next;
  } while (cursor !== undefined);
  return { rooms: rooms.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1)), incomplete };
}

/** Says that an answer is not complete: then the command has not done all that was asked, and ends with 1. */
export function sayIncomplete(incomplete: readonly number[] | undefined): void {
  if (incomplete === undefined || incomplete.length === 0) return;
  const parts = `${count(incomplete.length, "part")} of the directory (${incomplete.join(", ")})`;
  notice(`Incomplete: ${parts} did not answer in time. Try again.`);
  process.exitCode = 1;
}

/** A room's whole name. */
export function nameOf({ kind, room }: Pick<LiveRoom, "kind" | "room">): string {
  return `${kind}/${room}`;
}
