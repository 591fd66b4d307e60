/**
 * All rooms of a list, or all members of a room, page by page: for every command that goes through them. Says what is missing
 * from an answer.
 */
import { MAX_LIST_PAGE, type LiveRoom } from "../protocol/api.ts";
import type { Member } from "../protocol/frames.ts";
import type { Named } from "./address.ts";
import { Failure } from "./command.ts";
import type { Server } from "./http.ts";
import { notice } from "./output.ts";
import { count } from "./text.ts";

/** Pages of a list that are read, at most: a server that answers with the same page for ever is not waited for. */
const MAX_PAGES = 10_000;

/** Rooms, and the parts of the directory that did not answer: their rooms are not among them. */
export interface RoomsFound {
  readonly rooms: readonly LiveRoom[];
  readonly incomplete: readonly number[];
}

/**
 * Every live room that the token is admin of, by kind and name.
 *
 * @param dead rooms with undelivered events instead
 * @throws RequestFailed; Failure when the list does not end, or is none
 */
export async function findRooms(server: Server, dead = false): Promise<RoomsFound> {
  const rooms: LiveRoom[] = [];
  const incomplete: number[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages === 0 || cursor !== undefined; pages++) {
    const page = await server.rooms({ cursor, dead });
    // Another version, or something else that answers at this address.
    if (!Array.isArray(page.rooms) || !page.rooms.every(isRoom)) throw new Failure("The list of rooms cannot be read.");
    const isStuck = page.next !== undefined && page.next === cursor;
    if (isStuck || pages === MAX_PAGES) throw new Failure("The list of rooms does not come to an end.");
    for (const room of page.rooms) rooms.push(room);
    incomplete.push(...(page.incomplete ?? []));
    cursor = page.next;
  }
  return { rooms: rooms.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1)), incomplete };
}

/**
 * Everyone who is in a room, by id in order of code points. A room of an older version answers with all of them at once.
 *
 * @throws RequestFailed; Failure when the list does not end, or is none
 */
export async function findMembers(server: Server, room: Pick<Named, "path">): Promise<Member[]> {
  const members: Member[] = [];
  let after: string | undefined;
  for (let pages = 0; pages === 0 || after !== undefined; pages++) {
    const query = new URLSearchParams({ limit: String(MAX_LIST_PAGE), ...(after !== undefined && { after }) });
    const { value: page } = await server.ask("listMembers", room, { query: query.toString() });
    if (!Array.isArray(page.members)) throw new Failure("The list of members cannot be read.");
    const isSame = page.next !== undefined && page.next === after;
    if (isSame || pages === MAX_PAGES) throw new Failure("The list of members does not come to an end.");
    for (const member of page.members) members.push(member);
    after = page.next;
  }
  return members;
}

function isRoom(value: unknown): value is LiveRoom {
  const { kind, room } = (value ?? {}) as Partial<LiveRoom>;
  return typeof kind === "string" && typeof room === "string";
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
