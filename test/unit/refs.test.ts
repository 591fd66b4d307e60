import { expect, it } from "vitest";
import { RefMemory } from "../../src/room/store/refs.ts";

const always = () => true;

it("finds refs in whatever order rows are read back", () => {
  const memory = new RefMemory();
  memory.add({ s: [7, 70, 1, 9, 90, 1] });
  memory.add({ s: [1, 10, 1], t: [1, 11, 1] });
  memory.add({ s: [4, 40, 1] });
  expect(memory.last("s")).toBe(9);
  expect([1, 4, 7, 9].map((ref) => memory.find("s", ref)?.offset)).toEqual([10, 40, 70, 90]);
  expect([2, 8, 10].map((ref) => memory.find("s", ref))).toEqual([undefined, undefined, undefined]);
  expect(memory.find("t", 1)).toEqual({ offset: 11, at: 1 });
  expect(memory.find("nobody", 1)).toBeUndefined();
  expect(memory.after("s", 39).map(({ ref }) => ref)).toEqual([4, 7, 9]);
});

it("an overwritten row hands on the newest refs of sessions that live, and forgets the rest", () => {
  const memory = new RefMemory();
  const old = { s: [1, 10, 1, 2, 20, 1], gone: [1, 11, 1] };
  memory.add(old);
  memory.add({ s: [3, 30, 1] });
  expect(memory.carry(old, (session) => session === "s", 2)).toEqual({ s: [2, 20, 1] });
  expect(memory.find("s", 1)).toBeUndefined();
  expect(memory.find("s", 2)?.offset).toBe(20);
  expect(memory.last("s")).toBe(3);
  expect(memory.last("gone")).toBe(0);
});

it("a session's last ref is carried on for ever, however quiet it is", () => {
  const memory = new RefMemory();
  let row: Record<string, number[]> = { s: [5, 50, 1] };
  memory.add(row);
  for (let i = 0; i < 1_000; i++) row = memory.carry(row, always, 256);
  expect(row).toEqual({ s: [5, 50, 1] });
  expect(memory.last("s")).toBe(5);
});
