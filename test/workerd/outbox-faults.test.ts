/** Events out of a room while things go wrong: receivers that fail, refuse and hang, rooms that are evicted and killed. */
import { describe, expect, it } from "vitest";
import { ask, dead, say, stats, stopped, word, words } from "../support/events.ts";
import { eventually } from "../support/patience.ts";
import type { TestedRoom } from "../support/room.ts";

/** Waits until the n-th delivery has failed. */
const failed = async (room: TestedRoom, n: number) => eventually(async () => (await stats(room)).tries === n);

describe("a receiver that is down", () => {
  it("gets one batch at a time, in order: the rest waits for the oldest", async () => {
    const room = stopped();
    room.receiver.mood = "fail";
    await say(room, "one");
    await failed(room, 1);
    await say(room, "two");
    await room.evict();
    await say(room, "three");
    expect(await stats(room)).toMatchObject({ pending: 3, tries: 1, nextTry: room.now + 1_000 });
    expect(room.receiver.tried.length).toBe(1);
    room.receiver.mood = "hang";
    await room.pass(1_000);
    await eventually(() => room.receiver.tried.length === 2);
    await say(room, "four");
    expect(room.receiver.tried.length).toBe(2);
    room.receiver.mood = "take";
    await eventually(() => words(room).length === 4);
    expect(words(room)).toEqual(["one", "two", "three", "four"]);
    const [first, again] = room.receiver.tried;
    // A publish by RPC does not say of which kind the room is. The request over HTTP did.
    expect(again).toEqual({ ...first, kind: "events", tries: 1 });
  });

  it("and that refuses has a dead letter at once; it is sent again with the same ids when an operator says so", async () => {
    const room = stopped();
    room.receiver.mood = "refuse";
    await say(room, "one");
    await eventually(async () => (await stats(room)).dead === 1);
    // One after the other: two of one tick would be one batch.
    for (const text of ["two", "three"]) await say(room, text);
    await eventually(async () => (await stats(room)).dead === 3);
    const ids = room.receiver.tried.map(({ id }) => id);
    expect((await dead(room)).map(({ id, tries, events }) => [id, tries, events])).toEqual(
      ids.toReversed().map((id) => [id, 1, 1]),
    );
    // Nothing of them is tried again: the alarm is for the report of the third, a minute after the first.
    expect(await room.alarm()).toBe(room.now + 60_000);
    room.receiver.mood = "hang";
    await say(room, "waits");
    await say(room, "too");
    expect(await ask(room, "redeliver", {})).toEqual({ pending: 5, redelivered: 3 });
    expect(await dead(room)).toEqual([]);
    // What comes now comes after them, also when it could have joined what waits.
    await say(room, "later");
    room.receiver.mood = "take";
    await eventually(() => words(room).length === 6);
    expect(words(room)).toEqual(["waits", "too", "one", "two", "three", "later"]);
    const refused = room.receiver.tried.slice(0, 3).map((batch) => ({ ...batch, kind: "events" }));
    expect(room.receiver.tried.slice(5, 8)).toEqual(refused);
    expect(await stats(room)).toEqual({ pending: 0, dead: 0, tries: 0 });
  });

  it("fills the storage only so far: past 10,000 batches the oldest are given up, but not the one on its way", async () => {
    const room = stopped();
    room.receiver.mood = "fail";
    await say(room, "first");
    await failed(room, 1);
    await room.sql(
      `INSERT INTO edgerooms_outbox (seq, id, at, tries, due, count, events)
       WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
       SELECT i, 'b' || i, 0, 0, 0, 1, '{"id":"b' || i || '.0","type":"empty","at":0}' FROM n`,
    );
    await room.evict();
    room.receiver.mood = "hang";
    await room.pass(1_000);
    await eventually(() => room.receiver.tried.length === 2);
    await say(room, "one too many");
    expect(await stats(room)).toMatchObject({ pending: 10_000, dead: 1, tries: 1 });
    expect(await dead(room)).toMatchObject([{ id: "b2", tries: 0, error: "overflow" }]);
    expect(room.reports).toContain("events: Error: 1 batches of events given up: overflow");
    room.receiver.mood = "take";
    await eventually(() => words(room).includes("first"));
  });

  it("leaves no more than 1,000 dead letters", async () => {
    const room = stopped();
    room.receiver.mood = "refuse";
    await say(room, "first");
    await eventually(async () => (await stats(room)).dead === 1);
    await room.sql(
      `INSERT INTO edgerooms_dead (seq, id, at, tries, error, count, events)
       WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
       SELECT i, 'd' || i, 0, 1, 'upstream_failed', 1, '{"id":"d' || i || '.0","type":"empty","at":0}' FROM n`,
    );
    await room.evict();
    await say(room, "last");
    await eventually(() => room.receiver.tried.length === 2);
    expect(await stats(room)).toMatchObject({ dead: 1_000 });
    expect(await room.sql("SELECT min(seq) AS oldest, max(seq) AS newest FROM edgerooms_dead")).toEqual([
      { oldest: 2, newest: 1_001 },
    ]);
    expect((await dead(room)).length).toBe(1_000);
  });
});

