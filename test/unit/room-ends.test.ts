/** Every end of a connection is written down once, with its code, user, session and duration, whatever else is refused. */
import assert from "node:assert";
import { describe, expect, it, vi } from "vitest";
import { recordEnd } from "../../src/ops/ends.ts";
import type { EndRecord } from "../../src/room/telemetry/end.ts";
import { HostedRoom, type Peer } from "../support/hosted.ts";

/** By the code of the end: what brings it about for ann, who came 5 s ago. */
const ways: Readonly<Record<string, (room: HostedRoom, ann: Peer) => Promise<unknown>>> = {
  done: (room, ann) => room.settled(ann.say({ type: "leave" })),
  closed: (_, ann) => ann.end(),
  kicked: (room) => room.operate({ type: "kick", user: "ann" }),
  revoked: (room) => room.operate({ type: "revoke", user: "ann" }),
  replaced: (room, ann) => room.join({ user: "ann", resume: { session: ann.welcome.session } }),
  too_large: (room, ann) => room.settled(ann.say({ type: "publish", ref: 1, data: "x".repeat(70_000) })),
  rate_limited: (room, ann) =>
    room.settled(ann.say(...Array.from({ length: 250 }, (_, data) => ({ type: "signal", data })))),
};

describe("T18: the end of a connection", () => {
  it.each(Object.keys(ways))("%s is written down with session, user, request and duration", async (code) => {
    const room = new HostedRoom();
    const ann = await room.join({ user: "ann" });
    await room.join({ user: "bob" });
    const { session } = ann.welcome;
    await room.pass(5_000);
    await ways[code]?.(room, ann);
    await room.pass(100);
    const [end, ...others] = room.ends;
    expect(others).toEqual([]);
    expect(end).toMatchObject({ code, source: "connection", kind: "test", room: "one", user: "ann", session });
    expect(end?.requestId).toBe("request-1");
    expect(end?.lasted).toBeGreaterThanOrEqual(5_000);
    expect(end?.lasted).toBeLessThan(6_000);
    // A socket that was told good-bye closes later: that is the same end.
    if (code !== "closed") await ann.end();
    await room.pass(20_000);
    expect(room.ends).toHaveLength(1);
  });

  it("heartbeat_lost and token_expired are written down as they happen", async () => {
    const room = new HostedRoom({ heartbeat: { every: "10s", misses: 1 } });
    const ann = await room.join({ user: "ann", credentials: { expires: room.now + 15_000 } });
    await room.join({ user: "bob" });
    for (let i = 0; i < 3; i++) {
      await room.ring();
      ann.ping();
    }
    await room.pass(30_000);
    expect(room.ends.map(({ code, user, lasted }) => [code, user, lasted])).toEqual([
      ["token_expired", "ann", 15_000],
      ["heartbeat_lost", "bob", 20_000],
    ]);
  });

  it("slow is written down", async () => {
    const room = new HostedRoom({ maxMessage: 1_000_000, retain: 5 });
    const ann = await room.join({ user: "ann" });
    const bob = await room.join({ user: "bob" });
    bob.reads = false;
    for (let ref = 1; ref <= 8; ref++) {
      await room.settled(ann.say({ type: "publish", ref, data: "x".repeat(900_000) }));
      await room.pass(1_000);
    }
    expect(room.ends.map(({ code, user }) => [code, user])).toEqual([["slow", "bob"]]);
  });

  it("with the close code of a socket that closed, also when the room has slept meanwhile", async () => {
    const room = new HostedRoom();
    const ann = await room.join({ user: "ann" });
    await room.evict();
    room.sockets.delete(ann);
    ann.readyState = 3;
    await room.settled(room.host.closed(ann, 1_001));
    expect(room.ends).toMatchObject([{ code: "closed", close: 1_001, user: "ann", session: ann.welcome.session }]);
  });

  it("of a socket that a crash took is told apart", async () => {
    const room = new HostedRoom();
    await room.join({ user: "ann" });
    await room.crash();
    await room.operate({ type: "stats" });
    expect(room.ends).toMatchObject([{ code: "lost", user: "ann" }]);
    expect(room.ends[0]).not.toHaveProperty("close");
  });
});

