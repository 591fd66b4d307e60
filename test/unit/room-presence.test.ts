/** What members learn of one another: a list, a count, or nothing; and what a join costs in each. */
import { describe, expect, it } from "vitest";
import { defineRoom, presenceKinds, type PresenceKind } from "../../src/room/definition.ts";
import { Headcount } from "../../src/room/rules/headcount.ts";
import { migrate } from "../../src/room/store/schema.ts";
import { Sessions } from "../../src/room/store/sessions.ts";
import { HostedRoom, type Peer } from "../support/hosted.ts";
import { NodeStorage } from "../support/sqlite.ts";

const counts = (peer: Peer) => peer.of("presence").flatMap(({ count }) => count ?? []);

/** As many members as there is one after the other, each at its own moment. */
async function crowd(presence: PresenceKind, size: number) {
  const room = new HostedRoom({ presence, snapshot: () => null });
  const peers: Peer[] = [];
  for (let i = 0; i < size; i++) {
    peers.push(await room.join({ user: `user-${i}` }));
    await room.pass(20);
  }
  const bytes = peers.flatMap(({ messages }) => messages).reduce((sum, text) => sum + text.length, 0);
  return { room, peers, bytes };
}

describe("a count", () => {
  it("T13: is in the welcome, without a list, and everyone learns of a change", async () => {
    const room = new HostedRoom({ presence: "count", grace: 0 });
    const ann = await room.join({ user: "ann", credentials: { name: "Ann" } });
    await room.pass(2_000);
    const bob = await room.join({ user: "bob" });
    expect([ann, bob].map(({ welcome }) => [welcome.members, welcome.count])).toEqual([
      [[], 1],
      [[], 2],
    ]);
    await room.pass(2_000);
    expect(counts(ann).at(-1)).toBe(2);
    await bob.end();
    await room.pass(2_000);
    expect(counts(ann).at(-1)).toBe(1);
    expect(ann.of("presence").filter((frame) => !("count" in frame))).toEqual([]);
    expect(await room.operate({ type: "members" })).toMatchObject({ value: { members: [{ id: "ann", name: "Ann" }] } });
  });

  it("T13: is told at once, then once a second while it changes, and the last always arrives", async () => {
    const room = new HostedRoom({ presence: "count" });
    const ann = await room.join({ user: "ann" });
    await room.pass(5_000);
    const before = counts(ann).length;
    for (let i = 0; i < 100; i++) {
      await room.join({ user: `user-${i}` });
      await room.pass(50);
    }
    await room.pass(5_000);
    const told = counts(ann).slice(before);
    expect(told[0], "the first at once").toBe(2);
    expect(told.at(-1)).toBe(101);
    expect(told.length).toBeLessThanOrEqual(8);
    expect(told).toEqual(told.toSorted((a, b) => a - b));
  });

  it("T13: of those who came and went in between nobody keeps a number that is out of date", async () => {
    const room = new HostedRoom({ presence: "count", grace: 0 });
    await room.join({ user: "ann" });
    const bob = await room.join({ user: "bob" });
    const carl = await room.join({ user: "carl" });
    expect(carl.welcome.count).toBe(3);
    await bob.end();
    await room.pass(3_000);
    expect(counts(carl).at(-1)).toBe(2);
  });

  it("T13: costs no row and no alarm to tell, and a room that sleeps before tells it with the next heartbeat", async () => {
    const room = new HostedRoom({ presence: "count" });
    const ann = await room.join({ user: "ann" });
    await room.join({ user: "bob" });
    const alarm = await room.storage.getAlarm();
    expect(await room.written(() => room.pass(1_500))).toBe(0);
    expect(counts(ann).at(-1)).toBe(2);
    expect(await room.storage.getAlarm()).toBe(alarm);
    await room.join({ user: "carl" });
    await room.evict();
    await room.ring();
    expect(counts(ann).at(-1)).toBe(3);
  });

  it("T13: in a large room is told more seldom, so that telling stays within a thousand messages a second", () => {
    const headcount = new Headcount();
    headcount.change();
    expect(headcount.due(5_000, 10_000)).toBe(5_000);
    headcount.told(5_000);
    expect(headcount.due(5_000, 10_000)).toBeUndefined();
    headcount.change();
    expect(headcount.due(5_001, 10_000)).toBe(15_000);
    expect(headcount.due(5_001, 100)).toBe(6_000);
    expect(headcount.due(4_000, 100), "a clock that was put back").toBe(4_000);
  });

  it("T13: goes to connections that are stopped for lack of credit too", async () => {
    const room = new HostedRoom({ presence: "count" });
    const ann = await room.join({ user: "ann", credit: true });
    for (let i = 0; i < 1_300; i += 100) {
      await room.settled(
        Promise.all(Array.from({ length: 100 }, (_, n) => room.host.command({ type: "publish", data: i + n }))),
      );
    }
    await room.pass(2_000);
    expect(ann.of("heartbeat").some(({ ack }) => ack)).toBe(true);
    await room.join({ user: "bob" });
    await room.pass(2_000);
    expect(counts(ann).at(-1)).toBe(2);
    await room.settled(ann.say({ type: "ack", offset: ann.items.at(-1)?.offset ?? 0 }));
    expect(ann.of("presence").filter(({ members }) => members)).toEqual([]);
  });
});

