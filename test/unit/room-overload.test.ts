/** A room that has too much to do, peers of which nothing is known, alarms that fail: the room goes on. */
import { describe, expect, it } from "vitest";
import type { Credentials } from "../../src/room/admission.ts";
import type { RoomContext } from "../../src/room/definition.ts";
import { HostedRoom, type Peer } from "../support/hosted.ts";

/** Messages of 256 signals each, more than the room lets wait; none of them has had its tick. */
function flood(peers: readonly Peer[]): Promise<unknown> {
  const frames = Array.from({ length: 256 }, (_, data) => ({ type: "signal", data }));
  return Promise.all(peers.map((peer) => peer.say(...frames)));
}

const NOBODY: Credentials = { user: "nobody", grants: ["join"], issued: 0, expires: Infinity };

/** A room that is about to be flooded, and those who do it. */
async function crowd() {
  const room = new HostedRoom({ rate: { perSecond: 1_000_000, burst: 1_000_000 }, maxConnections: 100 });
  const peers: Peer[] = [];
  for (let i = 0; i < 40; i++) peers.push(await room.join({ user: `u${i}` }));
  await room.pass(1_000);
  // A quiet room ticks at once; what follows waits.
  void room.host.command({ type: "signal", data: 0 });
  return { room, peers };
}

describe("a room in which too many frames wait", () => {
  it("R19: answers at once, without a tick, that it is overloaded and when to try again", async () => {
    const { room, peers } = await crowd();
    const through = flood(peers);
    const statements: string[] = [];
    room.storage.fault = (statement) => void statements.push(statement);
    const last = peers.at(-1);
    void last?.say({ type: "publish", ref: 1, data: 1 }, { type: "signal", data: 1 });
    expect(statements).toEqual([]);
    room.storage.fault = undefined;
    const mine = last?.of("error").slice(-2);
    expect(mine).toMatchObject([
      { code: "rate_limited", ref: 1, retryable: true },
      { code: "rate_limited", frame: "signal", retryable: true },
    ]);
    expect(mine?.every(({ retryAfter = 0 }) => retryAfter > 0)).toBe(true);
    await room.settled(through);
    await room.settled(peers[0]?.say({ type: "publish", ref: 1, data: 1 }) ?? Promise.resolve());
    expect(peers[0]?.of("ack"), "it takes frames again").toHaveLength(1);
  });

  it("refuses looks past 8,192 that wait, and not what ends the load", async () => {
    const { room } = await crowd();
    const looks = Array.from({ length: 4_100 }, () => [
      room.host.command({ type: "members" }),
      room.host.command({ type: "refresh", session: "none", credentials: NOBODY }),
    ]).flat();
    const kick = room.host.command({ type: "kick", user: "u1" });
    const results = await room.settled(Promise.all(looks));
    const refused = results.filter((result) => !result.ok && result.code === "rate_limited");
    expect(refused).toHaveLength(8_200 - 8_192);
    expect(refused[0]).toMatchObject({ retryAfter: 1_000 });
    expect(await kick).toMatchObject({ ok: true, value: { sessions: 1 } });
    expect(await room.settled(room.host.command({ type: "members" }))).toMatchObject({ ok: true });
  });

  it("R19: lets who comes pass by them", async () => {
    const { room, peers } = await crowd();
    const [, watcher, leaver] = peers.toReversed();
    const through = flood(peers.slice(0, 31));
    const joined = room.connect({ user: "late" });
    const left = leaver?.end();
    const alarm = room.alarm(0);
    expect(await joined).toMatchObject({ ok: true });
    await room.settled(Promise.all([left, alarm, through]));
    const frames = watcher?.frames ?? [];
    const news = frames.findIndex((frame) => frame.type === "presence" && frame.join?.[0]?.id === "late");
    const before = frames.slice(0, news).filter(({ type }) => type === "signal").length;
    expect(watcher?.of("signal").length, "all were told in the end").toBe(31 * 256 + 1);
    expect(before, "who comes did not wait for them").toBeLessThan(1_000);
    expect(room.rows("SELECT 1 FROM edgerooms_sessions WHERE dropped_at IS NOT NULL")).toHaveLength(1);
  });
});

describe("where the runtime does not tell what a socket holds", () => {
  const chunk = "x".repeat(500_000);

  it("R20: a peer that is sent 4 MiB at once and answers afterwards is not slow", async () => {
    const much = (hook: RoomContext) => void Array.from({ length: 9 }, () => hook.signal(chunk));
    const room = new HostedRoom({ methods: { much } }, { tellsBuffered: false });
    const ann = await room.join();
    for (let ref = 1; ref <= 3; ref++) {
      await room.settled(ann.say({ type: "call", ref, method: "much", data: null }));
      await room.pass(100);
      const heartbeats = ann.of("heartbeat").length;
      await room.settled(room.host.command({ type: "signal", data: 1 }));
      expect(ann.of("heartbeat").length, "it is asked for a sign of life").toBe(heartbeats + 1);
      await room.pass(100);
      ann.ping();
      await room.pass(100);
      await room.settled(room.host.command({ type: "signal", data: 1 }));
    }
    expect(ann.of("bye")).toEqual([]);
    expect(ann.of("reply")).toHaveLength(3);
    expect(ann.readyState).toBe(1);
  });

  it("R20: a snapshot that is too large is null and the hook's failure, and the client stays", async () => {
    const room = new HostedRoom({ snapshot: () => "x".repeat(5_000_000) }, { tellsBuffered: false });
    const ann = await room.join();
    await room.pass(60_000);
    expect(ann.of("snapshot")).toMatchObject([{ data: null }]);
    expect(ann.of("bye")).toEqual([]);
    expect(room.codes).toEqual(["hook_failed"]);
  });
});

