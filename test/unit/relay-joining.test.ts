/** How members come to relays: joins, refusals, and sessions that move between relays and the room. */
import { describe, expect, it } from "vitest";
import { reject, type Definition } from "../../src/room/definition.ts";
import type { Peer } from "../support/hosted.ts";
import { byeTo, RelayedRoom } from "../support/relayed.ts";

const at = ({ welcome }: Peer) => ({ epoch: welcome.epoch, offset: welcome.offset });
/** What a client brings that has everything so far. */
const resume = (peer: Peer, offset = Math.max(at(peer).offset, peer.items.at(-1)?.offset ?? 0)) => ({
  session: peer.welcome.session,
  position: { epoch: peer.welcome.epoch, offset },
});

/** A room that notes who joins and leaves, and with what. */
function noting(definition: Definition = {}) {
  const noted: string[] = [];
  const world = new RelayedRoom({
    onJoin: (_room, { id, name, session, grants }) =>
      void noted.push(`${id} ${name ?? "-"} ${session !== ""} ${grants.join()}`),
    onLeave: (_room, { id }) => void noted.push(`${id} left`),
    ...definition,
  });
  return { world, noted, eu: world.relay("eu-0"), us: world.relay("us-0") };
}

describe("a member who comes through a relay", () => {
  it("is welcomed as by the room, and joins once wherever it is", async () => {
    const { world, noted, eu, us } = noting();
    const ann = await eu.join({ user: "ann", credentials: { name: "Ann" } });
    await us.join({ user: "ann" });
    await world.room.join({ user: "ann" });
    expect(noted).toEqual(["ann Ann true join,publish,signal,call"]);
    expect(ann.welcome).toMatchObject({ member: "ann", resumed: false, reason: "new", ref: 0, members: [], count: 1 });
    expect(ann.welcome.epoch).not.toBe("");
    expect(ann.of("snapshot")).toHaveLength(1);
  });

  it("is refused by the hook, and nothing of it stays", async () => {
    const { world, eu } = noting({ onJoin: () => reject("members only") });
    expect(await eu.connect()).toMatchObject({ ok: false, code: "forbidden", message: "members only" });
    await world.pass();
    expect(world.room.host.state.remote.isUsed).toBe(false);
    expect(eu.object.host.state.sessions.size).toBe(0);
  });

  it("is refused when its tokens are revoked, and without the grant to join", async () => {
    const { world, eu } = noting();
    await world.command({ type: "revoke", user: "ann", before: world.now });
    await expect(eu.join({ credentials: { issued: 1 } })).rejects.toThrow("revoked");
    await expect(eu.join({ user: "bob", credentials: { grants: ["publish"] } })).rejects.toThrow("forbidden");
  });

  it("is refused while the room drains", async () => {
    const { world, eu } = noting();
    await world.room.join({ user: "bob" });
    await world.command({ type: "drain", within: 1_000, reopenAfter: 5_000 });
    await expect(eu.join()).rejects.toThrow("draining");
    await world.pass(7_000);
    await eu.join();
  });

  it("counts against what a user may have, wherever its connections are", async () => {
    const { world, eu, us } = noting({ maxConnectionsPerUser: 2 });
    await eu.join({ user: "ann" });
    await world.room.join({ user: "ann" });
    await expect(us.join({ user: "ann" })).rejects.toThrow("room_full");
    await expect(world.room.join({ user: "ann" })).rejects.toThrow("room_full");
    await us.join({ user: "bob" });
  });

  it("finds no place in a relay that has as many as it takes", async () => {
    const { eu } = noting();
    eu.each = 1;
    await eu.join({ user: "ann" });
    expect(await eu.connect({ user: "bob" })).toEqual({ ok: false, isFull: true });
  });

  it("finds no relays in a room that lists its members", async () => {
    const { eu } = noting({ presence: "list" });
    await expect(eu.join()).rejects.toThrow("misconfigured");
  });

  it("is admitted once, also when the answer is lost and the relay asks again", async () => {
    const { world, noted, eu } = noting();
    eu.exchange = "answer lost";
    const joining = eu.join({ user: "ann" });
    joining.catch(() => undefined);
    await world.pass(100);
    eu.exchange = "arrives";
    const ann = await joining;
    expect(noted).toHaveLength(1);
    expect(world.room.host.state.remote.of("ann")).toMatchObject([{ session: ann.welcome.session }]);
    // The relay lists once what it has, and both count the same from then on.
    await world.pass(1_000);
    expect(eu.asked.filter(({ sessions }) => sessions)).toHaveLength(1);
  });

  it("hears that the room cannot be reached, when it has waited long enough", async () => {
    const { world, eu } = noting();
    eu.exchange = "question lost";
    expect(await eu.connect()).toMatchObject({ ok: false, code: "upstream_failed", retryAfter: 1_000 });
    expect(world.room.host.state.remote.isUsed).toBe(false);
  });
});

