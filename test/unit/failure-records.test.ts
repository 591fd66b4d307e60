/** Which failures are kept where there is room for a few. */
import { expect, it } from "vitest";
import { addRecord, type FailureRecord } from "../../src/room/telemetry/failure.ts";

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
