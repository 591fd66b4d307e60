/** What members of relays say: it reaches the room once and in order, is answered by the room, and is refused honestly. */
import { describe, expect, it } from "vitest";
import { reject, type Definition } from "../../src/room/definition.ts";
import type { HostedRelay } from "../support/relayed.ts";
import type { Peer } from "../support/hosted.ts";
import { byeTo, RelayedRoom } from "../support/relayed.ts";

const publish = (ref: number, more: object = {}) => ({ type: "publish", ref, data: `p${ref}`, ...more });
const refs = (peer: Peer) => peer.of("ack").map(({ ref }) => ref);
const datas = (peer: Peer) => peer.items.map(({ data }) => data);
const errors = (peer: Peer) => peer.of("error").map(({ code, ref }) => [code, ref]);

/** A room with a relay where ann is, and one where bob is. */
async function meeting(definition: Definition = {}) {
  const world = new RelayedRoom(definition);
  const [eu, us] = [world.relay("eu-0"), world.relay("us-0")];
  return { world, eu, us, ann: await eu.join({ user: "ann" }), bob: await us.join({ user: "bob" }) };
}

/** Frames that a relay has told the room in each of its exchanges. */
const spoken = ({ asked }: HostedRelay) =>
  asked.map(({ said }) => said.reduce((sum, { frames }) => sum + frames.length, 0)).filter((frames) => frames > 0);

describe("a publish through a relay", () => {
  it("is acknowledged in the message that brings it, before it", async () => {
    const { world, ann, bob } = await meeting();
    await world.say(ann, publish(1));
    const message = ann.messages.find((text) => text.includes('"ack"')) ?? "";
    expect((JSON.parse(message) as { type: string }[]).map(({ type }) => type)).toEqual(["ack", "pub"]);
    expect([datas(ann), datas(bob)]).toEqual([["p1"], ["p1"]]);
    expect(ann.items[0]?.by).toBe("ann");
  });

  it("counts once, however often and wherever it is repeated", async () => {
    const { world, us, ann, bob } = await meeting();
    await world.say(ann, publish(1));
    await world.say(ann, publish(1));
    await ann.end();
    const position = { epoch: ann.welcome.epoch, offset: 0 };
    const again = await us.join({ user: "ann", resume: { session: ann.welcome.session, position } });
    await world.say(again, publish(1));
    expect(refs(ann)).toEqual([1, 1]);
    expect(again.of("ack").map(({ offset }) => offset)).toEqual([1, 1]);
    expect(datas(bob)).toEqual(["p1"]);
  });

  it("counts once when the answer to it is lost", async () => {
    const { world, eu, ann, bob } = await meeting();
    eu.exchange = "answer lost";
    await world.say(ann, publish(1), publish(2));
    expect(refs(ann)).toEqual([]);
    eu.exchange = "arrives";
    await world.pass(1_000);
    expect(refs(ann)).toEqual([1, 2]);
    expect(datas(bob)).toEqual(["p1", "p2"]);
    expect(datas(ann)).toEqual(["p1", "p2"]);
  });

  it("is told again when the question was lost, in its order and before what is newer", async () => {
    const { world, eu, ann, bob } = await meeting();
    eu.exchange = "question lost";
    await world.say(ann, publish(1));
    await world.say(ann, publish(2, { after: 1 }));
    eu.exchange = "arrives";
    await world.pass(1_000);
    expect(refs(ann)).toEqual([1, 2]);
    expect(datas(bob)).toEqual(["p1", "p2"]);
  });

  it("is stale when a later one of its session has taken effect", async () => {
    const { world, ann } = await meeting();
    await world.say(ann, publish(2));
    await world.say(ann, publish(1));
    expect(errors(ann)).toEqual([["stale_ref", 1]]);
    expect(refs(ann)).toEqual([2]);
  });

  it("does not overtake one that was refused for now, nor wait for one that was refused for good", async () => {
    const { world, ann, bob } = await meeting({
      onPublish: (_room, _me, data) => (data === "p1" ? reject("not that") : undefined),
    });
    await world.say(ann, publish(3, { after: 2 }));
    expect(errors(ann)).toEqual([["rate_limited", 3]]);
    await world.say(ann, publish(1));
    // The room keeps nothing of a member of a relay: the relay says with each frame what was refused.
    await world.say(ann, publish(2, { after: 1 }));
    expect(errors(ann).at(-1)).toEqual(["rejected", 1]);
    expect(datas(bob)).toEqual(["p2"]);
  });

  it("is refused without the grant, by the token of its relay", async () => {
    const { world, eu } = await meeting();
    const eve = await eu.join({ user: "eve", credentials: { grants: ["join"] } });
    await world.say(eve, publish(1), { type: "call", ref: 1, method: "m" });
    expect(errors(eve)).toEqual([["forbidden", 1]]);
    expect(eve.of("reply")).toMatchObject([{ ref: 1, error: { code: "forbidden" } }]);
  });

  it("shows the hooks who speaks, as for a member of the room", async () => {
    const seen: unknown[] = [];
    const { world, eu } = await meeting({ onPublish: (_room, me) => void seen.push(me) });
    const dan = await eu.join({ user: "dan", credentials: { name: "Dan" } });
    await world.say(dan, publish(1));
    const { session } = dan.welcome;
    expect(seen).toMatchObject([{ id: "dan", name: "Dan", session, grants: ["join", "publish", "signal", "call"] }]);
    expect(seen[0]).toHaveProperty("connectedAt", eu.object.host.state.sessions.get(session)?.connectedAt);
  });

  it("that is addressed is seen by its recipients and its sender only", async () => {
    const { world, eu, us, ann, bob } = await meeting();
    const [cid, dan] = [await eu.join({ user: "cid" }), await us.join({ user: "dan" })];
    const direct = await world.room.join({ user: "eve" });
    await world.say(ann, publish(1, { to: ["bob"] }));
    await world.say(ann, publish(2));
    expect([ann, bob].map(datas)).toEqual([
      ["p1", "p2"],
      ["p1", "p2"],
    ]);
    expect([cid, dan, direct].map(datas)).toEqual([["p2"], ["p2"], ["p2"]]);
    const back = await us.join({
      user: "cid",
      resume: { session: cid.welcome.session, position: { epoch: cid.welcome.epoch, offset: 0 } },
    });
    expect(datas(back)).toEqual(["p2"]);
  });
});