describe("T18: a flood of refused frames", () => {
  it("leaves the end that it leads to in the room's report", async () => {
    const room = new HostedRoom();
    const ann = await room.join({ user: "ann" });
    const eve = await room.join({ user: "eve" });
    await room.settled(ann.say(...Array.from({ length: 250 }, (_, data) => ({ type: "signal", data }))));
    const frames = [{ type: "nonsense" }, { type: "call", ref: 1, method: "none" }, { type: "ack", offset: 9 }];
    await room.settled(eve.say(...frames));
    await room.settled(eve.say({ type: "publish", ref: 5, data: 1 }, { type: "publish", ref: 4, data: 1 }));
    await room.settled(eve.say(...Array.from({ length: 110 }, (_, data) => ({ type: "signal", data }))));
    await room.settled(eve.say({ type: "leave" }));
    const records = room.reports.flatMap((report) => report.records);
    const kept = records.map(({ code, source }) => [code, source]);
    expect(kept).toContainEqual(["rate_limited", "connection"]);
    const counts = room.reports.map((report) => report.counts["errors|rate_limited"] ?? 0);
    expect(
      counts.reduce((a, b) => a + b),
      "and each of them is counted",
    ).toBeGreaterThan(100);
  });

  it("of ends leaves what is grave in the report", async () => {
    const room = new HostedRoom({ onTimer: () => undefined, methods: { fail: () => assert.fail("broke") } });
    const ann = await room.join({ user: "ann" });
    await room.settled(ann.say({ type: "call", ref: 1, method: "fail", data: null }));
    for (let n = 0; n < 20; n++) {
      await room.join({ user: `user-${n}` });
      await room.operate({ type: "kick", user: `user-${n}` });
    }
    await room.settled(ann.say({ type: "leave" }));
    const records = room.reports.flatMap((report) => report.records);
    expect(records.filter(({ code }) => code === "hook_failed")).toHaveLength(1);
    const kicked = records.filter(({ code }) => code === "kicked");
    expect(kicked.map(({ user, source }) => [user, source])).toContainEqual(["user-19", "connection"]);
    expect(kicked.length).toBeLessThan(20);
    expect(
      records.filter(({ code }) => code === "done"),
      "a client that leaves is no news",
    ).toEqual([]);
  });

  it("T18: what a socket carries of it outlives hibernation, and fits", async () => {
    const long = "\u4e00".repeat(255);
    const room = new HostedRoom();
    await room.join({ user: "ann" });
    for (let n = 0; n < 8; n++) {
      await room.join({ user: `${long.slice(1)}${n}` });
      await room.operate({ type: "kick", user: `${long.slice(1)}${n}` });
    }
    const before = room.reports.length;
    await room.evict();
    await room.operate({ type: "kick", user: "ann" });
    const records = room.reports.slice(before).flatMap((report) => report.records);
    expect(records.filter(({ code }) => code === "kicked")).toHaveLength(5);
  });
});

it("T18: ends have lines of their own: bounded by code and minute, at the level of their code", () => {
  const lines: [string, Record<string, unknown>][] = [];
  for (const level of ["info", "warn", "error"] as const) {
    vi.spyOn(console, level).mockImplementation(
      (text: string) => void lines.push([level, JSON.parse(text) as Record<string, unknown>]),
    );
  }
  const end = (code: EndRecord["code"], at: number): EndRecord => ({
    at,
    code,
    source: "connection",
    session: "s",
    user: "ann",
    lasted: 7,
  });
  try {
    for (let i = 0; i < 200; i++) recordEnd(end("closed", 60_000));
    recordEnd(end("slow", 60_000));
    recordEnd(end("closed", 120_000));
  } finally {
    vi.restoreAllMocks();
  }
  expect(lines).toHaveLength(122);
  expect(lines[0]).toEqual([
    "info",
    { level: "info", code: "closed", source: "connection", session: "s", user: "ann", lasted: 7 },
  ]);
  expect(lines[120]).toMatchObject(["warn", { level: "warn", code: "slow" }]);
  expect(lines[121]).toMatchObject(["info", { code: "closed", leftOut: 80 }]);
});
