/** Finds out before sending what JSON cannot carry, and what the room would refuse. */
import { exceeds, isMethod, isRecipients } from "../../protocol/codec.ts";
import type { ClientFrame } from "../../protocol/frames.ts";
import { MAX_DEPTH } from "../../protocol/limits.ts";
import { isTraceparent } from "../../protocol/trace.ts";
import { RoomError } from "../error.ts";

/** The deepest nesting: a frame may travel in an array, which is one level more. */
const MOST_DEEP = MAX_DEPTH - 1;

/** What the parts of a frame that are no data must be. */
const RULES: Readonly<Record<string, (value: unknown) => boolean>> = {
  to: isRecipients,
  traceparent: isTraceparent,
  method: isMethod,
};

/**
 * A frame with a program's data as text. Properties that are undefined are left out, as JSON does.
 *
 * @param limit the largest message, in bytes, as far as it is known
 * @throws RoomError `bad_data` for what would arrive as something else (NaN, bytes, a Map, an instance of a class), and for
 *   nesting, recipients, a trace context or a method that no room takes; `too_large`
 */
export function encodeFrame(
  frame: { readonly type: ClientFrame["type"]; readonly data: unknown; readonly [key: string]: unknown },
  limit = Infinity,
): string {
  let text: string;
  /** Of what is being visited, and of what has been: one that comes twice is counted anew before what is in it. */
  const depths = new Map<object, number>();
  try {
    text = JSON.stringify(frame, function (this: Record<string, unknown>, key, value: unknown) {
      // As it is before `toJSON`: that of a Buffer gives an object, that of an invalid Date null.
      const raw = this[key];
      if (typeof value === "object" && value !== null) {
        const depth = (depths.get(this) ?? 0) + 1;
        if (depth > MOST_DEEP) throw new TypeError(`nesting is at most ${MOST_DEEP} deep`);
        depths.set(value, depth);
      }
      if (this === frame && value !== undefined && RULES[key]?.(value) === false) {
        throw new TypeError(`"${key}" is invalid`);
      }
      const isKept =
        value === undefined
          ? !Array.isArray(this) && (this !== frame || key !== "data")
          : isCarried(value) && !ArrayBuffer.isView(raw) && (value !== null || raw === null);
      if (isKept) return value;
      throw new TypeError(`"${key}" is ${typeof value === "number" ? value : Object.prototype.toString.call(raw)}`);
    });
  } catch (error) {
    throw new RoomError("bad_data", `This cannot be sent: ${(error as Error).message}`, false);
  }
  const error = tooLarge(text, limit);
  if (error) throw error;
  return text;
}

/** Whether JSON has this kind of value. Objects of other windows and processes are plain, too. */
function isCarried(value: unknown): boolean {
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object") return typeof value === "string" || typeof value === "boolean";
  if (value === null || Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Why this frame must not be sent, if it is larger than the largest message, which has `limit` bytes. */
export function tooLarge(frame: string, limit: number): RoomError | undefined {
  return exceeds(frame, limit) ? new RoomError("too_large", `A frame is at most ${limit} bytes.`, false) : undefined;
}