describe("a session that is resumed", () => {
  it.each(["eu-0", "us-0", "the room"])("continues at %s with what it missed, its acks and its refs", async (where) => {
    const { world, noted, eu, us } = noting();
    const bob = await world.room.join({ user: "bob" });
    const ann = await eu.join({ user: "ann" });
    await world.say(ann, { type: "publish", ref: 1, data: "first" });
    const from = resume(ann);
    await world.say(ann, { type: "publish", ref: 2, data: "second" });
    await world.say(bob, { type: "publish", ref: 1, data: "third" });
    await ann.end();
    const place = { "eu-0": eu, "us-0": us, "the room": world.room }[where] ?? eu;
    const again = await place.join({ user: "ann", resume: from });
    expect(again.welcome).toMatchObject({ session: ann.welcome.session, resumed: true, ref: 2 });
    expect(again.items.map(({ data }) => data)).toEqual(["second", "third"]);
    expect(again.of("ack").map(({ ref, offset }) => [ref, offset])).toEqual([[2, 2]]);
    expect(noted.filter((text) => text.startsWith("ann"))).toHaveLength(1);
    await world.say(again, { type: "publish", ref: 2, data: "second" }, { type: "publish", ref: 3, data: "fourth" });
    expect(
      again
        .of("ack")
        .slice(1)
        .map(({ ref, offset }) => [ref, offset]),
    ).toEqual([
      [2, 2],
      [3, 4],
    ]);
    expect(world.room.host.state.log.head).toBe(4);
  });

  it("goes from the room to a relay and back, and is one session all the time", async () => {
    const { world, noted, eu } = noting();
    const first = await world.room.join({ user: "ann" });
    await world.say(first, { type: "publish", ref: 1, data: 1 });
    const second = await eu.join({ user: "ann", resume: resume(first) });
    expect(byeTo(first)).toBe("replaced");
    await world.say(second, { type: "publish", ref: 2, data: 2 });
    const third = await world.room.join({ user: "ann", resume: resume(second) });
    for (const peer of [second, third])
      expect(peer.welcome).toMatchObject({ session: first.welcome.session, resumed: true });
    expect(third.welcome.ref).toBe(2);
    expect(world.room.host.state.remote.of("ann")).toEqual([]);
    expect(world.room.host.state.population).toBe(1);
    expect(noted).toHaveLength(1);
  });

  it("ends at the place that it has left, whose connection is told so", async () => {
    const { world, eu, us } = noting();
    const old = await eu.join({ user: "ann" });
    const now = await us.join({ user: "ann", resume: resume(old) });
    await world.pass();
    expect(byeTo(old)).toBe("replaced");
    await world.say(old, { type: "publish", ref: 1, data: "too late" });
    await world.pass(5_000);
    expect(byeTo(now)).toBeUndefined();
    expect(world.room.host.state.log.head).toBe(0);
    expect(eu.object.host.state.sessions.size).toBe(0);
  });

  it("is told to come back where it has left when it speaks there before it is told so", async () => {
    const { world, eu, us } = noting();
    const old = await eu.join({ user: "ann" });
    eu.push = "question lost";
    await us.join({ user: "ann", resume: resume(old) });
    await world.say(old, { type: "publish", ref: 1, data: "too late" });
    expect(byeTo(old)).toBe("restarting");
    expect(world.room.host.state.log.head).toBe(0);
  });

  it("does not end with an old socket that closes late", async () => {
    const { world, eu, us } = noting();
    const old = await eu.join({ user: "ann" });
    const away = await us.join({ user: "ann", resume: resume(old) });
    const back = await eu.join({ user: "ann", resume: resume(away) });
    await old.end();
    await away.end();
    await world.pass(60_000);
    expect(byeTo(back)).toBeUndefined();
    await world.say(back, { type: "publish", ref: 1, data: "still here" });
    expect(back.of("ack")).toHaveLength(1);
    expect(eu.object.host.state.connections.size).toBe(1);
    expect(world.room.host.state.isPresent("ann")).toBe(true);
  });

  it("counts its connections wherever they are, so that each generation is new", async () => {
    const { world, eu, us } = noting();
    const generationAt = ({ object }: typeof eu) =>
      [...object.host.state.sessions.all()].map(({ generation }) => generation);
    const first = await eu.join({ user: "ann" });
    const second = await us.join({ user: "ann", resume: resume(first) });
    expect(generationAt(us)).toEqual([2]);
    const third = await world.room.join({ user: "ann", resume: resume(second) });
    expect(world.room.host.state.sessions.get(first.welcome.session)?.generation).toBe(3);
    await eu.join({ user: "ann", resume: resume(third) });
    expect(generationAt(eu)).toEqual([4]);
  });

  it("stays with the newest attempt of its client, whichever relay hears of it last", async () => {
    const { eu, us } = noting();
    const first = await eu.join({ user: "ann", attempt: { client: "c", nth: 1 } });
    await us.join({ user: "ann", resume: resume(first), attempt: { client: "c", nth: 3 } });
    await expect(eu.join({ user: "ann", resume: resume(first), attempt: { client: "c", nth: 2 } })).rejects.toThrow(
      "replaced",
    );
  });

  it("is worth nothing to another user", async () => {
    const { world, eu, us } = noting();
    const ann = await eu.join({ user: "ann" });
    for (const place of [eu, us, world.room]) {
      const eve = await place.join({ user: "eve", resume: resume(ann) });
      expect(eve.welcome).toMatchObject({ resumed: false, reason: "session_unknown", member: "eve" });
      expect(eve.welcome.session).not.toBe(ann.welcome.session);
    }
    expect(byeTo(ann)).toBeUndefined();
  });

  it("is its user's also where another one has asked for it before", async () => {
    const { world, eu, us } = noting();
    const ann = await eu.join({ user: "ann" });
    const eve = await us.join({ user: "eve", resume: resume(ann) });
    const moved = await us.join({ user: "ann", resume: resume(ann) });
    expect(moved.welcome).toMatchObject({ session: ann.welcome.session, resumed: true, member: "ann" });
    await world.pass(60_000);
    for (const peer of [eve, moved]) expect(byeTo(peer)).toBeUndefined();
    expect(world.room.host.state.population).toBe(2);
  });

  it("is its user's also where another one asked for it and heard nothing", async () => {
    const { eu, us } = noting();
    const ann = await eu.join({ user: "ann" });
    us.exchange = "question lost";
    await expect(us.join({ user: "eve", resume: resume(ann) })).rejects.toThrow("upstream_failed");
    us.exchange = "arrives";
    const moved = await us.join({ user: "ann", resume: resume(ann) });
    expect(moved.welcome).toMatchObject({ session: ann.welcome.session, resumed: true });
    const { sessions } = us.object.host.state;
    expect(sessions.of("eve")).toEqual([]);
    expect(sessions.of("ann")).toMatchObject([{ id: ann.welcome.session }]);
  });

  it("is kept by the relay that it moves to when that dies before it has heard of it", async () => {
    const { world, noted, eu, us } = noting();
    const ann = await eu.join({ user: "ann" });
    await ann.end();
    us.exchange = "answer lost";
    void us.connect({ user: "ann", resume: resume(ann) }).catch(() => undefined);
    await world.pass(400);
    expect(world.room.host.state.remote.of("ann")).toMatchObject([{ present: true }]);
    await us.object.crash();
    us.exchange = "arrives";
    await world.pass(60_000);
    expect(noted.filter((text) => text.endsWith("left"))).toEqual(["ann left"]);
    const again = await us.join({ user: "ann", resume: resume(ann) });
    expect(again.welcome).toMatchObject({ session: ann.welcome.session, resumed: true });
  });
});
