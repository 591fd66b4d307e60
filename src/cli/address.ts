/** How rooms are named on the command line, and where they are in the HTTP API. */
import { Misuse } from "./command.ts";

/** What rooms are called; the server says the same with `bad_room`. Dots alone would be steps in a path. */
const NAME = /^(?!\.{1,2}$)[A-Za-z0-9._~:@-]{1,128}$/;

/** A room as people name it. */
export interface Named {
  /** As it was typed: `kind/room` or `room`. */
  readonly name: string;
  /** Of everything about it in the API. */
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
  if (words.length > 2 || !NAME.test(room) || kind === "" || /^\.{1,2}$/.test(kind)) {
    throw new Misuse(
      `A room is kind/room or room, of 1 to 128 of A-Z a-z 0-9 . _ ~ : @ -, not ${JSON.stringify(name)}.`,
    );
  }
  return { name, path: pathOf(...words) };
}

/** The path of a room in the API. */
export function pathOf(...words: readonly string[]): string {
  return `/rooms/${words.map(encodeURIComponent).join("/")}`;
}
