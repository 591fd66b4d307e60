/** Promise 10 of docs/design.md: memory per connection is bounded whatever a client does or fails to read. */
import { expect, it } from "vitest";
import { BACKLOG_BYTES } from "../../src/room/rules/backlog.ts";
import { Client, upgrade } from "../support/client.ts";
import { TestedRoom } from "../support/room.ts";

/** Publishes 1 to `count`, 100 to a message. */
function publishMany(client: Client, count: number): void {
  for (let first = 1; first <= count; first += 100) {
    client.send(
      ...Array.from({ length: 100 }, (_, i) => ({ type: "publish", ref: first + i, data: first + i }) as const),
    );
  }
}

it("promise 10: a client that acknowledges is fed within its credit, then catches up", async () => {
  const room = new TestedRoom("fast");
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const { client: slow } = await Client.join(room.path, { user: "slow", credit: true });
  publishMany(ann, 1_500);
  await ann.until(() => ann.items.length === 1_500);
  expect(slow.items.length).toBeGreaterThanOrEqual(1_024);
  expect(slow.items.length).toBeLessThan(1_500);
  const behind = slow.items.length;
  // Neither signals nor presence pile up meanwhile; an eviction changes nothing.
  ann.send({ type: "signal", data: "lost" }, { type: "presence", data: "busy" });
  await ann.next("presence");
  await room.evict();
  await ann.publish(1_501, 1_501);
  expect(slow.items).toHaveLength(behind);
  for (let read = 0; read < 1_501; read = slow.items.length) {
    slow.send({ type: "ack", offset: read });
    await slow.until(() => slow.items.length > read);
  }
  await slow.until(() => slow.of("presence").length > 0);
  expect(slow.items.map((item) => item.offset)).toEqual(Array.from({ length: 1_501 }, (_, i) => i + 1));
  expect(slow.of("signal")).toEqual([]);
  expect(slow.of("presence").at(-1)?.members).toContainEqual({ id: "ann", data: "busy" });
});

it("promise 10: the credit of bytes is the same whether or not the room slept in between", async () => {
  const data = "x".repeat(30_000);
  const fed: number[] = [];
  for (const evicts of [false, true]) {
    const room = new TestedRoom("fast");
    const { client: ann } = await Client.join(room.path, { user: "ann" });
    const { client: slow } = await Client.join(room.path, { user: "slow", credit: true });
    for (let ref = 1; ref <= 60; ref++) {
      await ann.publish(ref, data);
      if (evicts && ref % 10 === 0) await room.evict();
    }
    slow.send({ type: "call", ref: 1, method: "none", data: null });
    await slow.next("reply");
    fed.push(slow.items.length);
  }
  expect(fed[0]).toBe(fed[1]);
  expect(fed[0]).toBeLessThan(40);
});

/** A member without credit, who was therefore not told that cat came. */
async function heldBack() {
  const room = new TestedRoom("fast");
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const { client: slow } = await Client.join(room.path, { user: "slow", credit: true });
  for (let first = 0; first < 1_024; first += 64) {
    ann.send(...Array.from({ length: 64 }, (_, i) => ({ type: "publish", ref: first + i + 1, data: 1 }) as const));
  }
  await slow.until(() => slow.items.length === 1_024);
  await Client.join(room.path, { user: "cat" });
  await ann.until(() => ann.of("presence").at(-1)?.join?.[0]?.id === "cat");
  return { room, slow };
}

it("promise 10: presence that credit held back comes whole, even when nothing else is missing", async () => {
  const { room, slow } = await heldBack();
  expect(slow.of("presence")).toEqual([]);
  slow.send({ type: "ack", offset: 1_024 });
  expect((await slow.next("presence")).members?.map((m) => m.id)).toEqual(["ann", "cat", "slow"]);
  await Client.join(room.path, { user: "dan" });
  expect((await slow.next("presence")).join?.map((m) => m.id)).toEqual(["dan"]);
});

it("promise 8: who gets the whole list is told of no change of the same tick besides", async () => {
  const { slow } = await heldBack();
  slow.send({ type: "presence", data: "before" }, { type: "ack", offset: 1_024 }, { type: "presence", data: "after" });
  await slow.until(() => slow.of("presence").some(({ members }) => members !== undefined));
  expect(slow.of("presence")).toEqual([
    { type: "presence", members: [{ id: "ann" }, { id: "cat" }, { id: "slow", data: "after" }] },
  ]);
});

it("promise 10: who stays away beyond the log while lacking credit is told reset", async () => {
  const room = new TestedRoom("fast");
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const { client: slow } = await Client.join(room.path, { user: "slow", credit: true });
  publishMany(ann, 4_000);
  await ann.until(() => ann.items.length === 4_000);
  slow.send({ type: "ack", offset: slow.items.length });
  await slow.until(() => slow.of("snapshot").length === 2);
  expect(slow.of("snapshot")[1]).toMatchObject({ reason: "log_trimmed", offset: 4_000 });
});

it("promise 10: an ack ahead of what was sent buys nothing", async () => {
  const room = new TestedRoom();
  const { client } = await Client.join(room.path, { credit: true });
  await client.publish(1, "one");
  client.send({ type: "ack", offset: 1_000_000 });
  expect(await client.next("error")).toMatchObject({ code: "bad_frame" });
});

it("promise 10: a socket that is not read is given up, and its session resumes with nothing missed", async () => {
  const room = new TestedRoom("fast");
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const stalled = await upgrade(room.path, { user: "bob" });
  const data = "x".repeat(60_000);
  const rounds = Math.ceil((2 * BACKLOG_BYTES) / data.length);
  const connected = async () => room.sql("SELECT id FROM edgerooms_sessions WHERE user = 'bob' AND dropped_at IS NULL");
  for (let ref = 1; ref <= rounds && (await connected()).length > 0; ref++) await ann.publish(ref, data);
  expect(await connected()).toEqual([]);
  const client = new Client(stalled.webSocket as WebSocket);
  const { session, epoch } = await client.next("welcome");
  const position = () => client.of("pub").at(-1)?.upto ?? 0;
  expect(await client.next("bye")).toMatchObject({ code: 4001, reason: "slow" });
  await client.until(() => client.closed !== undefined, "the close");
  const { client: back, welcome } = await Client.join(room.path, {
    user: "bob",
    session,
    epoch,
    offset: position(),
    credit: true,
  });
  expect(welcome.resumed).toBe(true);
  let acked = position();
  while (acked < welcome.offset) {
    await back.until(() => (back.of("pub").at(-1)?.upto ?? 0) > acked);
    acked = back.of("pub").at(-1)?.upto ?? 0;
    back.send({ type: "ack", offset: acked });
  }
  const offsets = [...client.items, ...back.items].map((item) => item.offset);
  expect(offsets).toEqual(Array.from({ length: welcome.offset }, (_, i) => i + 1));
});
