/** What happens at the limits of storage and messages, where rooms are large, slow or asked for too much. */
import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import { Client } from "../support/client.ts";
import { TestedRoom } from "../support/room.ts";

it("refs that rows have no place for get rows of their own, and every one is still remembered", async () => {
  const room = new TestedRoom("small");
  // The platform refuses rows over 2 MB, which the local runtime does not; here already far smaller ones.
  await room.stub.publish("there are tables");
  await room.sql(`CREATE TRIGGER rows_are_small BEFORE INSERT ON edgerooms_log
    WHEN length(NEW.items) + length(NEW.refs) > 60000 BEGIN SELECT RAISE(ABORT, 'row too large'); END`);
  const people = [];
  for (let i = 0; i < 24; i++) {
    const { client, welcome } = await Client.join(room.path, { user: `u${i}` });
    const acks = [];
    for (let first = 1; first <= 150; first += 10) {
      client.send(...Array.from({ length: 10 }, (_, n) => ({ type: "publish", ref: first + n, data: n }) as const));
      await client.until(() => client.of("ack").length === first + 9);
    }
    acks.push(...client.of("ack"));
    await client.close();
    await room.dropped(welcome.session);
    people.push({ user: `u${i}`, welcome, acks });
  }
  expect(room.reports).toEqual([]);
  const [{ longest } = {}] = await room.sql("SELECT max(length(refs)) AS longest FROM edgerooms_log");
  expect(Number(longest)).toBeLessThan(40_000);
  await room.abort();
  for (const { user, welcome, acks } of [people[0], people[11], people[23]].flatMap((one) => one ?? [])) {
    const { session, epoch } = welcome;
    const { client, welcome: again } = await Client.join(room.path, { user, session, epoch, offset: 1 });
    expect(again.ref).toBe(150);
    for (const ack of acks.slice(0, 150)) expect(await client.publish(ack.ref, "again")).toEqual(ack);
    client.send({ type: "leave" });
    await client.next("bye");
  }
  const [chunks] = await room.sql("SELECT count(*) AS n, sum(length(refs)) AS length FROM edgerooms_ref_chunks");
  expect(Number(chunks?.["n"])).toBeGreaterThan(0);
  expect(Number(chunks?.["length"]), "no more than twice what counts").toBeLessThan(2 * 24 * 150 * 40);
});

it("a tick of many megabytes reaches everyone who reads, in messages that anyone can take", async () => {
  const room = new TestedRoom("fast");
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const { client: bob } = await Client.join(room.path, { user: "bob" });
  const data = "x".repeat(900_000);
  await runInDurableObject(room.stub, (object) =>
    Promise.all(
      Array.from({ length: 8 }, () => (object as unknown as { publish(d: string): Promise<unknown> }).publish(data)),
    ),
  );
  for (const client of [ann, bob]) {
    await client.until(() => client.items.length === 8);
    expect(client.of("bye")).toEqual([]);
    expect(Math.max(...client.messages.map((text) => text.length))).toBeLessThan(1_100_000);
  }
  const rows = await room.sql("SELECT bytes FROM edgerooms_log");
  expect(Math.max(...rows.map((row) => Number(row["bytes"])))).toBeLessThan(1_950_000);
});

it("a segment too large for one row is split, and its refs are remembered all the same", async () => {
  const room = new TestedRoom("fast");
  const { client, welcome } = await Client.join(room.path);
  const data = "y".repeat(1_000);
  for (let first = 1; first <= 240; first += 60) {
    client.send(...Array.from({ length: 60 }, (_, n) => ({ type: "publish", ref: first + n, data }) as const));
  }
  await client.until(() => client.of("ack").length === 240);
  const acks = client.of("ack").slice(0, 240);
  await room.abort();
  const { session, epoch } = welcome;
  const { client: back } = await Client.join(room.path, { session, epoch, offset: 240 });
  for (const ack of [acks[0], acks[100], acks[239]]) expect(await back.publish(ack?.ref ?? 0, data)).toEqual(ack);
});

it("the log keeps less than was asked for once it holds too many bytes, and says reset to who is behind", async () => {
  const room = new TestedRoom("fast");
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const { client: bob, welcome } = await Client.join(room.path, { user: "bob" });
  await bob.close();
  await room.dropped(welcome.session);
  const data = "z".repeat(60_000);
  for (let ref = 1; ref <= 340; ref++) {
    ann.send({ type: "publish", ref, data });
    if (ref % 20 === 0) await ann.until(() => ann.of("ack").length === ref);
  }
  const [{ kept } = {}] = await room.sql("SELECT sum(bytes) AS kept FROM edgerooms_log");
  expect(Number(kept)).toBeLessThan(18 * 1_048_576);
  expect(Number(kept)).toBeGreaterThan(15 * 1_048_576);
  const { session, epoch } = welcome;
  const { welcome: trimmed } = await Client.join(room.path, { user: "bob", session, epoch, offset: 0 });
  expect(trimmed.reason).toBe("log_trimmed");
  // Still in the log, but more than a client without credit can be sent at once.
  const { welcome: far } = await Client.join(room.path, { user: "bob", session, epoch, offset: 240 });
  expect(far.reason).toBe("too_far");
  const { welcome: credit } = await Client.join(room.path, { user: "bob", session, epoch, offset: 240, credit: true });
  expect(credit.resumed).toBe(true);
});

it("a sync among publishes of the same tick shows nothing twice", async () => {
  const room = new TestedRoom("fast");
  const { client } = await Client.join(room.path);
  await client.publish(1, 1);
  client.send(
    { type: "publish", ref: 2, data: 2 },
    { type: "sync", offset: 1 },
    { type: "publish", ref: 3, data: 3 },
    { type: "publish", ref: 4, data: 4 },
  );
  await client.until(() => client.of("ack").length >= 5 && client.items.length >= 4);
  expect(client.items.map((item) => item.offset)).toEqual([1, 2, 3, 4]);
});

it("a flood that fills many ticks holds the others up no longer than it takes to refuse it", async () => {
  const room = new TestedRoom();
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const { client: flood } = await Client.join(room.path, { user: "flood" });
  const message = `[${Array<string>(256).fill("0").join(",")}]`;
  for (let i = 0; i < 200; i++) flood.socket.send(message);
  const { offset } = await ann.publish(1, "through");
  expect(offset).toBe(1);
  expect(await flood.next("bye")).toMatchObject({ reason: "rate_limited" });
});

it("promise 10: a tick that has composed eight megabytes of replays ends, and the rest has the next", async () => {
  const room = new TestedRoom("fast");
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const { client: bob } = await Client.join(room.path, { user: "bob" });
  const text = "x".repeat(60_000);
  for (let ref = 1; ref <= 30; ref++) await ann.publish(ref, text);
  const before = await room.sql("SELECT count(*) AS n FROM edgerooms_log");
  // Each sync is answered with 1.8 MB. All of it arrives in one message, so without a bound it would be one tick.
  const sync = { type: "sync", offset: 0 } as const;
  bob.send({ type: "publish", ref: 1, data: "first" }, ...Array.from({ length: 9 }, () => sync), {
    type: "publish",
    ref: 2,
    data: "last",
  });
  await bob.until(() => bob.of("ack").length === 2);
  const after = await room.sql("SELECT count(*) AS n FROM edgerooms_log");
  expect(Number(after[0]?.["n"]) - Number(before[0]?.["n"])).toBe(2);
});
