/** How rooms are named on the command line, and where they are in the HTTP API. */
import { ROOM_NAME, ROOMS_PATH } from "../protocol/api.ts";
import { Misuse } from "./command.ts";

/** In a path these would be steps. */
const DOTS = /^\.{1,2}$/;

/** A room as people name it. */
export interface Named {
  /** As it was typed: `kind/room` or `room`. */
  readonly name: string;
  /** In the API: every operation on the room is below it. */
  readonly path: string;
}

/**
 * Reads `kind/room`, or `room` where the server has one kind.
 *
 * @throws Misuse
 */
export function roomIn(name: string): Named {
  const words = name.split("/");
  const [room = "", kind = "room"] = words.toReversed();
  if (words.length > 2 || !ROOM_NAME.test(room) || kind === "" || DOTS.test(room) || DOTS.test(kind)) {
    throw new Misuse(
      `A room is kind/room or room, of 1 to 128 of A-Z a-z 0-9 . _ ~ : @ -, not ${JSON.stringify(name)}.`,
    );
  }
  return { name, path: pathOf(...words) };
}

/** The path of a room in the API. */
export function pathOf(...words: readonly string[]): string {
  return `${ROOMS_PATH}/${words.map(encodeURIComponent).join("/")}`;
}
