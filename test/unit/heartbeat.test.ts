/** Heartbeats by the alarm, in the room's own time: who is asked when, who is dropped, and what a late alarm may not cost. */
import { expect, it } from "vitest";
import { HostedRoom, type Peer } from "../support/hosted.ts";

const steady = { heartbeat: { every: 1_000, idle: 4_000, misses: 3 }, grace: 500 };

/** Lets the heartbeat after so many ring; the peers that are named answer it. */
async function heartbeat(room: HostedRoom, ...answering: readonly Peer[]): Promise<void> {
  await room.ring();
  for (const peer of answering) peer.ping();
}

it("counts what was left unanswered across evictions, and drops a client that leaves three in a row so", async () => {
  const room = new HostedRoom(steady);
  const ann = await room.join();
  for (let sent = 1; sent <= 3; sent++) {
    await heartbeat(room);
    expect(ann.of("heartbeat")).toHaveLength(sent);
    await room.evict();
  }
  await room.pass(4_000);
  expect(ann.of("bye")).toMatchObject([{ code: 4000, reason: "heartbeat_lost" }]);
  expect(ann.of("heartbeat")).toHaveLength(3);
});

it("forgives two, and any frame is no answer", async () => {
  const room = new HostedRoom(steady);
  const ann = await room.join();
  await heartbeat(room);
  await heartbeat(room);
  for (let i = 0; i < 4; i++) await heartbeat(room, ann);
  expect(ann.of("bye")).toEqual([]);
  for (let i = 0; i < 3; i++) {
    void ann.say({ type: "signal", data: "I talk, I do not answer" });
    await heartbeat(room);
  }
  await room.pass(4_000);
  expect(ann.of("bye")).toMatchObject([{ reason: "heartbeat_lost" }]);
});

it("asks again soon when somebody in a quiet room has missed a heartbeat", async () => {
  const room = new HostedRoom(steady);
  const ann = await room.join({ user: "ann" });
  const bob = await room.join({ user: "bob" });
  while (ann.of("heartbeat").at(-1)?.next !== 4_000) await heartbeat(room, ann, bob);
  await heartbeat(room, ann);
  // The room was quiet when the first went unanswered; the last two come soon.
  for (let i = 0; bob.of("bye").length === 0 && i < 10; i++) await heartbeat(room, ann);
  expect(bob.of("heartbeat").map(({ next }) => next)).toEqual([1_000, 2_000, 4_000, 4_000, 1_000, 1_000]);
  expect(ann.of("bye")).toEqual([]);
});

it("rings for heartbeats only while someone is connected", async () => {
  const room = new HostedRoom({ ...steady, resumeWindow: 1_000 });
  const ann = await room.join();
  expect(ann.welcome.heartbeat.next).toBe(1_000);
  await room.settled(ann.say({ type: "leave" }));
  await ann.end();
  await room.pass(1_000);
  expect(await room.storage.getAlarm()).toBeNull();
});

it("finds the next heartbeat again after an eviction, although the alarm is set for something nearer", async () => {
  const room = new HostedRoom();
  const ann = await room.join({ user: "ann" });
  await room.pass(5_000);
  const bob = await room.join({ user: "bob" });
  await bob.end();
  await room.evict();
  await room.pass(11_000);
  expect(ann.of("presence").flatMap(({ leave = [] }) => leave)).toEqual(["bob"]);
  expect(ann.of("heartbeat")).toEqual([]);
  await room.evict();
  await room.pass(14_000);
  expect(ann.of("heartbeat")).toMatchObject([{ next: 30_000 }]);
});

it("counts nobody as silent because the alarm that woke the room rang late", async () => {
  const room = new HostedRoom({ heartbeat: { every: 1_000, idle: 1_000, misses: 1 } });
  const ann = await room.join();
  for (let sent = 1; sent <= 5; sent++) {
    await heartbeat(room, ann);
    await room.evict();
    // Nothing ran in between: the alarm was due long ago when it rings.
    room.now += 1_400;
    await room.pass(100);
    ann.ping();
    await room.evict();
  }
  expect(ann.of("heartbeat").length).toBeGreaterThanOrEqual(6);
  expect(ann.of("bye")).toEqual([]);
});
