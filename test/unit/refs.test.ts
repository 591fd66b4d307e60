import { describe, expect, it } from "vitest";
import { RefMemory } from "../../src/room/store/refs.ts";

const always = () => true;

describe("the memory of refs", () => {
  it("finds refs in whatever order rows are read back", () => {
    const memory = new RefMemory();
    memory.load([{ s: [7, 70, 1, 9, 90, 1] }, { s: [1, 10, 1], t: [1, 11, 1] }, { s: [4, 40, 1] }], 1);
    expect(memory.last("s")).toBe(9);
    expect([1, 4, 7, 9].map((ref) => memory.find("s", ref)?.offset)).toEqual([10, 40, 70, 90]);
    expect([2, 8, 10].map((ref) => memory.find("s", ref))).toEqual([undefined, undefined, undefined]);
    expect(memory.find("t", 1)).toEqual({ offset: 11, at: 1 });
    expect(memory.find("nobody", 1)).toBeUndefined();
    expect(memory.after("s", 39).map(({ ref }) => ref)).toEqual([4, 7, 9]);
  });

  it("R2: keeps 256 refs of a session besides those in the log, and no more", () => {
    const memory = new RefMemory();
    for (let ref = 1; ref <= 5_000; ref++) memory.add("s", ref, { offset: ref, at: 1 }, Math.max(1, ref - 99));
    expect(memory.find("s", 5_000 - 256)).toBeUndefined();
    expect(memory.find("s", 5_000 - 255)).toEqual({ offset: 5_000 - 255, at: 1 });
    expect(memory.size).toBe(256);
    const deep = new RefMemory();
    for (let ref = 1; ref <= 1_000; ref++) deep.add("s", ref, { offset: ref, at: 1 }, 1);
    expect(deep.size, "all of them are in the log").toBe(1_000);
  });

  it("R2: remembers the same after waking as before, whatever the rows still hold", () => {
    const row: number[] = [];
    const memory = new RefMemory();
    for (let ref = 1; ref <= 600; ref++) {
      memory.add("s", ref, { offset: ref, at: 1 }, 500);
      row.push(ref, ref, 1);
    }
    const woken = new RefMemory();
    woken.load([{ s: row }], 500);
    const known = (of: RefMemory) => Array.from({ length: 600 }, (_, i) => of.find("s", i + 1) !== undefined);
    expect(known(woken)).toEqual(known(memory));
    expect(woken.size).toBe(memory.size);
  });

  it("hands on, of a row that goes, the refs that count of sessions that live", () => {
    const memory = new RefMemory();
    memory.load([{ s: [1, 10, 1, 2, 20, 1], gone: [1, 11, 1] }], 1);
    for (let ref = 3; ref <= 257; ref++) memory.add("s", ref, { offset: ref * 10, at: 1 }, 21);
    const carried = memory.carry({ s: [1, 10, 1, 2, 20, 1], gone: [1, 11, 1] }, (session) => session === "s", 21);
    expect(carried).toEqual({ s: [2, 20, 1] });
    expect(memory.find("s", 1)).toBeUndefined();
    expect(memory.find("s", 2)?.offset).toBe(20);
    expect(memory.last("gone")).toBe(0);
  });

  it("carries on a session's last ref for ever, however quiet it is", () => {
    const memory = new RefMemory();
    let row: Record<string, number[]> = { s: [5, 50, 1] };
    memory.load([row], 1);
    for (let i = 0; i < 1_000; i++) row = memory.carry(row, always, 1_000);
    expect(row).toEqual({ s: [5, 50, 1] });
    expect(memory.last("s")).toBe(5);
  });
});
