/**
 * The cursor of `GET /rooms`: where a list goes on, as one opaque text. Holds the number of a part of the directory and a
 * mark that this part made up for the last row that was looked at. Never holds the name of a room: the caller may not be
 * allowed to know it. Knows of the directory only what a position is.
 */
import { MARK, type Position } from "../../ops/shards.ts";

const VERSION = "1";

/**
 * Writes a cursor.
 *
 * @throws TypeError when the mark is more than letters, digits, `_` and `-`: a name must not get in by mistake
 */
export function writeCursor({ shard, after }: Position): string {
  if (after !== undefined && !MARK.test(after)) throw new TypeError("the mark of a row has 1 to 64 of A-Z a-z 0-9 _ -");
  const text = [VERSION, shard, ...(after === undefined ? [] : [after])].join(".");
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/**
 * Reads a cursor that a client sent back.
 *
 * @param shards how many parts the directory has
 * @returns `undefined` when this app did not write it
 */
export function readCursor(cursor: string, shards: number): Position | undefined {
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(cursor)) return undefined;
  let text: string;
  try {
    text = atob(cursor.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return undefined;
  }
  const [version, digits = "", after, ...rest] = text.split(".");
  if (version !== VERSION || rest.length > 0 || !/^\d{1,4}$/.test(digits) || Number(digits) >= shards) return undefined;
  if (after === undefined) return { shard: Number(digits) };
  return MARK.test(after) ? { shard: Number(digits), after } : undefined;
}
