/** What a relay knows of its room's history: its copy of the log, its epochs, and what its members are told after either dies. */
import { describe, expect, it } from "vitest";
import type { Definition } from "../../src/room/definition.ts";
import type { Peer } from "../support/hosted.ts";
import { byeTo, RelayedRoom } from "../support/relayed.ts";

const datas = (peer: Peer) => peer.items.map(({ data }) => data);
/** Offsets that a client has, in the order in which it was told. */
const offsets = (peer: Peer) => peer.items.map(({ offset }) => offset);
const upto = (n: number, from = 1) => Array.from({ length: n - from + 1 }, (_, i) => from + i);
const at = (peer: Peer, offset: number) => ({
  session: peer.welcome.session,
  position: { epoch: peer.welcome.epoch, offset },
});

/** A room with ann at a relay and bob who speaks in the room. */
async function meeting(definition: Definition = {}) {
  const world = new RelayedRoom({ heartbeat: { misses: 100 }, ...definition });
  const eu = world.relay("eu-0");
  let ref = 0;
  const ann = await eu.join({ user: "ann" });
  const bob = await world.room.join({ user: "bob", credentials: { grants: ["join", "publish"] } });
  /** Bob says so many things, each in a tick of its own. */
  const speak = async (times = 1, data?: string) => {
    for (let i = 0; i < times; i++) await world.say(bob, { type: "publish", ref: ++ref, data: data ?? `p${ref}` });
  };
  return { world, eu, ann, bob, speak };
}

describe("a relay that was told nothing for a while", () => {
  it("asks, and its members miss nothing", async () => {
    const { world, eu, ann, speak } = await meeting();
    await speak();
    eu.push = "question lost";
    await speak(3);
    expect(offsets(ann)).toEqual([1]);
    eu.push = "arrives";
    await speak();
    await world.pass(1_000);
    expect(offsets(ann)).toEqual(upto(5));
  });

  it("asks at its heartbeat where nothing else tells it", async () => {
    const { world, eu, ann, speak } = await meeting({ heartbeat: { every: 10_000, idle: 10_000, misses: 100 } });
    await world.pass(100_000);
    eu.push = "question lost";
    await speak(2);
    await world.pass(25_000);
    expect(offsets(ann)).toEqual([1, 2]);
  });

  it("is told once what two answers bring", async () => {
    const { world, eu, ann, speak } = await meeting();
    eu.push = "held";
    await speak();
    await world.say(ann, { type: "publish", ref: 1, data: "mine" });
    eu.push = "arrives";
    await world.release();
    await speak();
    expect(offsets(ann)).toEqual([1, 2, 3]);
  });
});

describe("a relay that sleeps", () => {
  it("wakes with how far its members are, and nobody misses or hears anything twice", async () => {
    const { world, eu, ann, speak } = await meeting();
    await speak(2);
    await eu.object.evict();
    await speak(2);
    await world.pass(1_000);
    expect([offsets(ann), byeTo(ann)]).toEqual([upto(4), undefined]);
    expect(ann.of("epoch")).toEqual([]);
  });

  it("brings what was published meanwhile and lost on the way", async () => {
    const { world, eu, ann, speak } = await meeting();
    await speak();
    await eu.object.evict();
    eu.push = "question lost";
    await speak(3);
    eu.push = "arrives";
    await world.say(ann, { type: "publish", ref: 1, data: "mine" });
    expect(offsets(ann)).toEqual(upto(5));
    expect(ann.of("ack")).toHaveLength(1);
  });

  it("gives a client that continues what it slept through, from its room", async () => {
    const { eu, world, ann, speak } = await meeting();
    await speak(5);
    await ann.end();
    await eu.object.crash();
    const again = await eu.join({ user: "ann", resume: at(ann, 2) });
    await world.pass();
    expect(again.welcome.resumed).toBe(true);
    expect(offsets(again)).toEqual([3, 4, 5]);
  });
});

