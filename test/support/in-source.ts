/** Numbers that documents name and that only the source has. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { decode } from "../../src/protocol/codec.ts";
import { MAX_MESSAGE_BYTES } from "../../src/protocol/limits.ts";

const read = (path: string) => readFileSync(join(import.meta.dirname, "../..", path), "utf8");

/** A number that only the source has: a constant nobody exports, or a property of one. May be a product, of other constants too. */
export function inSource(path: string, name: string): number {
  const found = new RegExp(`\\b${name}(?: =|:) (\\d[\\w *]*)`).exec(read(path))?.[1];
  if (found === undefined) throw new Error(`${path} has no number called ${name}`);
  return found.split("*").reduce((product, factor) => product * valueOf(factor.trim()), 1);

  function valueOf(factor: string): number {
    return /^\d/.test(factor) ? Number(factor.replaceAll("_", "")) : inSource(path, factor);
  }
}

/** The longest name of a method that the decoder takes, in UTF-16 units. */
export function longestMethod(): number {
  for (let length = 1; length <= 1_000; length++) {
    const [frame] = decode(JSON.stringify({ type: "call", ref: 1, method: "m".repeat(length) }), MAX_MESSAGE_BYTES);
    if (frame?.type === "malformed") return length - 1;
  }
  return Infinity;
}
