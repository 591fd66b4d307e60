/** How members of relays are sent away, how their tokens end and are renewed, and how a room learns who has gone. */
import { describe, expect, it } from "vitest";
import type { Definition } from "../../src/room/definition.ts";
import type { Peer } from "../support/hosted.ts";
import { byeTo, RelayedRoom } from "../support/relayed.ts";

/** A room with members at two relays that notes who leaves. */
async function meeting(definition: Definition = {}) {
  const left: string[] = [];
  const world = new RelayedRoom({ grace: 10_000, onLeave: (_room, { id }) => void left.push(id), ...definition });
  const [eu, us] = [world.relay("eu-0"), world.relay("us-0")];
  return { world, left, eu, us, ann: await eu.join({ user: "ann" }), bob: await us.join({ user: "bob" }) };
}

const byes = (...peers: Peer[]) => peers.map(byeTo);
const remote = ({ room }: RelayedRoom) => room.host.state.remote;

describe("a member of a relay", () => {
  it("is kicked by its user wherever it is, and nobody else is told to go", async () => {
    const { world, left, eu, us, ann, bob } = await meeting();
    const [twin, direct] = [await us.join({ user: "ann" }), await world.room.join({ user: "ann" })];
    expect(await world.command({ type: "kick", user: "ann" })).toEqual({ ok: true, value: { sessions: 3 } });
    expect(byes(ann, twin, direct, bob)).toEqual(["kicked", "kicked", "kicked", undefined]);
    expect(left).toEqual(["ann"]);
    const session = ann.welcome.session;
    const again = await eu.join({ user: "ann", resume: { session } });
    expect(again.welcome).toMatchObject({ resumed: false, reason: "session_unknown" });
    expect(us.pushed.flatMap(({ dismissals }) => dismissals).map((one) => one.session)).toEqual([twin.welcome.session]);
  });

  it("is kicked by its session, and its others stay", async () => {
    const { world, left, us, ann } = await meeting();
    const twin = await us.join({ user: "ann" });
    const { session } = ann.welcome;
    expect(await world.command({ type: "kick", session })).toEqual({ ok: true, value: { sessions: 1 } });
    expect(byes(ann, twin)).toEqual(["kicked", undefined]);
    expect(left).toEqual([]);
    expect(await world.command({ type: "kick", session })).toMatchObject({ code: "unknown_session" });
  });

  it("is sent away when the push that says so is lost, as soon as its relay asks", async () => {
    const { world, eu, ann } = await meeting();
    eu.push = "question lost";
    await world.command({ type: "kick", user: "ann" });
    expect(byeTo(ann)).toBeUndefined();
    await world.pass(60_000);
    expect(byeTo(ann)).toBe("restarting");
    expect(eu.object.host.state.sessions.size).toBe(0);
  });

  it("is sent away when its tokens are revoked, and does not come back with one of them", async () => {
    const { world, eu, ann, bob } = await meeting();
    await world.command({ type: "revoke", user: "ann", before: world.now });
    expect(byes(ann, bob)).toEqual(["revoked", undefined]);
    await expect(eu.join({ user: "ann", credentials: { issued: 1 } })).rejects.toThrow("revoked");
  });

  it("is told of a drain, and is sent away when it is over", async () => {
    const { world, ann, bob } = await meeting();
    await world.command({ type: "drain", within: 5_000, reopenAfter: 10_000 });
    for (const peer of [ann, bob]) expect(peer.of("goaway")).toMatchObject([{ reason: "draining" }]);
    await world.pass(6_000);
    expect(byes(ann, bob)).toEqual(["restarting", "restarting"]);
    expect(ann.of("bye")[0]).toHaveProperty("retryAfter");
  });

  it("hears of a drain once, however often its relay is told", async () => {
    const { world, ann } = await meeting();
    await world.command({ type: "drain", within: 60_000, reopenAfter: 10_000 });
    for (let ref = 1; ref < 4; ref++) await world.say(ann, { type: "publish", ref, data: ref });
    expect(ann.of("goaway")).toHaveLength(1);
  });

  it("goes when its token runs out, and the others are told when its grace is over", async () => {
    const { world, left, eu } = await meeting();
    const cid = await eu.join({ user: "cid", credentials: { expires: world.now + 5_000 } });
    await world.pass(5_100);
    expect(byeTo(cid)).toBe("token_expired");
    expect(left).toEqual([]);
    await world.pass(10_100);
    expect(left).toEqual(["cid"]);
  });

  it("has its next token at its relay, which the room names", async () => {
    const { world, eu, ann } = await meeting();
    const { session } = ann.welcome;
    const credentials = { user: "ann", grants: ["join"], issued: 0, expires: world.now + 7_200_000 } as const;
    const refreshed = await world.command({ type: "refresh", session, credentials });
    expect(refreshed).toMatchObject({ ok: true, value: { relay: eu.address } });
    expect(
      await world.command({ type: "refresh", session, credentials: { ...credentials, user: "eve" } }),
    ).toMatchObject({
      code: "unknown_session",
    });
    expect(await eu.object.host.command({ type: "refresh", session, credentials })).toMatchObject({ ok: true });
    // The room goes by the new grants at once.
    await world.say(ann, { type: "publish", ref: 1, data: 1 });
    expect(ann.of("error")).toMatchObject([{ code: "forbidden", ref: 1 }]);
  });

  it("leaves for good when it says so", async () => {
    const { world, left, ann } = await meeting();
    await world.say(ann, { type: "leave" });
    await world.pass(1_000);
    expect([byeTo(ann), left]).toEqual(["done", ["ann"]]);
    expect(remote(world).of("ann")).toEqual([]);
  });

  it("has not left for as long as it is somewhere else", async () => {
    const { world, left, us, ann } = await meeting();
    await us.join({ user: "ann" });
    await world.say(ann, { type: "leave" });
    await world.pass(30_000);
    expect(left).toEqual([]);
    expect(world.room.host.state.population).toBe(2);
  });
});

