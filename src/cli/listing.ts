/** All live rooms, page by page: for every command that goes through them. */
import type { LiveRoom } from "../protocol/api.ts";
import type { Server } from "./http.ts";

/** Every live room that the token is admin of, by kind and name. */
export async function liveRooms(server: Server): Promise<LiveRoom[]> {
  const rooms: LiveRoom[] = [];
  let cursor: string | undefined;
  do {
    const page = await server.rooms(cursor);
    rooms.push(...page.rooms);
    cursor = page.next;
  } while (cursor !== undefined);
  return rooms.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

/** A room's whole name. */
export function nameOf({ kind, room }: Pick<LiveRoom, "kind" | "room">): string {
  return `${kind}/${room}`;
}