it.each([true, false])("R20: signals reach a peer again as soon as it has read (told: %s)", async (tellsBuffered) => {
  const room = new HostedRoom({}, { tellsBuffered });
  const ann = await room.join();
  ann.reads = false;
  for (let i = 0; i < 8; i++) {
    await room.settled(room.host.command({ type: "signal", data: "x".repeat(500_000) }));
    await room.pass(100);
  }
  expect(ann.of("signal").length, "some are lost on who does not read").toBeLessThan(8);
  ann.reads = true;
  ann.drain();
  ann.ping();
  await room.pass(100);
  await room.settled(room.host.command({ type: "signal", data: "again" }));
  expect(ann.of("signal").at(-1)?.data).toBe("again");
});

describe("an alarm", () => {
  it("R21: that fails keeps what a tick has armed sooner", async () => {
    const room = new HostedRoom({
      heartbeat: { every: 600_000, idle: 600_000 },
      methods: { start: (hook) => ["a", "b"].forEach((name) => hook.schedule(name, hook.now + 5_000)) },
      onTimer: (hook, name) => (name === "a" ? hook.schedule("soon", hook.now + 3_000) : undefined),
    });
    const ann = await room.join();
    room.storage.sql.exec(
      "CREATE TRIGGER stuck BEFORE DELETE ON edgerooms_jobs WHEN OLD.name = 'b' BEGIN SELECT RAISE(ABORT, 'x'); END",
    );
    await room.settled(ann.say({ type: "call", ref: 1, method: "start", data: null }));
    await room.pass(5_100);
    expect(room.codes).toContain("storage_failed");
    expect(await room.storage.getAlarm()).toBeLessThanOrEqual(room.now + 3_000);
  });

  it("R21: that was killed before is armed again, durably, before its work", async () => {
    const seen: string[] = [];
    const room = new HostedRoom();
    await room.join();
    await room.storage.deleteAlarm();
    room.storage.fault = (statement) => {
      if (statement.startsWith("INSERT OR REPLACE INTO _cf_METADATA")) seen.push("armed");
      else if (statement === "sync" || statement === "BEGIN") seen.push(statement);
    };
    await room.alarm(1);
    expect(seen.slice(0, 3)).toEqual(["armed", "sync", "BEGIN"]);
    seen.length = 0;
    await room.alarm(0);
    expect(seen, "an alarm that was not killed costs no more than before").not.toContain("sync");
  });
});

describe("sockets that were told good-bye and do not end", () => {
  it.each([40, 20])("R21: count against their user from %i on, as many as it may have connections", async (most) => {
    const room = new HostedRoom({ maxConnectionsPerUser: most });
    for (let i = 0; i < most; i++) await room.join();
    await room.settled(room.host.command({ type: "kick", user: "ann" }));
    expect(await room.connect()).toMatchObject({ ok: false, code: "rate_limited" });
    expect(await room.connect({ user: "bob" }), "others are not kept out").toMatchObject({ ok: true });
  });

  it("R21: do not keep a user out while they are fewer than its connections", async () => {
    const room = new HostedRoom({ maxConnectionsPerUser: 40 });
    for (let i = 0; i < 39; i++) await room.join();
    await room.settled(room.host.command({ type: "kick", user: "ann" }));
    expect(await room.connect()).toMatchObject({ ok: true });
  });
});

