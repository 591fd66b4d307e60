/** What a room holds, writes and sends has a bound, whatever its members do; and what is due comes at its time. */
import { describe, expect, it } from "vitest";
import { CREDIT_BYTES } from "../../src/room/rules/connection.ts";
import { Log } from "../../src/room/store/log.ts";
import { migrate } from "../../src/room/store/schema.ts";
import { HostedRoom, type Peer } from "../support/hosted.ts";
import { NodeStorage } from "../support/sqlite.ts";

const free = { rate: { perSecond: 1_000_000, burst: 1_000_000 } };
const publish = (ref: number, data: unknown) => ({ type: "publish", ref, data });
const bytesOf = (peer: Peer) => peer.messages.reduce((sum, message) => sum + message.length, 0);

describe("refs", () => {
  const SESSIONS = 60;
  const RETAIN = 500;
  const ids = Array.from({ length: SESSIONS }, (_, i) => `session-${String(i).padStart(14, "0")}`);

  /** A log that so many publications went through, 50 a tick, and how many rows a tick wrote in the end. */
  function busyLog(publications: number) {
    const storage = new NodeStorage();
    storage.transactionSync(() => migrate(storage.sql));
    const log = new Log(storage.sql, RETAIN, () => true);
    const changes = () => Number(storage.sql.exec("SELECT total_changes() AS n").one()["n"]);
    let rows = 0;
    for (let n = 0; n < publications;) {
      for (let i = 0; i < 50; i++, n++) {
        const ref = Math.floor(n / SESSIONS) + 1;
        log.append({ by: "u", at: 1_795_446_734_704 + n, data: "x" }, { session: ids[n % SESSIONS] ?? "", ref });
      }
      const before = changes();
      log.commit();
      log.settle();
      if (n > publications / 2) rows += changes() - before;
    }
    return { storage, log, rowsPerTick: rows / (publications / 2 / 50) };
  }

  it("R2: are remembered up to 256 a session beyond the log, in memory and in rows alike", () => {
    const { storage, log, rowsPerTick } = busyLog(60_000);
    expect(log.refs.size).toBeLessThanOrEqual(SESSIONS * 256 + 2 * RETAIN);
    expect(rowsPerTick).toBeLessThanOrEqual(1.2);
    const { length } = storage.sql.exec("SELECT sum(length(refs)) AS length FROM edgerooms_ref_chunks").one();
    expect(Number(length)).toBeLessThanOrEqual(3 * SESSIONS * 256 * 30);
  });

  it("R2: have the same answers after waking", () => {
    const { storage, log } = busyLog(20_000);
    const woken = new Log(storage.sql, RETAIN, () => true);
    expect(woken.refs.size).toBe(log.refs.size);
    for (const id of ids) {
      const refs = Array.from({ length: 340 }, (_, i) => i + 1);
      expect(refs.map((ref) => woken.refs.find(id, ref))).toEqual(refs.map((ref) => log.refs.find(id, ref)));
    }
  });
});

describe("signals", () => {
  it("R3: of a tick are no more than a tick of publications may be", async () => {
    const room = new HostedRoom(free);
    const ann = await room.join({ user: "ann" });
    const deaf = await room.join({ user: "deaf" });
    deaf.reads = false;
    const data = "x".repeat(60_000);
    for (let i = 0; i < 400; i++) void ann.say({ type: "signal", data });
    await room.pass(5_000);
    expect(Math.max(...deaf.messages.map(({ length }) => length))).toBeLessThanOrEqual(1_200_000);
    expect(deaf.bufferedAmount).toBeLessThan(4 * 1_048_576);
  });

  it("R3: are lost on a peer that is behind, and do not end its connection", async () => {
    const room = new HostedRoom(free);
    const ann = await room.join({ user: "ann" });
    const slow = await room.join({ user: "slow", credit: true });
    slow.reads = false;
    for (let i = 0; i < 200; i++) {
      void ann.say({ type: "signal", data: "x".repeat(50_000) });
      await room.pass(60);
    }
    expect(slow.of("bye")).toEqual([]);
    expect(slow.bufferedAmount).toBeLessThan(1_048_576);
    slow.reads = true;
    slow.drain();
    await room.settled(ann.say(publish(1, "go on")));
    await room.settled(ann.say({ type: "signal", data: "heard" }));
    await room.pass(100);
    expect(slow.items.map((item) => item.data)).toEqual(["go on"]);
    expect(slow.of("signal").at(-1)?.data).toBe("heard");
  });

  it.each(["signal", "publish"] as const)("R3: a hook cannot %s more than a message may hold", async (verb) => {
    const room = new HostedRoom({ methods: { shout: (self) => self[verb]("x".repeat(1_100_000)) } });
    const ann = await room.join();
    await room.settled(ann.say({ type: "call", ref: 1, method: "shout", data: null }));
    await room.pass(100);
    expect(ann.of("reply")[0]?.error).toMatchObject({ code: "hook_failed" });
    expect(bytesOf(ann)).toBeLessThan(10_000);
  });

  it("R3, R20: a reply or a snapshot larger than a message is an error, once, and no end of the connection", async () => {
    const big = "x".repeat(5_000_000);
    const room = new HostedRoom({ snapshot: () => big, methods: { all: () => big } }, { tellsBuffered: false });
    const ann = await room.join();
    await room.settled(ann.say({ type: "call", ref: 1, method: "all", data: null }));
    await room.pass(60_000);
    expect(ann.of("snapshot").map(({ data }) => data)).toEqual([null]);
    expect(ann.of("reply")[0]?.error).toMatchObject({ code: "hook_failed" });
    expect(ann.of("bye")).toEqual([]);
  });
});

