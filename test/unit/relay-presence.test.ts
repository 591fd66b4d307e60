/** Presence in a room with relays: how many members there are, told how often, and their names, page by page. */
import { describe, expect, it } from "vitest";
import { defineRoom, type Definition } from "../../src/room/definition.ts";
import type { Peer } from "../support/hosted.ts";
import { RelayedRoom } from "../support/relayed.ts";

const counts = (peer: Peer) => peer.of("presence").flatMap((frame) => ("count" in frame ? [frame.count] : []));

/** Users at two relays and in the room: `ann` at both relays, `bob` at a relay and in the room. */
async function meeting(definition: Definition = {}) {
  const world = new RelayedRoom({ heartbeat: { misses: 100 }, ...definition });
  const [eu, us] = [world.relay("eu-0"), world.relay("us-0")];
  const peers = [
    await eu.join({ user: "ann", credentials: { name: "Ann" } }),
    await us.join({ user: "ann" }),
    await us.join({ user: "bob" }),
    await world.room.join({ user: "bob", credentials: { name: "Bob" } }),
    await world.room.join({ user: "cid" }),
  ] as const;
  await world.pass(2_000);
  return { world, eu, us, peers };
}

/** Asks who is here. */
async function who(world: RelayedRoom, peer: Peer, data?: object | string | number) {
  const before = peer.of("reply").length;
  await world.say(peer, {
    type: "call",
    ref: before + 1,
    method: "edgerooms.who",
    ...(data !== undefined && { data }),
  });
  return peer.of("reply")[before];
}

describe("the number of members", () => {
  it("counts a user once, wherever it is, and is the same everywhere", async () => {
    const { world, peers } = await meeting();
    expect(world.room.host.state.population).toBe(3);
    for (const peer of peers) expect(counts(peer).at(-1) ?? peer.welcome.count).toBe(3);
  });

  it("is right again after the room was out of memory", async () => {
    const { world, peers } = await meeting();
    await world.room.evict();
    expect(world.room.host.state.population).toBe(3);
    await world.say(peers[0], { type: "leave" });
    expect(world.room.host.state.population).toBe(3);
    await world.say(peers[1], { type: "leave" });
    await world.pass(2_000);
    for (const peer of [peers[2], peers[3]]) expect(counts(peer).at(-1)).toBe(2);
  });

  it("is told a member of a relay once a second, however many come", async () => {
    const { world, us, peers } = await meeting();
    await world.pass(2_000);
    const before = counts(peers[0]).length;
    for (let n = 0; n < 20; n++) await us.join({ user: `u${n}` });
    await world.pass(2_000);
    const told = counts(peers[0]).slice(before);
    expect(told.at(-1)).toBe(23);
    expect(told.length).toBeLessThanOrEqual(4);
  });

  it("is not pushed to relays for each of them either", async () => {
    const { world, eu, us } = await meeting();
    await world.pass(2_000);
    const before = eu.pushed.length;
    for (let n = 0; n < 20; n++) await us.join({ user: `u${n}` });
    await world.pass(2_000);
    expect(eu.pushed.length - before).toBeLessThanOrEqual(4);
  });

  it("is told to nobody where presence is off", async () => {
    const { peers } = await meeting({ presence: "off" });
    for (const peer of peers) expect([counts(peer), peer.welcome.count]).toEqual([[], undefined]);
  });
});

