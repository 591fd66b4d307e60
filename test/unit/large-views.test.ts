/** What an operator sees of a large room and does to it: numbers, relays, pages of members and sessions, kick, revoke, drain. */
import { describe, expect, it } from "vitest";
import type { MemberList, RoomStats, SessionList } from "../../src/protocol/api.ts";
import { traceOf } from "../../src/room/core/context.ts";
import type { OperatorCommand } from "../../src/room/operator.ts";
import { HostedRoom } from "../support/hosted.ts";
import { LargeRoom } from "../support/large-room.ts";

/** The answer to a command, which must be one. */
async function ask<T>(room: HostedRoom, command: OperatorCommand): Promise<T> {
  const answer = await room.operate(command);
  if (!answer.ok) throw new Error(answer.code);
  // Sound: each command has its own answer, which the test names.
  return answer.value as T;
}

const stats = (room: HostedRoom) => ask<RoomStats>(room, { type: "stats" });
const idsOf = ({ members }: MemberList) => members.map(({ id }) => id);

/** Somebody at a relay of whom nothing more matters. */
const SENDER = {
  user: "cleo",
  session: "s",
  name: null,
  grants: [],
  requestId: "r",
  connectedAt: 0,
  traceparent: undefined,
  rejected: 0,
  expires: Infinity,
} as const;

/** Two members in the room, three at one relay, one at another. */
async function filled() {
  const large = new LargeRoom();
  const { room } = large;
  const berlin = large.relay("eu/0", "eu");
  const tokyo = large.relay("ap/0", "ap");
  await room.join({ user: "ann" });
  await room.join({ user: "bob" });
  const [cleo, dan, eve] = await berlin.seat("cleo", "dan", "eve");
  const [fay] = await tokyo.seat("fay");
  if (!cleo || !dan || !eve || !fay) throw new Error("somebody has no seat");
  return { large, room, berlin, tokyo, cleo, dan, eve, fay };
}

describe("numbers of a room", () => {
  it("of the usual size say nothing of relays", async () => {
    const room = new HostedRoom();
    await room.join();
    const answer = await stats(room);
    expect(answer).toMatchObject({ members: 1, sessions: 1, connections: 1 });
    expect(Object.keys(answer)).not.toContain("relays");
    expect(Object.keys(answer)).not.toContain("regions");
    expect(Object.keys(answer)).not.toContain("direct");
  });

  it("with relays count what is there, by relay and by region", async () => {
    const { room, large, berlin } = await filled();
    const paris = large.relay("eu/1", "eu");
    await paris.seat("gil");
    const { now } = room;
    expect(await stats(room)).toMatchObject({
      members: 7,
      sessions: 7,
      connections: 7,
      direct: 2,
      relays: [
        { name: "eu/0", region: "eu", connections: 3, lag: 0 },
        { name: "ap/0", region: "ap", connections: 1, lag: 0 },
        { name: "eu/1", region: "eu", connections: 1, lag: 0, heardAt: now },
      ],
      regions: { eu: { relays: 2, connections: 4 }, ap: { relays: 1, connections: 1 } },
    });
    berlin.seated.length = 1;
    await berlin.exchange({});
    expect(await stats(room)).toMatchObject({ connections: 5, regions: { eu: { connections: 2 } } });
  });

  it("know the relays after a sleep too, and say of none how far it is before it was heard", async () => {
    const { room } = await filled();
    await room.evict();
    const { relays, connections } = await stats(room);
    expect(connections).toBe(6);
    expect(relays).toEqual([
      { name: "eu/0", region: "eu", connections: 3 },
      { name: "ap/0", region: "ap", connections: 1 },
    ]);
  });

  it("say how far behind a relay is that does not answer", async () => {
    const { room, berlin, large } = await filled();
    const silent = large.relay("eu/9", "eu");
    await silent.seat("hal");
    let answer: (() => void) | undefined;
    large.hold(silent, new Promise<void>((resolve) => (answer = resolve)));
    for (const data of [1, 2, 3]) await room.settled(room.host.command({ type: "publish", data }));
    const { relays = [] } = await stats(room);
    expect(relays.find(({ name }) => name === "eu/9")).toMatchObject({ lag: 3 });
    expect(relays.find(({ name }) => name === berlin.address.name)).toMatchObject({ lag: 0 });
    answer?.();
    await room.pass(0);
    expect((await stats(room)).relays?.at(-1)).toMatchObject({ name: "eu/9", lag: 0 });
  });
});

