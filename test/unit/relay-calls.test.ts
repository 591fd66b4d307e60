/** The two calls between a room and its relays: how many at a time, what they carry, and what happens when they fail. */
import { describe, expect, it } from "vitest";
import { SpreadRule } from "../../src/room/runtime/spread.ts";
import type { Definition } from "../../src/room/definition.ts";
import { RELAYING } from "../../src/room/relaying.ts";
import type { Peer } from "../support/hosted.ts";
import { byeTo, RelayedRoom, type HostedRelay } from "../support/relayed.ts";

const offsets = (peer: Peer) => peer.items.map(({ offset }) => offset);

/** A room with a member at each of some relays. */
async function meeting(names: readonly string[], definition: Definition = {}, fan?: number) {
  const world = new RelayedRoom({ heartbeat: { misses: 100 }, ...definition }, fan === undefined ? {} : { fan });
  const relays: HostedRelay[] = [];
  const peers: Peer[] = [];
  for (const [i, name] of names.entries()) {
    relays.push(world.relay(name));
    peers.push(await world.relay(name).join({ user: `u${i}` }));
  }
  await world.pass(3_000);
  const publish = (data = "p") => world.command({ type: "publish", data });
  const [eu = world.relay("eu-0")] = relays;
  const [ann = await eu.join()] = peers;
  return { world, relays, peers, publish, eu, ann };
}

describe("a push", () => {
  it("is one at a time for each relay, and what happens meanwhile joins the next", async () => {
    const { world, eu, ann, publish } = await meeting(["eu-0", "us-0"]);
    const us = world.relay("us-0");
    const [mine, theirs] = [eu.pushed.length, us.pushed.length];
    eu.push = "held";
    for (let i = 0; i < 5; i++) await publish();
    expect(us.pushed.length - theirs).toBe(5);
    eu.push = "arrives";
    await world.release();
    expect(eu.pushed.slice(mine).map(({ after, upto }) => [after, upto])).toEqual([
      [0, 1],
      [1, 5],
    ]);
    expect(offsets(ann)).toEqual([1, 2, 3, 4, 5]);
  });

  it("does not come to the relay whose exchange has told it", async () => {
    const { world, eu, ann } = await meeting(["eu-0", "us-0"]);
    const [mine, theirs] = [eu.pushed.length, world.relay("us-0").pushed.length];
    await world.say(ann, { type: "publish", ref: 1, data: 1 });
    expect([eu.pushed.length - mine, world.relay("us-0").pushed.length - theirs]).toEqual([0, 1]);
  });

  it("is so large at most, and what is left has the next one", async () => {
    const { world, eu, ann, publish } = await meeting(["eu-0"]);
    eu.push = "held";
    for (let i = 0; i < 14; i++) await publish("x".repeat(500_000));
    eu.push = "arrives";
    await world.release();
    expect(Math.max(...eu.pushed.map(({ items }) => items.length))).toBeLessThan(5_000_000);
    expect(offsets(ann)).toHaveLength(14);
  });

  it("that fails is tried again, so often and not for ever, and its relay asks by itself", async () => {
    const { world, eu, ann, publish } = await meeting(["eu-0"]);
    const before = eu.tries;
    eu.push = eu.exchange = "question lost";
    await publish();
    await world.pass(600_000);
    expect(eu.tries - before).toBe(6);
    eu.exchange = "arrives";
    await world.pass(60_000);
    expect([eu.tries - before, offsets(ann)]).toEqual([6, [1]]);
  });

  it("that is never answered is not waited for for ever", async () => {
    const { world, eu, ann, publish } = await meeting(["eu-0"]);
    const before = eu.tries;
    eu.push = "held";
    await publish();
    eu.push = "arrives";
    await world.pass(12_000);
    // The second says that there is something to ask for.
    expect([eu.tries - before, offsets(ann)]).toEqual([2, [1]]);
    // The one that was given up arrives all the same, and changes nothing.
    await world.release();
    await publish();
    expect(offsets(ann)).toEqual([1, 2]);
  });

  it("of another version is refused, and so is an exchange", async () => {
    const { world, eu, publish } = await meeting(["eu-0"]);
    await publish();
    const [mirrored] = eu.pushed;
    const [up] = eu.asked;
    const version = (RELAYING + 1) as typeof RELAYING;
    if (!mirrored || !up) throw new Error("nothing was told");
    await expect(eu.host.push({ ...mirrored, version })).rejects.toThrow("a room of another version: 2, not 1");
    await expect(world.room.host.exchange({ ...up, version })).rejects.toThrow("a relay of another version: 2, not 1");
  });

  it("has the room let go of a relay that nobody is at", async () => {
    const { world, eu, ann, publish } = await meeting(["eu-0", "us-0"]);
    await ann.end();
    eu.exchange = "question lost";
    await publish();
    expect(world.room.host.state.remote.relays.map(({ name, attached }) => [name, attached])).toEqual([
      ["eu-0", false],
      ["us-0", true],
    ]);
    const before = eu.tries;
    await publish();
    expect(eu.tries).toBe(before);
  });

  it("does not come to a relay that only tells that nobody is there", async () => {
    const { world, publish } = await meeting(["eu-0", "us-0"], { grace: 5_000 });
    const us = world.relay("us-0");
    await us.join({ user: "bob" });
    for (const peer of us.object.sockets) await peer.end();
    await world.pass(1_000);
    await publish();
    await world.pass(60_000);
    expect(us.asked.at(-1)).toMatchObject({ connections: 0, left: [{ user: "u1" }, { user: "bob" }] });
    const before = us.tries;
    for (let i = 0; i < 5; i++) await publish();
    expect(us.tries).toBe(before);
  });

  it("keeps of signals that wait what is newest", async () => {
    const { world, eu, ann } = await meeting(["eu-0"]);
    eu.push = "held";
    await world.command({ type: "publish", data: "p" });
    for (let i = 0; i < 10; i++) await world.command({ type: "signal", data: `${i}`.padEnd(60_000, "x") });
    eu.push = "arrives";
    await world.release();
    const heard = ann.of("signal").map(({ data }) => (data as string)[0]);
    expect(heard).toEqual(["6", "7", "8", "9"]);
  });
});