it("R4: sockets that were told to go are remembered while the room sleeps", async () => {
  const room = new HostedRoom({ maxConnectionsPerUser: 16 });
  let refused = 0;
  for (let i = 0; i < 40; i++) {
    const result = await room.connect({ user: "eve" });
    if (!result.ok) {
      expect(result.code).toBe("rate_limited");
      refused++;
      continue;
    }
    const [eve] = [...room.sockets].slice(-1);
    void eve?.say({ type: "leave" });
    await room.pass(3_000);
    await room.evict();
  }
  expect(refused).toBe(24);
  await room.join({ user: "ann" });
});

it("R6: 200,000 timers stop neither a publish nor a connect", async () => {
  const room = new HostedRoom();
  const ann = await room.join();
  room.storage.transactionSync(() => {
    for (let i = 0; i < 200_000; i++) {
      room.storage.sql.exec(
        "INSERT INTO edgerooms_jobs (name, due, tries, data) VALUES (?, ?, 0, 'null')",
        `t${i}`,
        room.now + 86_400_000,
      );
    }
  });
  await room.evict();
  await room.settled(ann.say(publish(1, "still here")));
  await room.join({ user: "bob" });
  await room.pass(100);
  expect(ann.of("ack")).toMatchObject([{ ref: 1, offset: 1 }]);
});

describe("presence", () => {
  const full = "p".repeat(2_000);

  it("R8: of one user has a bound, however many sessions it has", async () => {
    const room = new HostedRoom(free);
    const peers: Peer[] = [];
    for (let i = 0; i < 12; i++) peers.push(await room.join({ user: "eve" }));
    for (const peer of peers) await room.settled(peer.say({ type: "presence", data: full }));
    await room.pass(100);
    const [sum] = room.rows("SELECT sum(length(data)) AS n FROM edgerooms_sessions");
    expect(Number(sum?.["n"])).toBeLessThanOrEqual(8_192);
    expect(peers.flatMap((peer) => peer.of("error"))).toEqual([]);
  });

  it("R8: can shrink in a room that is full of it, and goes with the leave", async () => {
    const room = new HostedRoom({ ...free, grace: 1_000 });
    const peers: Peer[] = [];
    for (let i = 0; i < 263; i++) {
      const peer = await room.join({ user: `u${i}` });
      peers.push(peer);
      await room.settled(peer.say({ type: "presence", data: full }));
    }
    await room.pass(100);
    const [first, second, last] = [peers[0], peers[1], peers.at(-1)];
    expect(last?.of("error")).toMatchObject([{ code: "rejected", frame: "presence" }]);
    expect(last?.of("error")[0]?.message).toContain("all the presence data");
    const [sum] = room.rows("SELECT sum(length(data)) AS n FROM edgerooms_sessions");
    expect(Number(sum?.["n"])).toBeLessThanOrEqual(524_288);
    void first?.say({ type: "presence", data: null });
    await room.pass(100);
    expect(first?.of("error")).toEqual([]);
    await second?.end();
    await room.pass(5_000);
    void last?.say({ type: "presence", data: full });
    await room.pass(100);
    expect(last?.of("error")).toHaveLength(1);
    expect(room.rows("SELECT data FROM edgerooms_sessions WHERE user = 'u1'")).toEqual([{ data: null }]);
  });
});