describe("members", () => {
  it("of a room of the usual size are all there is, unless a page is asked for", async () => {
    const room = new HostedRoom();
    for (const user of ["cleo", "ann", "bob"]) await room.join({ user });
    expect(await ask(room, { type: "members" })).toEqual({ members: [{ id: "ann" }, { id: "bob" }, { id: "cleo" }] });
    const first = await ask<MemberList>(room, { type: "members", limit: 2 });
    expect(first).toEqual({ members: [{ id: "ann" }, { id: "bob" }], next: "bob" });
    expect(await ask(room, { type: "members", limit: 2, after: "bob" })).toEqual({ members: [{ id: "cleo" }] });
  });

  it("of a large room come page by page, each once, wherever they are", async () => {
    const { room, berlin } = await filled();
    // In the room and at a relay at the same time: one member.
    await berlin.seat("ann");
    const pages: MemberList[] = [];
    let after: string | undefined;
    do {
      const page = await ask<MemberList>(room, { type: "members", limit: 2, after });
      pages.push(page);
      after = page.next;
    } while (after !== undefined);
    expect(pages.map(idsOf)).toEqual([["ann", "bob"], ["cleo", "dan"], ["eve", "fay"], []]);
  });

  it("of a large room are a thousand at most, and the answer says that there are more", async () => {
    const large = new LargeRoom();
    const relay = large.relay("eu/0");
    const users = Array.from({ length: 1_001 }, (_, i) => `u${String(i).padStart(4, "0")}`);
    await relay.seat(...users);
    const first = await ask<MemberList>(large.room, { type: "members" });
    expect(first.members).toHaveLength(1_000);
    expect(first.next).toBe("u0999");
    expect(await ask(large.room, { type: "members", after: first.next })).toEqual({ members: [{ id: "u1000" }] });
  });
});

describe("sessions", () => {
  it("at relays are listed with their relay, and without what only the relay knows", async () => {
    const { room, cleo } = await filled();
    const { sessions, next } = await ask<SessionList>(room, { type: "sessions" });
    expect(next).toBeUndefined();
    expect(sessions.map(({ user, relay }) => [user, relay])).toEqual([
      ["ann", undefined],
      ["bob", undefined],
      ["cleo", "eu/0"],
      ["dan", "eu/0"],
      ["eve", "eu/0"],
      ["fay", "ap/0"],
    ]);
    expect(sessions[0]).toMatchObject({ connected: true, lag: 0, missed: 0 });
    expect(sessions[2]).toEqual({ session: cleo.session, user: "cleo", relay: "eu/0", present: true });
  });

  it("that have gone from a relay are there until their time is over, and are not present", async () => {
    const { room, berlin, cleo } = await filled();
    // From an instance of the relay that is no more: the member has come back since.
    await berlin.exchange({ left: [{ ...cleo, generation: 0 }], ended: [{ ...cleo, generation: 0 }] });
    const still = await ask<SessionList>(room, { type: "sessions" });
    expect(still.sessions.find(({ user }) => user === "cleo")).toMatchObject({ present: true });
    await berlin.exchange({ left: [{ ...cleo, generation: 1 }] });
    const { sessions } = await ask<SessionList>(room, { type: "sessions" });
    expect(sessions.find(({ user }) => user === "cleo")).toMatchObject({ present: false, relay: "eu/0" });
    await berlin.exchange({ ended: [{ ...cleo, generation: 1 }] });
    const later = await ask<SessionList>(room, { type: "sessions" });
    expect(later.sessions.map(({ user }) => user)).not.toContain("cleo");
  });

  it("come page by page, those of one user too", async () => {
    const { room, berlin } = await filled();
    await berlin.seat("bob", "bob");
    const pages: SessionList[] = [];
    let after: string | undefined;
    do {
      const page = await ask<SessionList>(room, { type: "sessions", limit: 2, after });
      pages.push(page);
      after = page.next;
    } while (after !== undefined);
    expect(pages.map(({ sessions }) => sessions.map(({ user }) => user))).toEqual([
      ["ann", "bob"],
      ["bob", "bob"],
      ["cleo", "dan"],
      ["eve", "fay"],
      [],
    ]);
    const all = pages.flatMap(({ sessions }) => sessions.map(({ session }) => session));
    expect(new Set(all).size).toBe(8);
  });

  it("after what is no page are refused", async () => {
    const { room } = await filled();
    expect(await room.operate({ type: "sessions", after: "no place" })).toMatchObject({
      ok: false,
      code: "bad_request",
    });
  });
});

