/** What takes its time: an outlet that hangs is waited for as long as an outlet may take. */
import { describe, expect, it, vi } from "vitest";
import { say, stats, stopped, until, word, words } from "../support/events.ts";

describe("a receiver that hangs", () => {
  it("is given up after 30 s and asked again", { timeout: 60_000 }, async () => {
    const room = stopped();
    room.receiver.mood = "hang";
    const began = Date.now();
    await say(room, "patience");
    await vi.waitFor(async () => expect(await stats(room)).toMatchObject({ tries: 1 }), {
      timeout: 40_000,
      interval: 100,
    });
    expect(Date.now() - began).toBeGreaterThan(29_000);
    expect(room.reports).toEqual(["events: TimeoutError: the outlet did not answer"]);
    await room.pass(1_000);
    await until(() => room.receiver.tried.length === 2);
    room.receiver.mood = (_batch, nth) => (nth === 1 ? "take" : "hang");
    await until(() => words(room).length === 1);
    await until(async () => (await stats(room)).pending === 0);
    // The first one wakes up at last: that is a duplicate, and nobody's turn.
    room.receiver.mood = (_batch, nth) => (nth === 2 ? "hang" : "take");
    await say(room, "next");
    await until(() => words(room).length === 2);
    expect(await stats(room)).toMatchObject({ pending: 1 });
    room.receiver.mood = "take";
    await until(() => words(room).length === 3);
    expect(words(room)).toEqual(["patience", "patience", "next"]);
    expect(room.receiver.deduplicated.map(word)).toEqual(["patience", "next"]);
  });
});
