/** Which peers get signals, and what always fits: a peer that caught up is like any other, and taking back needs no room. */
import { describe, expect, it } from "vitest";
import { HostedRoom, type Peer } from "../support/hosted.ts";

const free = { rate: { perSecond: 1_000_000, burst: 1_000_000 } };

async function signals(room: HostedRoom, from: Peer, count: number, data: string): Promise<void> {
  for (let i = 0; i < count; i++) {
    void from.say({ type: "signal", data });
    await room.pass(60);
  }
}

const heard = (peer: Peer, data: string) => peer.of("signal").filter((signal) => signal.data === data).length;

describe.each([true, false])("where sockets tell what they hold: %s", (tellsBuffered) => {
  it("R3: signals reach everyone after a heartbeat, answered or not", async () => {
    const room = new HostedRoom(free, { tellsBuffered });
    const [ann, bob, cat] = [await room.join(), await room.join({ user: "bob" }), await room.join({ user: "cat" })];
    await room.ring();
    await room.pass(10);
    bob.ping();
    expect(cat.of("heartbeat")).toHaveLength(1);
    await signals(room, ann, 20, "here");
    expect([heard(bob, "here"), heard(cat, "here")]).toEqual([20, 20]);
  });

  it("R3: who was behind and has caught up gets signals again, in a room of signals only", async () => {
    const room = new HostedRoom(free, { tellsBuffered });
    const [ann, slow] = [await room.join(), await room.join({ user: "slow" })];
    slow.reads = false;
    await signals(room, ann, 60, "x".repeat(50_000));
    expect(heard(slow, "x".repeat(50_000)), "some were lost").toBeLessThan(60);
    slow.reads = true;
    slow.drain();
    slow.ping();
    await signals(room, ann, 20, "again");
    expect(heard(slow, "again")).toBeGreaterThanOrEqual(19);
    expect(slow.of("bye")).toEqual([]);
  });
});

it("R8: null fits into a room that is full of presence, also from a member that showed nothing before", async () => {
  const room = new HostedRoom(free);
  const full: Peer[] = [];
  // 262 members fill 524,288 to the last.
  for (let i = 0; i < 262; i++) {
    const peer = await room.join({ user: `u${i}` });
    full.push(peer);
    await room.settled(peer.say({ type: "presence", data: "x".repeat(i < 261 ? 2_000 : 1_764) }));
  }
  const late = await room.join({ user: "late" });
  await room.settled(late.say({ type: "presence", data: "" }));
  expect(late.of("error"), "it is full").toMatchObject([{ code: "rejected", frame: "presence" }]);
  await room.settled(late.say({ type: "presence", data: null }));
  expect(late.of("error")).toHaveLength(1);
  expect(full.flatMap((peer) => peer.of("error"))).toEqual([]);
});
