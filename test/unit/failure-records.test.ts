/** Which failures are kept where there is room for a few, and what of a thrown text reaches a log. */
import { expect, it } from "vitest";
import { addRecord, messageOf, type FailureRecord } from "../../src/room/telemetry/failure.ts";

it("of a few failures the grave ones are kept, then the newest of each code and room", () => {
  const record = (code: FailureRecord["code"], room: string, at: number): FailureRecord => ({
    at,
    code,
    source: "test",
    kind: "k",
    room,
  });
  let few: readonly FailureRecord[] = [record("hook_failed", "a", 1)];
  for (let at = 2; at < 30; at++) few = addRecord(few, record("bad_frame", `r${at % 7}`, at), 5);
  expect(few.map(({ code, at }) => [code, at])).toEqual([
    ["hook_failed", 1],
    ["bad_frame", 26],
    ["bad_frame", 27],
    ["bad_frame", 28],
    ["bad_frame", 29],
  ]);
  for (let at = 30; at < 35; at++) few = addRecord(few, record("internal", "a", at), 5);
  expect(few.map(({ at }) => at)).toEqual([30, 31, 32, 33, 34]);
  few = addRecord(few, record("bad_frame", "a", 35), 5);
  expect(few.map(({ at }) => at)).toEqual([30, 31, 32, 33, 34]);
});

it("E11: nothing in a text that was thrown acts on the log or hides in it", () => {
  const hostile = [
    "\n",
    "\r",
    "\u0000",
    "\u001b",
    "\u0085",
    "\u2028",
    "\u202e",
    "\u2066",
    "\u200f",
    "\u061c",
    "\ufeff",
    "\u{e0041}",
  ];
  for (const character of hostile) {
    expect(messageOf(new Error(`a${character}b`)), JSON.stringify(character)).toBe("Error: a\ufffdb");
  }
  expect(messageOf("joins \u{1f468}\u200d\u{1f469}")).toBe("joins \u{1f468}\u200d\u{1f469}");
  const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.signature-of-it";
  expect(messageOf(new Error(`bad ${token}, ${token.slice(0, 12)}`))).toBe("Error: bad [token], [token]");
  expect(messageOf("x".repeat(1e6)).length).toBeLessThanOrEqual(300);
});
