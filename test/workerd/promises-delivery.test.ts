/** Promises 1 to 6 of docs/design.md: order, honesty, durability, at most once, atomicity, indifference to eviction. */
import { expect, it } from "vitest";
import type { Json } from "../../src/protocol/frames.ts";
import { Client } from "../support/client.ts";
import { TestedRoom } from "../support/room.ts";

/** Makes storage refuse every log row that holds a word: a real write error, inside the real transaction. */
async function poison(room: TestedRoom, word: string): Promise<void> {
  await room.sql(`CREATE TRIGGER poison BEFORE INSERT ON edgerooms_log WHEN NEW.items LIKE '%${word}%'
    BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END`);
}

async function stored(room: TestedRoom): Promise<Json[]> {
  const rows = await room.sql("SELECT items FROM edgerooms_log ORDER BY first");
  return rows.flatMap((row) => JSON.parse(`[${row["items"] as string}]`) as Json[]);
}

it("promise 1: offsets are contiguous, and every session sees each once and in order", async () => {
  const room = new TestedRoom();
  const publishers = await Promise.all(["a", "b", "c"].map((user) => Client.join(room.path, { user })));
  const { client: watcher } = await Client.join(room.path, { user: "w" });
  for (let ref = 1; ref <= 30; ref++) {
    for (const { client } of publishers) client.send({ type: "publish", ref, data: ref });
  }
  await Promise.all([watcher, ...publishers.map((p) => p.client)].map((c) => c.until(() => c.items.length >= 90)));
  for (const { client } of [...publishers, { client: watcher }]) {
    expect(client.items.map((item) => item.offset)).toEqual(Array.from({ length: 90 }, (_, i) => i + 1));
    for (const user of ["a", "b", "c"]) {
      const mine = client.items.filter((item) => item.by === user).map((item) => item.data);
      expect(mine).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
    }
  }
});

it("promise 1: a pub says which offsets it covers, so what was addressed to others is no gap", async () => {
  const room = new TestedRoom();
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const { client: bob, welcome } = await Client.join(room.path, { user: "bob" });
  const { client: eve } = await Client.join(room.path, { user: "eve" });
  ann.send(
    { type: "publish", ref: 1, data: "all" },
    { type: "publish", ref: 2, data: "bob only", to: ["bob"] },
    { type: "publish", ref: 3, data: "all again" },
  );
  await Promise.all([ann, bob, eve].map((c) => c.until(() => c.of("pub").at(-1)?.upto === 3)));
  expect(ann.items.map((item) => item.offset)).toEqual([1, 2, 3]);
  expect(bob.items.map((item) => item.offset)).toEqual([1, 2, 3]);
  expect(eve.items.map((item) => item.offset)).toEqual([1, 3]);
  for (const client of [ann, bob, eve]) {
    let next = 1;
    for (const pub of client.of("pub")) {
      expect(pub.from).toBe(next);
      next = pub.upto + 1;
    }
  }
  // The replay leaves out the same, from storage.
  await room.evict();
  eve.send({ type: "sync", offset: 0 });
  await eve.until(() => eve.items.length === 4);
  expect(eve.of("pub").at(-1)).toMatchObject({ from: 1, upto: 3 });
  await bob.close();
  const { client: back } = await Client.join(room.path, {
    user: "bob",
    session: welcome.session,
    epoch: welcome.epoch,
    offset: 1,
  });
  expect((await back.next("pub")).items.map((item) => item.data)).toEqual(["bob only", "all again"]);
});

it("promise 2: resumed means nothing was missed, however far behind within the log", async () => {
  const room = new TestedRoom("small");
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const { client: bob, welcome } = await Client.join(room.path, { user: "bob" });
  const { session, epoch } = welcome;
  await bob.close();
  for (let ref = 1; ref <= 12; ref++) await ann.publish(ref, ref);
  const [{ oldest } = {}] = await room.sql("SELECT min(first) AS oldest FROM edgerooms_log");
  for (let offset = 0; offset <= 12; offset++) {
    const { client, welcome: again } = await Client.join(room.path, { user: "bob", session, epoch, offset });
    const covered = offset + 1 >= Number(oldest);
    expect(again.resumed, `from offset ${offset}`).toBe(covered);
    if (covered) {
      await client.until(() => client.items.length === 12 - offset);
      expect(client.items.map((item) => item.data)).toEqual(
        Array.from({ length: 12 - offset }, (_, i) => offset + i + 1),
      );
    } else {
      expect(again.reason).toBe("log_trimmed");
      expect(await client.next("snapshot")).toMatchObject({ offset: 12, reason: "log_trimmed" });
    }
  }
});

it("promise 2: a position in another epoch is never continued from", async () => {
  const room = new TestedRoom();
  const { client, welcome } = await Client.join(room.path);
  await client.publish(1, "one");
  const { welcome: other } = await Client.join(room.path, { session: welcome.session, epoch: "another", offset: 1 });
  expect(other).toMatchObject({ resumed: false, reason: "epoch_changed", session: welcome.session });
});