describe("an operator", () => {
  it("ends a session at a relay, and says so", async () => {
    const { room, berlin, cleo } = await filled();
    expect(await ask(room, { type: "kick", session: cleo.session })).toEqual({ sessions: 1 });
    await room.pass(0);
    const [dismissal] = berlin.told.flatMap(({ dismissals }) => dismissals);
    expect(dismissal).toEqual({ ...cleo, code: "kicked", relay: "eu/0" });
    expect(await stats(room)).toMatchObject({ members: 5, sessions: 5 });
    expect(await room.operate({ type: "kick", session: cleo.session })).toMatchObject({ code: "unknown_session" });
  });

  it("ends every session of a user, wherever they are", async () => {
    const { room, berlin, tokyo } = await filled();
    await berlin.seat("ann");
    await tokyo.seat("ann");
    expect(await ask(room, { type: "kick", user: "ann" })).toEqual({ sessions: 3 });
    await room.pass(0);
    const told = [berlin, tokyo].map((relay) =>
      relay.told.flatMap(({ dismissals }) => dismissals.map(({ user }) => user)),
    );
    expect(told).toEqual([["ann"], ["ann"]]);
  });

  it("revokes a user who is at a relay, who cannot come back with an old token", async () => {
    const { room, berlin } = await filled();
    expect(await ask(room, { type: "revoke", user: "dan" })).toEqual({ sessions: 1 });
    await expect(berlin.seat("dan")).rejects.toThrow("revoked");
    await room.pass(0);
    expect(berlin.told.flatMap(({ dismissals }) => dismissals)).toMatchObject([{ user: "dan", code: "revoked" }]);
  });

  it("drains the relays with the room, and hears how many were asked to go", async () => {
    const { room, berlin, tokyo } = await filled();
    const drained = await ask<{ until: number; reopens: number }>(room, {
      type: "drain",
      within: 5_000,
      reopenAfter: 100,
    });
    expect(drained).toMatchObject({ connections: 6 });
    await room.pass(0);
    const { until, reopens } = drained;
    expect([berlin, tokyo].map(({ told }) => told.at(-1)?.drain)).toEqual([1, 2].map(() => ({ until, reopens })));
    await expect(berlin.seat("zoe")).rejects.toThrow("draining");
  });
});

describe("a trace", () => {
  const ofConnection = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const ofPublish = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

  it("of a publish through a relay reaches the room's tick", () => {
    const publish = { type: "publish", ref: 1, data: 1 } as const;
    const said = (traceparent?: string) => {
      const frames = [publish, { ...publish, ...(traceparent !== undefined && { traceparent }) }];
      return { type: "said", relay: "eu/0", said: { frames, sender: SENDER } } as const;
    };
    expect(traceOf([said()])).toBeUndefined();
    expect(traceOf([said(), said(ofPublish)])).toBe(ofPublish);
  });

  it("of a publish through a relay, or of its connection, is that of what fails with it", async () => {
    const large = new LargeRoom({
      onPublish: () => {
        throw new Error("broken");
      },
    });
    const relay = large.relay("eu/0");
    const [cleo] = await relay.seat("cleo");
    if (!cleo) throw new Error("cleo has no seat");
    const publish = { type: "publish", ref: 1, data: 1 } as const;
    await relay.say(cleo, { traceparent: ofConnection }, publish, { ...publish, ref: 2, traceparent: ofPublish });
    expect(large.room.failures).toMatchObject([
      { code: "hook_failed", user: "cleo", session: cleo.session, traceId: ofConnection.split("-")[1] },
      { code: "hook_failed", user: "cleo", session: cleo.session, traceId: ofPublish.split("-")[1] },
    ]);
  });
});
