/** Events out of a room: which, in which order, cut how, delivered when, and what all of it costs. */
import { describe, expect, it } from "vitest";
import { Client } from "../support/client.ts";
import { ask, join, say, stats, stopped, words } from "../support/events.ts";
import { eventually } from "../support/patience.ts";

describe("what goes out", () => {
  it("is who comes, what is said, who goes and that nobody is left, in this order", async () => {
    const room = stopped();
    const ann = await join(room, "ann");
    const bob = await join(room, "bob");
    await ann.publish(1, "hello");
    bob.send({ type: "leave" });
    await ann.next("presence");
    ann.send({ type: "leave" });
    await eventually(() => words(room).includes("empty"));
    expect(words(room)).toEqual(["join ann", "join bob", "hello", "leave bob", "leave ann", "empty"]);
    const { events, taken } = room.receiver;
    expect(taken.every((batch) => batch.kind === "events" && batch.room === room.name)).toBe(true);
    expect(new Set(events.map(({ id }) => id)).size).toBe(6);
    expect(events.every(({ at }) => at === taken[0]?.at)).toBe(true);
    expect(events[0]).toMatchObject({ type: "join", member: { id: "ann" } });
    expect(events[2]).toMatchObject({ publication: { offset: 1, by: "ann", data: "hello" } });
  });

  it("keeps the order of cause and effect: publications that kick, joins and leaves that publish", async () => {
    const room = stopped();
    const ann = await join(room, "ann");
    await join(room, "loud");
    await join(room, "loudly");
    await ann.publish(1, "kick loudly");
    // Over HTTP the same: and a kick is no publication, so its leave comes before what its hook says.
    await ask(room, "publish", { data: "kick loud" });
    await join(room, "louder");
    await ask(room, "kick", { user: "louder" });
    await ann.publish(2, "echo");
    await eventually(() => words(room).includes("echoed"));
    expect(words(room)).toEqual(
      "join ann,join loud,loud is here,join loudly,kick loudly,leave loudly,loudly is gone,kick loud,leave loud,loud is gone,join louder,leave louder,louder is gone,echo,echoed".split(
        ",",
      ),
    );
  });

  it("keeps the order of what one tick did, several events of it and several leaves of one", async () => {
    const room = stopped();
    const ann = await join(room, "ann");
    await join(room, "loud1").then((client) => client.close());
    await join(room, "loud2").then((client) => client.close());
    ann.send(
      { type: "publish", ref: 1, data: "kick nobody" },
      { type: "publish", ref: 2, data: "last" },
      { type: "leave" },
    );
    await eventually(() => words(room).includes("leave ann"));
    expect(words(room).slice(3)).toEqual(["kick nobody", "last", "leave ann"]);
    const before = room.receiver.tried.length;
    // Both graces end in one alarm.
    await room.pass(60);
    await eventually(() => words(room).includes("empty"));
    expect(words(room).slice(6).toSorted()).toEqual(
      ["empty", "leave loud1", "leave loud2", "loud1 is gone", "loud2 is gone"].toSorted(),
    );
    const [first, said, second, empty, last] = words(room).slice(6);
    expect([said, empty, last]).toEqual([`${first?.slice(6)} is gone`, "empty", `${second?.slice(6)} is gone`]);
    expect(room.receiver.tried.length).toBe(before + 1);
  });

  it("is what the log says, also of hooks that return one object again and again, or what JSON leaves out", async () => {
    const room = stopped();
    const ann = await join(room, "ann");
    ann.send(...["count", "count", "function"].map((data, i) => ({ type: "publish", ref: i + 1, data }) as const));
    await eventually(() => room.receiver.events.length === 4);
    const { items } = await ask(room, "log");
    expect(room.receiver.events.slice(1).map(({ publication }) => publication)).toEqual(items);
    expect(items).toMatchObject([{ data: { n: 1 } }, { data: { n: 2 } }, { data: null }]);
  });

  it("is only what the definition asks for, and a tick without any of it writes nothing", async () => {
    const room = stopped();
    room.receiver.types = ["leave", "empty"];
    const ann = await join(room, "ann");
    const rows = await room.rowsWritten();
    await ann.publish(1, "not for you");
    expect((await room.rowsWritten()) - rows).toBe(1);
    ann.send({ type: "leave" });
    await eventually(() => words(room).includes("empty"));
    expect(words(room)).toEqual(["leave ann", "empty"]);
  });

  it("is nothing of what was refused, rejected or undone", async () => {
    const room = stopped();
    await (await Client.connect(room.path, { user: "unwanted" })).next("bye");
    const ann = await join(room, "ann");
    ann.send({ type: "publish", ref: 1, data: "throw" });
    await ann.next("error");
    await room.sql("CREATE TRIGGER full BEFORE INSERT ON edgerooms_log BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    ann.send({ type: "publish", ref: 2, data: "lost" });
    await ann.next("error");
    await room.sql("DROP TRIGGER full");
    await ann.publish(3, "kept");
    await eventually(() => words(room).includes("kept"));
    expect(words(room)).toEqual(["join ann", "kept"]);
  });

  it("takes what caused it with it when it cannot be written down", async () => {
    const room = stopped();
    const ann = await join(room, "ann");
    await eventually(() => room.receiver.taken.length === 1);
    await room.sql("CREATE TRIGGER full BEFORE INSERT ON edgerooms_outbox BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    ann.send({ type: "publish", ref: 1, data: "undone" });
    await ann.next("error");
    await room.sql("DROP TRIGGER full");
    expect(await room.sql("SELECT * FROM edgerooms_log")).toEqual([]);
    await ann.publish(2, "kept");
    await eventually(() => words(room).includes("kept"));
    expect(words(room)).toEqual(["join ann", "kept"]);
    expect(ann.items).toMatchObject([{ offset: 1, data: "kept" }]);
  });

  it("carries publications of a megabyte, in rows that the platform takes", async () => {
    const room = stopped();
    room.receiver.mood = "fail";
    // Two bytes each as UTF-8, and one UTF-16 unit.
    const large = "\u00e9".repeat(524_000);
    await say(room, large, "small", large, large);
    const rows = await room.sql("SELECT length(CAST(events AS BLOB)) AS bytes, count FROM edgerooms_outbox");
    expect(rows.every(({ bytes }) => Number(bytes) < 1_900_000)).toBe(true);
    expect(rows.reduce((sum, { count }) => sum + Number(count), 0)).toBe(4);
    room.receiver.mood = "take";
    await room.pass(1_000);
    await eventually(() => room.receiver.events.length === 4);
    expect(words(room).map((data) => data.length)).toEqual([524_000, 5, 524_000, 524_000]);
    expect(new Set(room.receiver.events.map(({ id }) => id)).size).toBe(4);
  });
});

describe("what it costs", () => {
  it("is one row written and one deleted for a tick with events", async () => {
    const room = stopped();
    await join(room, "ann");
    const bob = await join(room, "bob");
    await eventually(() => room.receiver.taken.length === 2);
    for (let ref = 1; ref <= 5; ref++) {
      const before = await room.rowsWritten();
      await bob.publish(ref, ref);
      await eventually(() => room.receiver.taken.length === 2 + ref);
      await eventually(async () => (await room.sql("SELECT seq FROM edgerooms_outbox")).length === 0);
      // One of the three is the log's.
      expect((await room.rowsWritten()) - before).toBe(3);
    }
  });

  it("is an alarm besides where no heartbeat is due within a minute, and four rows for each try in vain", async () => {
    const room = stopped();
    await say(room, "the tables");
    await eventually(async () => (await room.alarm()) === null);
    const before = await room.rowsWritten();
    await say(room, "one");
    await eventually(async () => (await room.alarm()) === null);
    const took = (await room.rowsWritten()) - before;
    room.receiver.mood = "fail";
    await say(room, "two");
    await eventually(async () => (await stats(room)).tries === 1);
    const failing = await room.rowsWritten();
    await room.pass(1_000);
    await eventually(async () => (await stats(room)).tries === 2);
    // The publication, its event, that it was delivered; the alarm, and that it is not needed any more.
    expect(took).toBe(5);
    // The alarm that rang, one in case we are killed, the try, the alarm for the next.
    expect((await room.rowsWritten()) - failing).toBe(4);
  });

  it("is one row for many ticks that wait for a slow receiver: they go out together", async () => {
    const room = stopped();
    room.receiver.mood = "hang";
    for (let i = 0; i < 50; i++) await say(room, String(i));
    expect(await stats(room)).toMatchObject({ pending: 2 });
    room.receiver.mood = "take";
    await eventually(() => room.receiver.events.length === 50);
    expect(words(room)).toEqual(Array.from({ length: 50 }, (_, i) => String(i)));
    expect(new Set(room.receiver.events.map(({ id }) => id)).size).toBe(50);
    expect(room.receiver.tried.length).toBe(2);
  });

  it("is nothing for rooms without events", async () => {
    const room = stopped();
    room.receiver.off = true;
    const ann = await join(room, "ann");
    const before = await room.rowsWritten();
    await ann.publish(1, "one");
    expect((await room.rowsWritten()) - before).toBe(1);
    expect(await room.sql("SELECT seq FROM edgerooms_outbox")).toEqual([]);
    expect(await ask(room, "stats")).not.toHaveProperty("outbox");
  });

  it("is an alarm only while something waits", async () => {
    const room = stopped();
    await say(room, "delivered");
    await eventually(async () => (await room.alarm()) === null);
    room.receiver.mood = "fail";
    await say(room, "waits");
    await eventually(async () => (await room.alarm()) !== null);
    await eventually(async () => (await stats(room)).tries === 1);
    room.receiver.mood = "take";
    await room.pass(1_000);
    await eventually(async () => (await room.alarm()) === null);
    expect(words(room)).toEqual(["delivered", "waits"]);
  });

  it("is no alarm that rings again and again while a delivery is on its way", async () => {
    const room = stopped();
    room.receiver.mood = "hang";
    await say(room, "slow");
    const now = room.now;
    expect(await room.alarm()).toBe(now + 60_000);
    await room.pass(60_000);
    expect(await room.alarm()).toBe(now + 120_000);
    expect(room.receiver.tried.length).toBe(1);
    room.receiver.mood = "take";
    await eventually(async () => (await room.alarm()) === null);
    expect(words(room)).toEqual(["slow"]);
  });

  it("is no alarm for what waits in a room whose definition has no events any more, and it is kept", async () => {
    const room = stopped();
    room.receiver.mood = "fail";
    await say(room, "kept");
    await eventually(async () => (await stats(room)).tries === 1);
    room.receiver.off = true;
    await room.evict();
    await room.pass(3_600_000);
    expect(await room.alarm()).toBe(null);
    expect(await room.sql("SELECT count FROM edgerooms_outbox")).toEqual([{ count: 1 }]);
    Object.assign(room.receiver, { off: false, mood: "take" });
    await room.evict();
    await say(room, "after");
    await eventually(() => room.receiver.events.length === 2);
    expect(words(room)).toEqual(["kept", "after"]);
  });
});
