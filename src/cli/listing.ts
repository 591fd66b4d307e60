/** All live rooms, page by page: for every command that goes through them. */
import type { Server } from "./http.ts";

/** A live room as it last told. */
export interface Live {
  readonly kind: string;
  readonly room: string;
  readonly connections: number;
  readonly members: number;
  readonly sessions?: number;
  readonly offset: number;
  /** When it last told, in ms since the epoch. */
  readonly at: number;
}

/** Every live room that the token is admin of, by kind and name. */
export async function liveRooms(server: Server): Promise<Live[]> {
  const rooms: Live[] = [];
  for (let path: string | undefined = "/rooms"; path !== undefined;) {
    const { value }: { value: { rooms: Live[]; next?: string } } = await server.ask(path, ["rooms"]);
    rooms.push(...value.rooms);
    path = value.next === undefined ? undefined : `/rooms?cursor=${encodeURIComponent(value.next)}`;
  }
  return rooms.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

/** A room's whole name. */
export function nameOf({ kind, room }: Pick<Live, "kind" | "room">): string {
  return `${kind}/${room}`;
}