describe("a room that is killed", () => {
  it("while the outlet hangs hands the same batch over again within a minute, with nobody connected", async () => {
    const room = stopped();
    room.receiver.mood = "hang";
    await say(room, "one");
    await room.abort();
    expect(room.receiver.taken).toEqual([]);
    expect(await room.alarm()).toBe(room.now + 60_000);
    room.receiver.mood = "take";
    await room.pass(60_000);
    await eventually(() => words(room).length === 1);
    expect(room.receiver.tried[1]).toEqual(room.receiver.tried[0]);
    await eventually(async () => (await room.alarm()) === null);
  });

  it("after the outlet took a batch and before it knew sends a duplicate with the same ids", async () => {
    const room = stopped();
    room.receiver.isMute = true;
    await say(room, "one");
    await eventually(() => words(room).length === 1);
    await room.abort();
    room.receiver.isMute = false;
    // What happens next sets it off, and comes after it.
    await say(room, "two");
    await eventually(() => words(room).length === 3);
    expect(words(room)).toEqual(["one", "one", "two"]);
    expect(room.receiver.tried[1]).toEqual(room.receiver.tried[0]);
    expect(room.receiver.deduplicated.map(word)).toEqual(["one", "two"]);
  });

  it("or evicted while batches wait forgets none, and not when the next try is", async () => {
    const room = stopped();
    room.receiver.mood = "fail";
    await say(room, "one");
    await failed(room, 1);
    await room.pass(1_000);
    await failed(room, 2);
    for (const out of [() => room.evict(), () => room.abort()]) {
      await out();
      await say(room, "more");
      expect(await stats(room)).toMatchObject({ tries: 2, nextTry: room.now + 2_000 });
    }
    expect(room.receiver.tried.length).toBe(2);
    room.receiver.mood = "take";
    await room.pass(2_000);
    await eventually(() => words(room).length === 3);
    expect(words(room)).toEqual(["one", "more", "more"]);
    expect(room.receiver.taken[0]?.tries).toBe(2);
  });

  it("in memory only, by a disk that fails, takes no late answer for another batch's", async () => {
    const room = stopped();
    // The first delivery, its repeat, and what comes after them end one after the other; the last one fails.
    let settled = -1;
    room.receiver.mood = (_batch, nth) => (nth > settled ? "hang" : nth === 2 ? "fail" : "take");
    await say(room, "one");
    await room.sql("CREATE TRIGGER full BEFORE INSERT ON edgerooms_log BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    await expect(ask(room, "publish", { data: "undone" })).rejects.toThrow("publish: 503");
    await room.sql("DROP TRIGGER full");
    await say(room, "two");
    await eventually(() => room.receiver.tried.length === 2);
    expect(room.receiver.tried[1]).toEqual(room.receiver.tried[0]);
    settled = 0;
    await eventually(() => room.receiver.tried.length === 3);
    expect(room.receiver.tried[2]?.events.map(word)).toEqual(["two"]);
    settled = 1;
    await eventually(() => room.receiver.taken.length === 2);
    await say(room, "three");
    expect(await stats(room)).toMatchObject({ pending: 2, tries: 0 });
    settled = 2;
    await failed(room, 1);
    room.receiver.mood = "take";
    await room.pass(1_000);
    await eventually(() => words(room).length === 4);
    expect(room.receiver.deduplicated.map(word)).toEqual(["one", "two", "three"]);
  });
});
