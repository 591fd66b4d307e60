/** Finds out before sending what the room would refuse, together with everything else in the same message. */
import { exceeds } from "../../protocol/codec.ts";
import { MAX_DEPTH } from "../../protocol/limits.ts";
import { RoomError } from "../error.ts";

/** Strings of a JSON text: brackets in them are not nesting. */
const STRINGS = /"(?:[^"\\]+|\\.)*"/g;

/** Why this frame must not be sent, or `undefined`. `limit` is the largest message, in bytes. */
export function validate(frame: string, limit: number): RoomError | undefined {
  if (exceeds(frame, limit)) return new RoomError("too_large", `A message is at most ${limit} bytes.`, false);
  let depth = 0;
  for (const char of frame.replace(STRINGS, "")) {
    if (char === "{" || char === "[") depth++;
    else if (char === "}" || char === "]") depth--;
    // It may travel in an array, which is one level more.
    if (depth >= MAX_DEPTH) return new RoomError("bad_frame", `Nesting is at most ${MAX_DEPTH} deep.`, false);
  }
  return undefined;
}
