/** What happens at the limits of storage and messages, where rooms are large, slow or asked for too much. */
import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import { Client } from "../support/client.ts";
import { TestedRoom } from "../support/room.ts";

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