it("R9: a heartbeat that a failed alarm did not send is not counted as unanswered", async () => {
  const room = new HostedRoom({ heartbeat: { every: 30_000, idle: 30_000, misses: 1 } });
  const ann = await room.join();
  const bob = await room.join({ user: "bob" });
  await room.ring();
  for (const peer of [ann, bob]) peer.ping();
  let isBroken = true;
  room.storage.fault = (what) => {
    // The simulated clock reads the alarm: only what the room does fails.
    if (isBroken && !what.includes("_cf_")) throw new Error("disk I/O error: SQLITE_IOERR");
  };
  await room.pass(30_000);
  expect(ann.of("heartbeat").length).toBe(1);
  isBroken = false;
  await room.evict();
  await room.pass(31_000);
  expect([...ann.of("bye"), ...bob.of("bye")]).toEqual([]);
  expect(ann.of("heartbeat").length).toBeGreaterThan(1);
});

it("R10: credit of 1 MiB holds where the log is shorter than that", async () => {
  const room = new HostedRoom({ ...free, retain: 5 });
  const ann = await room.join({ user: "ann" });
  const slow = await room.join({ user: "slow", credit: true });
  const data = "x".repeat(1_900);
  for (let ref = 1; ref <= 900; ref++) {
    await room.settled(ann.say(publish(ref, data)));
    await room.pass(60);
  }
  const before = bytesOf(slow);
  expect(before).toBeLessThan(CREDIT_BYTES + 65_536);
  // Acknowledging what has left the log gives back no more than was read.
  await room.settled(slow.say({ type: "ack", offset: 10 }));
  await room.pass(100);
  expect(slow.of("snapshot").at(-1)).toMatchObject({ reason: "log_trimmed" });
});

it("R10: an ack of what a short log has let go gives back what was read, and no more", async () => {
  const room = new HostedRoom({ ...free, retain: 5 });
  const ann = await room.join({ user: "ann" });
  const slow = await room.join({ user: "slow", credit: true });
  const data = "x".repeat(1_900);
  for (let ref = 1; ref <= 1_000; ref++) {
    await room.settled(ann.say(publish(ref, data)));
    await room.pass(60);
    if (ref === 500) await room.settled(slow.say({ type: "ack", offset: 10 }));
  }
  expect(bytesOf(slow)).toBeLessThan(CREDIT_BYTES + 131_072);
});

it("the log keeps less than was asked once it holds too many bytes, and resets a client that is behind", async () => {
  const room = new HostedRoom({ ...free, retain: 1_000 });
  const ann = await room.join({ user: "ann" });
  const bob = await room.join({ user: "bob" });
  const { session, epoch } = bob.welcome;
  await bob.end();
  for (let ref = 1; ref <= 340; ref++) await room.settled(ann.say(publish(ref, "z".repeat(60_000))));
  const [{ kept } = {}] = room.rows("SELECT sum(bytes) AS kept FROM edgerooms_log");
  expect(Number(kept)).toBeLessThan(18 * 1_048_576);
  expect(Number(kept)).toBeGreaterThan(15 * 1_048_576);
  const back = async (offset: number, credit = false) =>
    (await room.join({ user: "bob", resume: { session, position: { epoch, offset } }, credit })).welcome;
  expect((await back(0)).reason).toBe("log_trimmed");
  // Still in the log, but more than a client without credit can be sent at once.
  expect((await back(240)).reason).toBe("too_far");
  expect((await back(240, true)).resumed).toBe(true);
});

describe("what this room does not know", () => {
  it("R11: as an operator's command is refused, and no success", async () => {
    const room = new HostedRoom();
    await room.join();
    expect(await room.operate({ type: "purge" } as never)).toMatchObject({ ok: false, code: "bad_request" });
  });

  it("R11: as a command of a caller is refused, and no success", async () => {
    const room = new HostedRoom();
    const answer = await room.settled(room.host.command({ type: "purge" } as never));
    expect(answer).toMatchObject({ ok: false, code: "bad_request" });
    expect(room.failures).toEqual([]);
  });
});

it("promise 7: an alarm that could not be set is set again", async () => {
  const room = new HostedRoom();
  const set = room.storage.setAlarm.bind(room.storage);
  let failures = 0;
  await room.pass(1);
  room.storage.setAlarm = (at) => (failures++ < 2 ? Promise.reject(new Error("SQLITE_FULL")) : set(at));
  await room.join();
  expect(await room.storage.getAlarm()).toBeNull();
  await room.pass(5_000);
  expect(await room.storage.getAlarm()).toBe(room.now - 5_000 + 30_000);
  expect(room.codes.filter((code) => code === "storage_failed")).toHaveLength(2);
});