describe("past so many relays", () => {
  const six = ["a-0", "a-1", "a-2", "a-3", "a-4", "a-5"];

  it("they are told by relays, and nobody misses anything", async () => {
    const { world, relays, peers, publish } = await meeting(six, {}, 2);
    const before = relays.map(({ pushedBy }) => pushedBy.length);
    await publish();
    await world.pass(1_000);
    const by = relays.map(({ pushedBy }, i) => [...new Set(pushedBy.slice(before[i]))]);
    expect(by).toEqual([["one"], ["one"], ["a-0"], ["a-1"], ["a-0"], ["a-1"]]);
    for (const peer of peers) expect(offsets(peer)).toEqual([1]);
    for (const relay of relays) expect(relay.asked.filter(({ sessions }) => sessions)).toEqual([]);
  });

  it("those behind one that cannot be reached are told by the room", async () => {
    const { world, relays, peers, publish } = await meeting(six, {}, 2);
    const [first] = relays;
    if (first) first.push = "question lost";
    await publish();
    await world.pass(1_000);
    const [, ...others] = peers;
    for (const peer of others) expect(offsets(peer)).toEqual([1]);
    expect(relays[2]?.pushedBy.at(-1)).toBe("one");
  });

  it("a kick finds its way through the one before", async () => {
    const { world, peers } = await meeting(six, {}, 2);
    await world.command({ type: "kick", user: "u4" });
    await world.pass(1_000);
    expect(peers.map(byeTo)).toEqual([undefined, undefined, undefined, undefined, "kicked", undefined]);
  });
});