it("promise 2: a position ahead of the log, as after a restored storage, is never continued from", async () => {
  const room = new TestedRoom();
  const { client, welcome } = await Client.join(room.path);
  await client.publish(1, "one");
  const { session, epoch } = welcome;
  const { client: ahead, welcome: refused } = await Client.join(room.path, { session, epoch, offset: 2 });
  expect(refused).toMatchObject({ resumed: false, reason: "offset_ahead" });
  await ahead.next("snapshot");
  ahead.send({ type: "sync", offset: 2 });
  expect(await ahead.next("snapshot")).toMatchObject({ reason: "offset_ahead", offset: 1 });
});

it("promise 2: a session without a position gets the snapshot, and so does one that is gone", async () => {
  const room = new TestedRoom();
  const { client, welcome } = await Client.join(room.path);
  await client.publish(1, "one");
  const { session, epoch } = welcome;
  const none = await Client.join(room.path, { session });
  expect(none.welcome).toMatchObject({ resumed: false, reason: "no_position", session });
  none.client.send({ type: "leave" });
  await none.client.next("bye");
  const gone = await Client.join(room.path, { session, epoch, offset: 1 });
  expect(gone.welcome).toMatchObject({ resumed: false, reason: "session_unknown" });
  expect(gone.welcome.session).not.toBe(session);
  expect((await gone.client.next("snapshot")).data).toMatchObject([{ offset: 1, data: "one" }]);
});

it("promise 2: what is published while a resume is under way is neither lost nor doubled", async () => {
  const room = new TestedRoom("fast");
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  let ref = 0;
  let position: { session: string; epoch: string; offset: number } | undefined;
  const seen: number[] = [];
  for (let round = 0; round < 15; round++) {
    for (let i = 0; i < 5; i++) ann.send({ type: "publish", ref: ++ref, data: ref });
    const joining = Client.join(room.path, { user: "bob", ...position });
    for (let i = 0; i < 5; i++) ann.send({ type: "publish", ref: ++ref, data: ref });
    const { client: bob, welcome } = await joining;
    const before = position?.offset ?? welcome.offset;
    await bob.until(() => (bob.of("pub").at(-1)?.upto ?? before) >= before + 1);
    await bob.close();
    seen.push(...bob.items.map((item) => item.offset));
    const { session, epoch } = welcome;
    position = { session, epoch, offset: bob.of("pub").at(-1)?.upto ?? welcome.offset };
    const start = seen[0] ?? 0;
    expect(seen).toEqual(Array.from({ length: seen.length }, (_, i) => start + i));
  }
  expect(seen.length).toBeGreaterThan(50);
});

it("promise 3: whatever anyone has seen survives a kill at that very moment", async () => {
  const room = new TestedRoom();
  for (let round = 0; round < 10; round++) {
    const { client: ann } = await Client.join(room.path, { user: "ann" });
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    for (let ref = 1; ref <= 20; ref++) ann.send({ type: "publish", ref, data: `${round}.${ref}` });
    await Promise.race([bob.next("pub"), ann.next("ack")]);
    await room.abort();
    const offsets = (await stored(room)).map((item) => (item as { offset: number }).offset);
    const head = Math.max(...offsets);
    for (const { offset } of [...bob.items, ...ann.of("ack")]) expect(offset).toBeLessThanOrEqual(head);
    for (const item of bob.items) expect(await stored(room)).toContainEqual(item);
  }
});

it("promise 3: a publication that storage refuses is seen by nobody and acked to nobody", async () => {
  const room = new TestedRoom();
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const { client: bob } = await Client.join(room.path, { user: "bob" });
  await poison(room, "poison");
  ann.send({ type: "publish", ref: 1, data: "poison" });
  expect(await ann.next("error")).toMatchObject({ ref: 1, code: "storage_failed", retryable: true });
  await ann.publish(2, "fine");
  await bob.until(() => bob.items.length > 0);
  expect(bob.items.map((item) => [item.offset, item.data])).toEqual([[1, "fine"]]);
  expect(ann.of("ack").map((ack) => ack.ref)).toEqual([2]);
  expect(room.reports).toEqual([expect.stringContaining("tick")]);
});

it("promise 4: a repeated ref gets the same offset, in band, after a resume, an eviction and a kill", async () => {
  const room = new TestedRoom();
  const { client, welcome } = await Client.join(room.path);
  const { session, epoch } = welcome;
  const first = await client.publish(7, "once");
  expect(await client.publish(7, "once")).toEqual(first);
  await room.evict();
  expect(await client.publish(7, "other data, same ref")).toEqual(first);
  const { client: resumed, welcome: second } = await Client.join(room.path, { session, epoch, offset: 1 });
  expect(second.ref).toBe(7);
  expect(await resumed.publish(7, "once")).toEqual(first);
  await room.abort();
  const { client: third } = await Client.join(room.path, { session, epoch, offset: 1 });
  expect(await third.publish(7, "once")).toEqual(first);
  expect(await stored(room)).toHaveLength(1);
});