describe("while a room is overloaded", () => {
  it("R12, R19: acks and leaves are never refused", async () => {
    const { room, peers } = await crowd();
    const through = flood(peers);
    const last = peers.at(-1);
    const before = last?.of("error").length;
    void last?.say({ type: "ack", offset: 0 });
    void last?.say({ type: "leave" });
    await room.settled(through);
    await room.pass(100);
    expect(last?.of("error")).toHaveLength(before ?? 0);
    expect(last?.of("bye")).toMatchObject([{ reason: "done" }]);
  });

  it("R19: callers that would add to it are refused, those that end it are not", async () => {
    const { room, peers } = await crowd();
    const through = flood(peers);
    const refused = await room.host.command({ type: "publish", data: 1 });
    const kicked = room.host.command({ type: "kick", user: "u1" });
    expect(refused).toMatchObject({ ok: false, code: "rate_limited", retryAfter: 1_000 });
    await room.settled(through);
    expect(await kicked).toMatchObject({ ok: true, value: { sessions: 1 } });
  });

  it("R19: 1,000 programs that publish one after the other do not hold back what a member publishes", async () => {
    const room = new HostedRoom();
    const ann = await room.join();
    await room.pass(1_000);
    const loop = { published: 0, isOver: false };
    const programs = Array.from({ length: 1_000 }, async () => {
      while (!loop.isOver && loop.published < 20_000) {
        await room.host.command({ type: "publish", data: 1 });
        loop.published++;
      }
    });
    let before = -1;
    const member = async () => {
      await ann.say({ type: "publish", ref: 1, data: 1 });
      before = loop.published;
      loop.isOver = true;
    };
    await room.settled(Promise.all([member(), ...programs]));
    expect(ann.of("ack")).toHaveLength(1);
    expect(before, "it waited for those who came before it").toBeLessThan(2_500);
  });

  it.each(["rpc", "http"])("promise 10: what callers bring over %s is bounded by its length", async (door) => {
    const room = new HostedRoom({ maxMessage: 1_048_576 });
    await room.join();
    const data = "x".repeat(1_000_000);
    const usual: Omit<Credentials, "user"> = { grants: ["publish"], issued: 0, expires: Infinity };
    const publish = (user: string) => {
      if (door === "rpc") return room.host.command({ type: "publish", data });
      const caller = { kind: "test", room: "one", requestId: "r", credentials: { ...usual, user } };
      return room.host.operate(caller, { type: "post", data });
    };
    const results = await room.settled(Promise.all(Array.from({ length: 200 }, (_, i) => publish(`u${i}`))));
    const taken = results.filter(({ ok }) => ok).length;
    expect(taken).toBeGreaterThan(30);
    expect(taken).toBeLessThan(40);
    expect(results.at(-1)).toMatchObject({ ok: false, code: "rate_limited", retryAfter: 1_000 });
    expect(await room.settled(publish("last")), "it takes more when that is through").toMatchObject({ ok: true });
  });

  it("R19: more connects than it can open soon are sent away for later, and members are not", async () => {
    const room = new HostedRoom();
    const ann = await room.join();
    // A room that drains answers connects without opening them.
    await room.settled(room.host.command({ type: "drain", within: 3_600_000, reopenAfter: 0 }));
    const storm = Array.from({ length: 8_300 }, () => room.connect({ user: "bob" }));
    void ann.say({ type: "publish", ref: 1, data: 1 });
    const results = await Promise.all(storm);
    const codes = results.map((result) => (result.ok ? "open" : result.code));
    expect(codes.filter((code) => code === "draining").length).toBeGreaterThanOrEqual(8_192);
    expect(results.at(-1)).toMatchObject({ code: "room_full", message: "The room is overloaded.", retryAfter: 1_000 });
    expect(ann.of("ack")).toHaveLength(1);
    expect(await room.connect({ user: "bob" }), "until they have their answers").toMatchObject({ code: "draining" });
  });

  it("promise 10: a peer that reads none of its refusals is cut, and holds no more than any other", async () => {
    const { room, peers } = await crowd();
    const through = flood(peers);
    const deaf = peers.at(-1);
    if (deaf) deaf.reads = false;
    const frames = Array.from({ length: 256 }, (_, data) => ({ type: "signal", data }));
    for (let i = 0; i < 400; i++) void deaf?.say(...frames);
    expect(deaf?.bufferedAmount).toBeLessThan(4.2 * 1_048_576);
    await room.settled(through);
    await room.pass(5_000);
    expect(deaf?.of("bye")).toMatchObject([{ reason: "slow" }]);
  });

  it("R19: a session that did not cause it is let in, and a leave overtakes nothing of its own session", async () => {
    const { room, peers } = await crowd();
    const honest = await room.join({ user: "honest" });
    void room.host.command({ type: "signal", data: 0 });
    const through = flood(peers);
    void honest.say({ type: "publish", ref: 1, data: "said before" }, { type: "leave" });
    await room.settled(through);
    await room.pass(100);
    expect(honest.of("ack")).toMatchObject([{ ref: 1 }]);
    expect(peers[0]?.items.map(({ data }) => data)).toEqual(["said before"]);
  });
});

it("R18: a replay of what is addressed to others ends where its bounds are, not where the log is", async () => {
  const room = new HostedRoom({ rate: { perSecond: 1_000_000, burst: 1_000_000 }, retain: 5_000 });
  const ann = await room.join({ user: "ann" });
  const other = await room.join({ user: "other", credit: true });
  const statements: string[] = [];
  for (let ref = 1; ref <= 300; ref++) {
    await room.settled(ann.say({ type: "publish", ref, data: "x".repeat(20_000), to: ["ann"] }));
  }
  room.storage.fault = (statement) => void statements.push(statement);
  await room.settled(other.say({ type: "sync", offset: 0 }));
  room.storage.fault = undefined;
  // 6 MB are in the log, and credit is 1 MiB.
  expect(statements.filter((statement) => statement.includes("SELECT items")).length).toBeLessThan(100);
  expect(other.of("pub").at(-1)?.upto).toBeLessThan(100);
});
