/** What takes its time: an outlet that hangs is waited for as long as an outlet may take. */
import { describe, expect, it } from "vitest";
import { say, stats, stopped, word, words } from "../support/events.ts";
import { eventually, patience } from "../support/patience.ts";

describe("a receiver that hangs", () => {
  it("is given up after 30 s and asked again", { timeout: patience(40_000) }, async () => {
    const room = stopped();
    room.receiver.mood = "hang";
    const began = Date.now();
    await say(room, "patience");
    await eventually(async () => expect(await stats(room)).toMatchObject({ tries: 1 }), {
      aloneMs: 31_000,
      everyMs: 100,
    });
    expect(Date.now() - began).toBeGreaterThan(29_000);
    expect(room.reports).toEqual(["events: TimeoutError: the outlet did not answer in 30000 ms"]);
    await room.pass(1_000);
    await eventually(() => room.receiver.tried.length === 2);
    room.receiver.mood = (_batch, nth) => (nth === 1 ? "take" : "hang");
    await eventually(() => words(room).length === 1);
    await eventually(async () => (await stats(room)).pending === 0);
    // The first one wakes up at last: that is a duplicate, and nobody's turn.
    room.receiver.mood = (_batch, nth) => (nth === 2 ? "hang" : "take");
    await say(room, "next");
    await eventually(() => words(room).length === 2);
    expect(await stats(room)).toMatchObject({ pending: 1 });
    room.receiver.mood = "take";
    await eventually(() => words(room).length === 3);
    expect(words(room)).toEqual(["patience", "patience", "next"]);
    expect(room.receiver.deduplicated.map(word)).toEqual(["patience", "next"]);
  });
});