describe("a room whose storage was put back", () => {
  it("has members of relays come back, who are told honestly that their position is no more", async () => {
    const { world, eu, ann, speak } = await meeting();
    await speak(1);
    const copy = world.room.storage.snapshot();
    await speak(2, "undone");
    await world.room.crash();
    world.room.storage.restore(copy);
    await world.room.evict();
    const dan = await world.room.join({ user: "dan" });
    await world.say(dan, { type: "publish", ref: 1, data: "new" });
    await world.pass(60_000);
    expect(byeTo(ann)).toBe("restarting");
    expect(datas(ann)).not.toContain("new");
    const again = await eu.join({ user: "ann", resume: at(ann, 3) });
    expect(again.welcome).toMatchObject({ resumed: false, reason: "epoch_changed", session: ann.welcome.session });
    expect(again.of("snapshot")).toMatchObject([{ offset: 2 }]);
  });

  it("lets those go on who have nothing that was undone", async () => {
    const { world, eu, ann, speak } = await meeting();
    await speak(2);
    const copy = world.room.storage.snapshot();
    await world.room.crash();
    world.room.storage.restore(copy);
    await world.room.evict();
    const dan = await world.room.join({ user: "dan" });
    await world.say(dan, { type: "publish", ref: 1, data: "new" });
    await world.pass(1_000);
    expect([byeTo(ann), offsets(ann)]).toEqual([undefined, [1, 2, 3]]);
    // Positions from here on are of another epoch, and are good.
    const epoch = ann.of("epoch").at(-1)?.epoch ?? "";
    expect(epoch).not.toBe("");
    await ann.end();
    for (const place of [world.room, eu]) {
      const resume = { session: ann.welcome.session, position: { epoch, offset: 3 } };
      const again = await place.join({ user: "ann", resume });
      expect(again.welcome).toMatchObject({ resumed: true, epoch });
      await again.end();
    }
  });

  it("to before its relays: sessions that it does not know come back", async () => {
    const world = new RelayedRoom();
    const bob = await world.room.join({ user: "bob" });
    await world.say(bob, { type: "publish", ref: 1, data: 1 });
    const copy = world.room.storage.snapshot();
    const eu = world.relay("eu-0");
    const ann = await eu.join({ user: "ann" });
    await world.room.crash();
    world.room.storage.restore(copy);
    await world.room.evict();
    await world.pass(120_000);
    expect(byeTo(ann)).toBe("restarting");
    expect(world.room.host.state.remote.isPresent("ann")).toBe(false);
  });
});

describe("the epoch", () => {
  it("goes on where relays have members, also when somebody comes to an empty room", async () => {
    const { world, ann, bob } = await meeting();
    await bob.end();
    const dan = await world.room.join({ user: "dan" });
    expect(dan.welcome.epoch).toBe(ann.welcome.epoch);
    expect(ann.of("epoch")).toEqual([]);
  });
});

describe("a member of a relay that acknowledges what it reads", () => {
  /** Ann reads with credit, and is stopped. */
  async function stopped(more: Definition = {}) {
    const met = await meeting({ rate: { perSecond: 1_000, burst: 1_000 }, maxMessage: 200_000, ...more });
    const { world, eu, speak } = met;
    const cid = await eu.join({ user: "cid", credit: true });
    await speak(12, "x".repeat(100_000));
    await world.pass(1_000);
    return { ...met, cid };
  }

  it("is stopped when it does not, and goes on from the copy when it does", async () => {
    const { world, ann, cid } = await stopped();
    const has = offsets(cid).length;
    expect(has).toBeLessThan(12);
    await world.say(cid, { type: "ack", offset: offsets(cid).at(-1) ?? 0 });
    expect(offsets(cid)).toEqual(upto(12));
    expect(offsets(ann)).toEqual(upto(12));
  });

  it("goes on through the room from before what the copy has", async () => {
    const { world, eu, cid } = await stopped();
    // The relay loses its copy, and the socket stays.
    await eu.object.evict();
    const before = eu.asked.length;
    await world.say(cid, { type: "ack", offset: offsets(cid).at(-1) ?? 0 });
    expect(offsets(cid)).toEqual(upto(12));
    expect(eu.asked.length).toBeGreaterThan(before);
    expect(byeTo(cid)).toBeUndefined();
  });

  it("comes back when the room has not got it any more either", async () => {
    const { world, eu, cid, speak } = await stopped({ retain: 2 });
    const has = offsets(cid).at(-1) ?? 0;
    await speak(12);
    await eu.object.evict();
    await world.say(cid, { type: "ack", offset: has });
    expect(byeTo(cid)).toBe("restarting");
    const again = await eu.join({ user: "cid", resume: at(cid, has), credit: true });
    expect(again.welcome).toMatchObject({ resumed: false, reason: "log_trimmed" });
  });
});

describe("a fan-out at a relay that fails", () => {
  it("sends everybody back: somebody may lack an answer of the room", async () => {
    const { world, eu, ann } = await meeting();
    const cid = await eu.join({ user: "cid" });
    Object.defineProperty(cid, "serializeAttachment", {
      value: () => {
        throw new Error("no memory");
      },
      configurable: true,
    });
    await world.say(cid, { type: "publish", ref: 1, data: 1 });
    Reflect.deleteProperty(cid, "serializeAttachment");
    await world.pass(1_000);
    expect([ann, cid].map(({ readyState }) => readyState > 1)).toEqual([true, true]);
    expect(eu.object.codes).toContain("internal");
  });
});