describe("edgerooms.who", () => {
  it("names everybody once, in pages, wherever the caller is", async () => {
    const { world, peers } = await meeting();
    const all = [{ id: "ann", name: "Ann" }, { id: "bob", name: "Bob" }, { id: "cid" }];
    for (const peer of [peers[0], peers[3]]) {
      expect(await who(world, peer)).toMatchObject({ data: { members: all, count: 3 } });
      const first = await who(world, peer, { limit: 2 });
      expect(first).toMatchObject({ data: { members: all.slice(0, 2), count: 3, next: "bob" } });
      const last = await who(world, peer, { limit: 2, after: "bob" });
      expect(last).toMatchObject({ data: { members: all.slice(2), count: 3 } });
      expect(last).not.toHaveProperty("data.next");
    }
  });

  it("pages through names beyond ASCII in the order of storage, each once", async () => {
    const users = ["z", "é", "\u{E000}x", "\u{FFFD}", "\u{10000}", "\u{1F600}a", "a"];
    const world = new RelayedRoom();
    const caller = await world.room.join({ user: "0" });
    for (const [i, user] of users.entries()) await (i % 2 ? world.relay("eu-0") : world.room).join({ user });
    const named: string[] = [];
    for (let after: string | undefined = ""; after !== undefined;) {
      const reply = await who(world, caller, { limit: 1, after });
      const { members, next } = (reply as unknown as { data: { members: { id: string }[]; next?: string } }).data;
      named.push(...members.map(({ id }) => id));
      after = next;
    }
    expect(named).toEqual(["0", "a", "z", "é", "\u{E000}x", "\u{FFFD}", "\u{10000}", "\u{1F600}a"]);
  });

  it.each([
    [{ after: 1 }, "after is the id of a user"],
    [{ after: "x".repeat(1_000) }, "after is the id of a user"],
    [{ limit: 0 }, "limit is a number from 1 to 100"],
    [{ limit: 101 }, "limit is a number from 1 to 100"],
    [{ limit: 1.5 }, "limit is a number from 1 to 100"],
    [{ limit: "9" }, "limit is a number from 1 to 100"],
  ])("refuses %j", async (asked, message) => {
    const { world, peers } = await meeting();
    for (const peer of [peers[0], peers[3]])
      expect(await who(world, peer, asked)).toMatchObject({ error: { code: "rejected", message } });
  });

  it("takes anything that is no object for no question", async () => {
    const { world, peers } = await meeting();
    for (const asked of ["after", 7, []])
      expect(await who(world, peers[0], asked)).toMatchObject({ data: { count: 3 } });
  });

  it("is refused where members are shown to nobody", async () => {
    const { world, peers } = await meeting({ presence: "off" });
    for (const peer of [peers[0], peers[3]])
      expect(await who(world, peer)).toMatchObject({ error: { code: "rejected" } });
  });

  it("is no name for a method", () => {
    expect(() => defineRoom({ methods: { "edgerooms.who": () => null } })).toThrow(/edgerooms/);
  });

  it("needs no grant, and costs ten times what a frame costs", async () => {
    const { world, eu } = await meeting({ rate: { perSecond: 1, burst: 30 } });
    const eve = await eu.join({ user: "eve", credentials: { grants: ["join"] } });
    const asked = Array.from({ length: 5 }, (_, i) => ({ type: "call", ref: i + 1, method: "edgerooms.who" }));
    await world.say(eve, ...asked);
    const codes = eve.of("reply").map((reply) => ("error" in reply ? reply.error.code : "told"));
    expect(codes.filter((code) => code === "told")).toHaveLength(3);
    expect(codes.filter((code) => code === "rate_limited")).toHaveLength(2);
  });
});

describe("the list of members that hooks and callers get", () => {
  it("has everybody once, and of those at relays no more than 1,000", async () => {
    const { world, eu } = await meeting();
    expect(await world.command({ type: "members" })).toMatchObject({
      value: [{ id: "ann", name: "Ann" }, { id: "bob", name: "Bob" }, { id: "cid" }],
    });
    const { state } = world.room.host;
    const relay = state.remote.attach(eu.address).id;
    for (let n = 0; n < 1_100; n++)
      state.remote.put({
        user: `u${n}`,
        session: `s${n}`,
        name: null,
        relay,
        present: true,
        attempt: undefined,
        generation: 1,
        published: false,
      });
    const result = await world.time.settled(world.room.host.command({ type: "members" }));
    expect(result).toHaveProperty("value.length", 1_001);
  });
});