describe("an exchange", () => {
  it("is one at a time, and the next has everything that waits", async () => {
    const { world, eu, ann } = await meeting(["eu-0"]);
    const bob = await eu.join({ user: "bob" });
    await world.pass(1_000);
    const before = eu.asked.length;
    eu.exchange = "held";
    await world.say(ann, { type: "publish", ref: 1, data: 1 });
    for (let ref = 2; ref < 5; ref++) {
      await world.say(ann, { type: "publish", ref, data: ref });
      await world.say(bob, { type: "publish", ref, data: ref });
    }
    expect(eu.asked.length - before).toBe(1);
    eu.exchange = "arrives";
    await world.release();
    expect(eu.asked.slice(before).map(({ said }) => said.map(({ frames }) => frames.length))).toEqual([[1], [3, 3]]);
    expect(ann.of("ack").map(({ ref }) => ref)).toEqual([1, 2, 3, 4]);
  });

  it("that is not answered is made again, and the room is not asked by both", async () => {
    const { world, eu, ann } = await meeting(["eu-0"]);
    const before = eu.asked.length;
    eu.exchange = "held";
    await world.say(ann, { type: "publish", ref: 1, data: 1 });
    await world.pass(9_000);
    expect(eu.asked.length - before).toBe(1);
    eu.exchange = "arrives";
    await world.pass(2_000);
    expect(eu.asked.length - before).toBe(2);
    await world.release();
    expect(ann.of("ack")).toHaveLength(1);
    expect(offsets(ann)).toEqual([1]);
  });

  it("waits longer each time that it fails, and no longer than until its room is heard", async () => {
    const { world, eu, ann, publish } = await meeting(["eu-0"]);
    eu.exchange = "question lost";
    void ann.say({ type: "publish", ref: 1, data: 1 });
    await world.pass(60_000);
    const tries = eu.asked.length;
    await world.pass(10_000);
    expect(eu.asked.length - tries).toBeLessThanOrEqual(1);
    eu.exchange = "arrives";
    await publish();
    expect(ann.of("ack")).toHaveLength(1);
  });

  it("carries so many joins at most, and all are opened", async () => {
    const { world, eu } = await meeting(["eu-0"]);
    eu.each = 1_000;
    await eu.join({ user: "first" });
    const before = eu.asked.length;
    eu.exchange = "held";
    const opened = Array.from({ length: 600 }, (_, n) =>
      eu.host.connect({ ...eu.object.admissionOf({ user: `n${n}` }), via: eu.via }),
    );
    await world.pass(500);
    eu.exchange = "arrives";
    await world.release();
    const results = await world.time.settled(Promise.all(opened));
    expect(results.every(({ ok }) => ok)).toBe(true);
    expect(Math.max(...eu.asked.slice(before).map(({ joins }) => joins.length))).toBeLessThanOrEqual(512);
    expect(world.room.host.state.population).toBe(602);
  });

  it("brings so much at most: a relay that is further behind begins anew, and its members come back", async () => {
    const { world, eu, ann } = await meeting(["eu-0"], { retain: 100_000 });
    eu.exchange = eu.push = "question lost";
    // As much as the room's log has, and more than one answer brings.
    for (let i = 0; i < 34; i++) {
      void world.room.host.command({ type: "publish", data: "x".repeat(500_000) });
      await world.pass(60);
    }
    eu.exchange = eu.push = "arrives";
    await world.pass(60_000);
    expect(byeTo(ann)).toBe("restarting");
    expect(eu.object.host.state.log.head).toBe(34);
    for (const { items } of eu.told) expect(items.length).toBeLessThanOrEqual(16_777_216);
  });
});

describe("a room that grows", () => {
  const spread = { binding: "RELAY", from: 4, each: 10 };

  it("opens connections itself up to a number, and then says that relays do", async () => {
    const world = new RelayedRoom();
    for (let n = 0; n < 4; n++) await world.room.join({ user: `u${n}`, spread });
    expect(await world.room.connect({ user: "next", spread })).toMatchObject({ ok: false, regions: {} });
    // Without relays in its kind it goes on.
    await world.room.join({ user: "other" });
  });

  it("stays spread until it is half as large", async () => {
    const world = new RelayedRoom();
    const eu = world.relay("eu-0");
    const peers = [await eu.join({ user: "far" })];
    for (let n = 0; n < 3; n++) peers.push(await world.room.join({ user: `u${n}` }));
    const isSpread = async () => {
      const opened = await world.room.connect({ user: "next", spread });
      if (opened.ok) await (opened.client as unknown as Peer).end();
      return !opened.ok;
    };
    const told = [await isSpread()];
    for (const peer of peers.splice(1).toReversed()) {
      await peer.end();
      await world.pass(2_000);
      told.push(await isSpread());
    }
    expect(told).toEqual([true, true, true, false]);
  });

  it("has more relays where relays are fuller, by region", async () => {
    const { world } = await meeting(["eu-0", "eu-1", "us-0"]);
    for (let n = 0; n < 9; n++) await world.relay("eu-0").join({ user: `v${n}` });
    await world.pass(2_000);
    await world.command({ type: "publish", data: 1 });
    const { state } = world.room.host;
    const admission = world.room.admissionOf({ spread });
    expect(await world.room.connect({ spread })).toMatchObject({ regions: { eu: 2, us: 1 } });
    for (const [name, connections] of Object.entries({ "eu-0": 40, "eu-1": 41, "us-0": 80 })) {
      const relay = state.remote.relays.find((one) => one.name === name);
      if (relay) state.remote.hear(relay.id, connections);
    }
    expect(new SpreadRule().regionsFor(admission, state)).toEqual({ eu: 11, us: 10 });
  });

  it("is never spread where it lists its members", async () => {
    const world = new RelayedRoom({ presence: "list" });
    for (let n = 0; n < 6; n++) await world.room.join({ user: `u${n}`, spread });
    expect(world.room.host.state.connections.size).toBe(6);
  });
});
