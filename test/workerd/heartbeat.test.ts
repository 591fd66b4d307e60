/** Heartbeats from the alarm: answered by the runtime while the room sleeps, and noticed when they are not. */
import { expect, it } from "vitest";
import { Client } from "../support/client.ts";
import { eventually } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";

it("keeps who answers, also while the room is out of memory between the heartbeats", async () => {
  const room = new TestedRoom("beat");
  const { client } = await Client.join(room.path);
  for (let beat = 1; beat <= 6; beat++) {
    await client.until(() => client.of("heartbeat").length === beat);
    await client.until(() => client.messages.filter((text) => text === "pong").length === beat);
    await room.evict();
  }
  expect(client.closed).toBeUndefined();
  expect(client.of("bye")).toEqual([]);
});

it("drops who leaves three in a row unanswered, tells it, and announces the leave after the grace", async () => {
  const room = new TestedRoom("beat");
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const { client: bob } = await Client.join(room.path, { user: "bob" });
  bob.silent = true;
  expect(await bob.next("bye")).toMatchObject({ code: 4000, reason: "heartbeat_lost" });
  expect(bob.of("heartbeat")).toHaveLength(3);
  await ann.until(() => ann.of("presence").at(-1)?.leave?.[0] === "bob");
  expect(ann.of("bye")).toEqual([]);
});

it("counts what was left unanswered across evictions", async () => {
  const room = new TestedRoom("beat");
  const { client } = await Client.join(room.path);
  client.silent = true;
  for (let beat = 1; beat <= 3; beat++) {
    await client.until(() => client.of("heartbeat").length === beat);
    await room.evict();
  }
  await client.next("bye");
  expect(client.of("heartbeat")).toHaveLength(3);
});

it("forgives two, and any frame is no answer", async () => {
  const room = new TestedRoom("beat");
  const { client } = await Client.join(room.path);
  client.silent = true;
  await client.until(() => client.of("heartbeat").length === 2);
  client.silent = false;
  await client.until(() => client.of("heartbeat").length === 6);
  expect(client.of("bye")).toEqual([]);
  client.silent = true;
  const chatter = client.of("heartbeat").length;
  for (let beat = chatter + 1; beat <= chatter + 3 && client.of("bye").length === 0; beat++) {
    client.send({ type: "signal", data: "I talk, I do not answer" });
    await client.until(() => client.of("heartbeat").length >= beat || client.of("bye").length > 0);
  }
  await client.next("bye");
});

it("asks again soon when somebody in a quiet room has missed a heartbeat", async () => {
  const room = new TestedRoom("beat");
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const { client: bob } = await Client.join(room.path, { user: "bob" });
  await ann.until(() => ann.of("heartbeat").at(-1)?.next === 400);
  bob.silent = true;
  await bob.next("bye");
  // The room was quiet when the first went unanswered; the last two came soon.
  const spans = bob.of("heartbeat").map(({ next }) => next);
  expect(spans).toContain(400);
  expect(spans.slice(-2)).toEqual([100, 100]);
});

it("rings for heartbeats only while someone is connected", async () => {
  const room = new TestedRoom("beat");
  const { client, welcome } = await Client.join(room.path);
  expect(welcome.heartbeat.next).toBeLessThanOrEqual(100);
  client.send({ type: "leave" });
  await client.next("bye");
  expect(await room.alarm()).toBeNull();
});

it("finds the next heartbeat again after an eviction, although the alarm is set for something nearer", async () => {
  const room = new TestedRoom();
  room.stopClock();
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  await room.pass(5_000);
  const { client: bob, welcome } = await Client.join(room.path, { user: "bob" });
  await bob.close();
  await room.dropped(welcome.session);
  await room.evict();
  await room.pass(11_000);
  await ann.until(() => ann.of("presence").some((frame) => frame.leave));
  expect(ann.of("heartbeat")).toEqual([]);
  await room.evict();
  await room.pass(14_000);
  expect((await ann.next("heartbeat")).next).toBe(30_000);
});

it("counts nobody as silent because the alarm that woke the room rang late", async () => {
  const room = new TestedRoom("beat");
  const { client } = await Client.join(room.path);
  for (let beat = 1; beat <= 5; beat++) {
    await client.until(() => client.of("heartbeat").length >= beat);
    await client.until(() => client.messages.filter((text) => text === "pong").length >= beat);
    const due = (await room.alarm()) ?? 0;
    await room.evict();
    // The one thread that every object of this test shares is busy until after the alarm was due.
    await eventually(() => expect(Date.now()).toBeGreaterThan(due - 15));
    while (Date.now() < due + 40);
  }
  await client.until(() => client.of("heartbeat").length >= 6);
  expect(client.of("bye")).toEqual([]);
});