it("T13: where presence is off, members learn nothing of one another, and hooks and operators everything", async () => {
  const came: string[] = [];
  const room = new HostedRoom({ presence: "off", grace: 0, onLeave: (_room, { id }) => void came.push(`-${id}`) });
  const ann = await room.join({ user: "ann" });
  const bob = await room.join({ user: "bob" });
  expect(await room.operate({ type: "stats" })).toMatchObject({ value: { members: 2 } });
  await bob.end();
  await room.pass(60_000);
  expect(ann.of("presence")).toEqual([]);
  expect("count" in ann.welcome).toBe(false);
  expect(ann.welcome.members).toEqual([]);
  expect(came).toEqual(["-bob"]);
});

it("T13: who shows something where nothing is shown is told so, once for each frame, and stays connected", async () => {
  for (const presence of ["count", "off"] as const) {
    const room = new HostedRoom({ presence });
    const ann = await room.join();
    await room.settled(ann.say({ type: "presence", data: "here" }));
    expect(ann.of("error")).toEqual([
      {
        type: "error",
        frame: "presence",
        code: "rejected",
        message: "the members of this room show nothing of themselves",
        retryable: false,
      },
    ]);
    await room.settled(ann.say({ type: "publish", ref: 1, data: "x" }));
    expect(ann.of("ack")).toHaveLength(1);
  }
});

it("T13: a crowd that joins is sent as much each as the first one, with a count or without", async () => {
  const each = async (presence: PresenceKind, size: number) => (await crowd(presence, size)).bytes / size;
  for (const presence of ["count", "off"] as const) {
    expect(await each(presence, 400)).toBeLessThan(1.5 * (await each(presence, 20)));
  }
  expect(await each("list", 400), "as a list would not be").toBeGreaterThan(10 * (await each("list", 20)));
});

it("T13: a room that keeps no list remembers no changes for one, and counts all the same", () => {
  const storage = new NodeStorage();
  migrate(storage.sql);
  const credentials = { user: "ann", grants: ["join"], issued: 0, expires: 1 } as const;
  const admission = { kind: "test", room: "one", credentials, requestId: "r", receivedAt: 0, credit: false };
  for (const presence of presenceKinds) {
    const sessions = new Sessions(storage.sql, defineRoom({ presence }));
    const first = sessions.open("first", admission);
    sessions.open("second", admission);
    expect([...sessions.takeChanged()]).toEqual(presence === "list" ? ["ann"] : []);
    expect(sessions.present).toBe(1);
    sessions.end(first);
    expect(sessions.present).toBe(1);
    const second = sessions.get("second");
    if (second) sessions.hide(second);
    expect(sessions.present).toBe(0);
  }
});

it("an option that is wrong, or a hook that would never run, is named when the module is loaded", () => {
  expect(() => defineRoom({ presence: "none" as PresenceKind })).toThrow(/presence has no "none"/);
  expect(() => defineRoom({ presence: "count", onPresence: () => undefined })).toThrow(/onPresence never runs/);
  expect(defineRoom({}).presence).toBe("list");
});