describe("a call through a relay", () => {
  const calling: Definition = { methods: { echo: (_room, _me, data) => data } };

  it("is answered by the room", async () => {
    const { world, ann } = await meeting(calling);
    await world.say(ann, { type: "call", ref: 7, method: "echo", data: { a: 1 } });
    await world.say(ann, { type: "call", ref: 8, method: "none" });
    expect(ann.of("reply")).toMatchObject([
      { ref: 7, data: { a: 1 } },
      { ref: 8, error: { code: "unknown_method" } },
    ]);
  });

  it("is made once: when the exchange fails its caller is told, and it is not repeated", async () => {
    let calls = 0;
    const { world, eu, ann } = await meeting({ methods: { count: () => ++calls } });
    eu.exchange = "answer lost";
    await world.say(ann, { type: "call", ref: 1, method: "count" }, publish(1));
    eu.exchange = "arrives";
    await world.pass(2_000);
    expect(calls).toBe(1);
    expect(ann.of("reply")).toMatchObject([{ ref: 1, error: { code: "upstream_failed", retryable: true } }]);
    expect(refs(ann)).toEqual([1]);
  });
});

describe("a signal through a relay", () => {
  it("reaches everybody but its sender, wherever they are, and is not kept", async () => {
    const { world, eu, ann, bob } = await meeting();
    const [cid, direct] = [await eu.join({ user: "cid" }), await world.room.join({ user: "dan" })];
    await world.say(ann, { type: "signal", data: "hey" });
    const heard = (peer: Peer) => peer.of("signal").map(({ by, data }) => [by, data]);
    expect([ann, bob, cid, direct].map(heard)).toEqual([[], [["ann", "hey"]], [["ann", "hey"]], [["ann", "hey"]]]);
    expect(world.room.host.state.log.head).toBe(0);
  });

  it("reaches only the users that it names", async () => {
    const { world, eu, ann, bob } = await meeting();
    const cid = await eu.join({ user: "cid" });
    await world.say(ann, { type: "signal", data: "psst", to: ["cid"] });
    expect([bob, cid].map((peer) => peer.of("signal").length)).toEqual([0, 1]);
  });

  it("is lost with its exchange: it is of the moment", async () => {
    const { world, eu, ann, bob } = await meeting();
    eu.exchange = "question lost";
    await world.say(ann, { type: "signal", data: "hey" });
    eu.exchange = "arrives";
    await world.pass(2_000);
    expect(bob.of("signal")).toEqual([]);
  });
});

describe("presence through a relay", () => {
  it("shows nothing where members are counted", async () => {
    const { world, ann } = await meeting();
    await world.say(ann, { type: "presence", data: { mood: "fine" } });
    expect(ann.of("error")).toMatchObject([{ code: "rejected", frame: "presence" }]);
  });
});

describe("what a room or a relay cannot take", () => {
  it("is refused at the relay when too much waits for the room", async () => {
    const { world, eu } = await meeting({ rate: { perSecond: 1_000_000, burst: 1_000_000 } });
    const ann = await eu.join({ user: "cid" });
    eu.exchange = "held";
    for (let ref = 1; ref <= 17_000; ref += 250) {
      void ann.say(...Array.from({ length: 250 }, (_, n) => publish(ref + n)));
      await world.pass(20);
    }
    const refused = ann.of("error");
    // What waits, and a first frame or more that are on their way already.
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(17_000 - 16_384);
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(["rate_limited"]));
    eu.exchange = "arrives";
    await world.release();
    await world.pass(20_000);
    expect(refs(ann)).toHaveLength(17_000 - refused.length);
    expect(Math.max(...spoken(eu))).toBeLessThanOrEqual(2_048);
  });

  it("that fails when it is told again sends its sender back: it may have taken effect", async () => {
    const { world, eu, ann, bob } = await meeting();
    const { sql } = world.room.storage;
    eu.exchange = "answer lost";
    await world.say(ann, publish(1));
    void ann.say(publish(2));
    sql.exec("CREATE TRIGGER broken BEFORE INSERT ON edgerooms_log BEGIN SELECT RAISE(ABORT, 'no disk'); END");
    eu.exchange = "arrives";
    await world.pass(1_000);
    expect([errors(ann), byeTo(ann)]).toEqual([[], "restarting"]);
    sql.exec("DROP TRIGGER broken");
    const position = { epoch: ann.welcome.epoch, offset: 0 };
    const again = await eu.join({ user: "ann", resume: { session: ann.welcome.session, position } });
    expect([again.welcome.ref, refs(again)]).toEqual([1, [1]]);
    expect(datas(bob)).toEqual(["p1"]);
  });

  it("that fails the first time is refused, and its sender stays", async () => {
    const { world, ann } = await meeting();
    const { sql } = world.room.storage;
    sql.exec("CREATE TRIGGER broken BEFORE INSERT ON edgerooms_log BEGIN SELECT RAISE(ABORT, 'no disk'); END");
    await world.say(ann, publish(1));
    expect([errors(ann), byeTo(ann)]).toEqual([[["storage_failed", 1]], undefined]);
  });
});