it("promise 4: refs outlive their publications in the log", async () => {
  const room = new TestedRoom("small");
  const { client: ann, welcome } = await Client.join(room.path, { user: "ann" });
  const { client: bob } = await Client.join(room.path, { user: "bob" });
  const acks = [];
  for (let ref = 1; ref <= 10; ref++) acks.push(await ann.publish(ref, ref));
  for (let ref = 1; ref <= 40; ref++) await bob.publish(ref, ref);
  await room.abort();
  const { session, epoch } = welcome;
  const { client: back, welcome: again } = await Client.join(room.path, { user: "ann", session, epoch, offset: 10 });
  expect(again).toMatchObject({ resumed: false, reason: "log_trimmed", ref: 10 });
  for (const ack of acks) expect(await back.publish(ack.ref, "again")).toEqual(ack);
  await back.publish(11, "new");
  const items = (await stored(room)) as { offset: number }[];
  expect(items.at(-1)?.offset).toBe(51);
});

it("promise 4: a ref that is neither new nor remembered takes no effect and is told so", async () => {
  const room = new TestedRoom();
  const { client } = await Client.join(room.path);
  await client.publish(5, "five");
  client.send({ type: "publish", ref: 4, data: "late" });
  expect(await client.next("error")).toMatchObject({ ref: 4, code: "stale_ref", retryable: false });
  expect(await stored(room)).toHaveLength(1);
});

it("promise 4: the acks of what took effect come with the resume", async () => {
  const room = new TestedRoom();
  const { client, welcome } = await Client.join(room.path, { user: "ann" });
  for (let ref = 1; ref <= 3; ref++) await client.publish(ref, ref);
  const { session, epoch } = welcome;
  const { client: back } = await Client.join(room.path, { user: "ann", session, epoch, offset: 1 });
  await back.next("pub");
  expect(back.of("ack").map(({ ref, offset }) => [ref, offset])).toEqual([
    [2, 2],
    [3, 3],
  ]);
  expect(back.messages[0]).toContain('"welcome"');
  expect(back.messages[0]).toContain('"pub"');
});

it("promise 5: what a hook makes larger than can be stored undoes what the hook wrote for it", async () => {
  const room = new TestedRoom("chat");
  const { client } = await Client.join(room.path, { user: "ann" });
  client.send({ type: "publish", ref: 1, data: "swell" }, { type: "publish", ref: 2, data: "fine" });
  await client.until(() => client.items.length === 1);
  expect(client.of("error")).toMatchObject([{ ref: 1, code: "rejected" }]);
  const rows = await room.sql("SELECT text FROM notes ORDER BY id");
  expect(rows.map((row) => row["text"])).toEqual(["join ann", "publish ann"]);
});

it("promise 5: a hook that throws undoes its own event alone", async () => {
  const room = new TestedRoom("chat");
  const { client } = await Client.join(room.path, { user: "ann" });
  client.send(
    { type: "publish", ref: 1, data: "first" },
    { type: "publish", ref: 2, data: "throw" },
    { type: "publish", ref: 3, data: "last" },
  );
  await client.until(() => client.items.length === 2);
  expect(client.of("error")).toMatchObject([{ ref: 2, code: "hook_failed" }]);
  expect(client.items.map((item) => item.data)).toEqual(["first", "last"]);
  const rows = await room.sql("SELECT text FROM notes ORDER BY id");
  expect(rows.map((row) => row["text"])).toEqual(["join ann", "publish ann", "publish ann"]);
});

it("promise 5: an event that storage refuses leaves no trace, and those of its tick stand", async () => {
  const room = new TestedRoom("chat");
  const { client } = await Client.join(room.path, { user: "ann" });
  await poison(room, "poison");
  client.send(
    { type: "publish", ref: 1, data: "first" },
    { type: "publish", ref: 2, data: "poison" },
    { type: "presence", data: "here" },
    { type: "publish", ref: 3, data: "last" },
  );
  await client.until(() => client.items.length === 2);
  expect(client.items.map((item) => [item.offset, item.data])).toEqual([
    [1, "first"],
    [2, "last"],
  ]);
  expect(client.of("error")).toMatchObject([{ ref: 2, code: "storage_failed" }]);
  expect(client.of("presence")).toHaveLength(1);
  // The hook's own row for the refused publication went with it.
  const rows = await room.sql("SELECT text FROM notes ORDER BY id");
  expect(rows.map((row) => row["text"])).toEqual(["join ann", "publish ann", "publish ann"]);
  await room.abort();
  expect(await stored(room)).toHaveLength(2);
});

it("promise 6: a kill between any two publications loses nothing that was acked", async () => {
  const room = new TestedRoom();
  let position: { session: string; epoch: string; offset: number } | undefined;
  for (let ref = 1; ref <= 12; ref++) {
    const { client, welcome } = await Client.join(room.path, { user: "ann", ...position });
    expect(welcome.resumed).toBe(ref > 1);
    expect(welcome.ref).toBe(ref - 1);
    const { offset } = await client.publish(ref, ref);
    position = { session: welcome.session, epoch: welcome.epoch, offset };
    await room.abort();
  }
  expect(await stored(room)).toHaveLength(12);
});