describe("a room and a relay", () => {
  it("agree about who has gone while every call between them was lost", async () => {
    const { world, left, eu, ann } = await meeting({ heartbeat: { misses: 100 } });
    eu.exchange = eu.push = "question lost";
    await ann.end();
    await world.pass(60_000);
    expect(left).toEqual([]);
    eu.exchange = eu.push = "arrives";
    await world.pass(120_000);
    expect(left).toEqual(["ann"]);
  });

  it("agree when a relay that nobody is at was killed before it could tell", async () => {
    const { world, left, eu, ann } = await meeting();
    eu.exchange = "question lost";
    await ann.end();
    await world.pass(11_000);
    await eu.object.crash();
    eu.exchange = "arrives";
    expect(left).toEqual([]);
    // Its alarm rings, without anybody who would wake it.
    await world.pass(60_000);
    expect(left).toEqual(["ann"]);
  });

  it("agree when all sockets of a relay were lost with it", async () => {
    const { world, left, eu } = await meeting({ heartbeat: { misses: 100 } });
    await eu.object.crash();
    await world.pass(120_000);
    expect(left).toEqual(["ann"]);
    expect(remote(world).relays.map(({ name, attached }) => [name, attached])).toEqual([
      ["eu-0", false],
      ["us-0", true],
    ]);
  });

  it("agree about sessions that only one of them knows", async () => {
    const { world, left, eu, ann } = await meeting();
    const cid = await eu.join({ user: "cid" });
    await world.pass(1_000);
    // Each forgets another one.
    const { state } = world.room.host;
    const lost = state.remote.of("ann")[0];
    if (lost) state.remote.end(lost);
    const gone = eu.object.host.state.sessions.get(cid.welcome.session);
    await cid.end();
    await world.pass(1_000);
    if (gone) eu.object.host.state.sessions.end(gone);
    const before = eu.asked.length;
    await world.pass(60_000);
    expect(eu.asked.slice(before).filter(({ sessions }) => sessions)).toHaveLength(1);
    expect(byeTo(ann)).toBe("restarting");
    expect(left).toContain("cid");
    expect(remote(world).digest(1)).toBe(eu.asked.at(-1)?.digest);
  });

  it("list nothing while they agree, and forget a relay when its last session is over", async () => {
    const { world, eu, ann } = await meeting({ resumeWindow: 60_000, heartbeat: { misses: 100 } });
    for (let ref = 1; ref < 5; ref++) await world.say(ann, { type: "publish", ref, data: ref });
    await ann.end();
    await world.pass(200_000);
    expect(eu.asked.filter(({ sessions }) => sessions)).toEqual([]);
    expect(remote(world).relays.map(({ name }) => name)).toEqual(["us-0"]);
  });

  it("hear of one another where nothing happens, as often as there are heartbeats", async () => {
    const { world, eu, ann } = await meeting({ heartbeat: { every: 10_000, idle: 10_000 } });
    await world.pass(5_000);
    const before = eu.asked.length;
    for (let i = 0; i < 6; i++) {
      ann.ping();
      await world.pass(10_000);
    }
    expect(eu.asked.length - before).toBeGreaterThanOrEqual(4);
    expect(eu.asked.length - before).toBeLessThanOrEqual(7);
  });
});
