/** How what rooms count reaches the directory, and that nothing of it is lost or told twice on the way; what that costs. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { reportNow } from "../../src/ops/reporting.ts";
import type { Report } from "../../src/ops/directory.ts";
import { allFailures, Shards } from "../../src/ops/shards.ts";
import { dataPointDoubles } from "../../src/ops/metrics.ts";
import type { FailureRecord } from "../../src/room/telemetry/failure.ts";
import { shardOf } from "../../src/room/telemetry/listing.ts";
import { defineRoom } from "../../src/server.ts";
import { Client, sign, upgrade } from "../support/client.ts";
import { ask } from "../support/contract.ts";
import { worker } from "../support/door.ts";
import { eventually } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";
import { equip, Log, marked, scrape } from "../support/watching.ts";

let log: Log;

beforeEach(() => {
  log = new Log();
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** What is counted of a kind from now on. */
async function since(kind: string) {
  const before = await scrape();
  return async (series: string, labels = "") => {
    const name = `${series}_total{kind="${kind}"${labels}}`;
    return (await scrape()).of(name) - before.of(name);
  };
}

/** Ten minutes begin at this moment. It is yet to come: no alarm of a room whose clock stands there rings by itself. */
const AHEAD = Math.ceil(Date.now() / 600_000 + 6) * 600_000;
const ttl = "1d";

const failures = async () => (await ask<{ failures: FailureRecord[] }>("GET", "/failures")).body.failures;

describe("what was counted", () => {
  it("is reported once, whichever socket carried it and whichever is gone when the room wakes", async () => {
    const more = await since("events");
    const room = new TestedRoom("events");
    room.stopClock(AHEAD);
    const { client: ann } = await Client.join(room.path, { user: "ann", ttl });
    const { client: bob, welcome } = await Client.join(room.path, { user: "bob", ttl });
    // Told as heartbeats pass minutes, in turns carried by ann's and by bob's socket.
    for (const [i, client] of [ann, bob, ann, bob].entries()) {
      await client.publish(i + 1, i);
      await room.evict();
      await room.pass(60_000);
      await room.evict();
      await eventually(async () => expect(await more("publications")).toBe(i + 1));
    }
    // Carried by bob's socket and not told: its own end is what wakes the room.
    await bob.publish(5, 5);
    await room.evict();
    await bob.close();
    await room.dropped(welcome.session);
    await room.evict();
    await ann.close();
    await eventually(async () => expect(await more("publications")).toBe(5));
    expect(await more("connects")).toBe(2);
    // What was missed is less than an event: nobody was.
    expect(await more("deliveries")).toBe(10);
  });

  it("is told once, though a tick that storage refuses throws away what the room has in memory", async () => {
    const more = await since("small");
    const room = new TestedRoom("small");
    const { client } = await Client.join(room.path);
    await client.publish(1, 1);
    await room.sql(`CREATE TRIGGER poison BEFORE INSERT ON edgerooms_log WHEN NEW.items LIKE '%poison%'
      BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END`);
    for (let ref = 2; ref <= 4; ref++) {
      client.send({ type: "publish", ref, data: "poison" });
      await client.next("error");
    }
    await client.publish(5, 5);
    await client.close();
    await eventually(async () => expect(await more("publications")).toBe(2));
    expect(await more("errors", ',code="storage_failed"')).toBe(3);
    expect([await more("connects"), await more("wakeups")]).toEqual([1, 1]);
  });

  it("is told again when the directory never answers: a report that hangs ends after ten seconds", async () => {
    const more = await since("small");
    const room = new TestedRoom("small");
    room.stopClock(AHEAD);
    const hanging = { getByName: () => ({ update: () => new Promise(() => {}) }) };
    await equip(room, { env: { EDGEROOMS_DIRECTORY: hanging } });
    // Time flies for what waits exactly as long as a report may take.
    const { setTimeout: real } = globalThis;
    vi.spyOn(globalThis, "setTimeout").mockImplementation((run: () => void, ms?: number) =>
      real(run, ms === 10_000 ? 0 : ms),
    );
    const { client } = await Client.join(room.path, { ttl });
    await eventually(() => expect(log.of("upstream_failed")).toHaveLength(1));
    expect(log.of("upstream_failed")[0]).toMatchObject({
      source: "directory",
      message: "TimeoutError: the directory did not answer in 10000 ms",
    });
    await room.evict();
    await client.close();
    await eventually(async () => expect(await more("connects")).toBe(1));
  });

  it("is told again when the directory is out of order, with what went wrong, also after an eviction", async () => {
    const more = await since("small");
    const room = new TestedRoom("small");
    room.stopClock(AHEAD);
    const down = { getByName: () => ({ update: () => Promise.reject(new Error("the directory is down")) }) };
    await equip(room, { env: { EDGEROOMS_DIRECTORY: down } });
    const { client } = await Client.join(room.path, { ttl });
    await eventually(() => expect(log.of("upstream_failed")).toHaveLength(1));
    expect(log.of("upstream_failed")[0]).toMatchObject({ source: "directory", kind: "small", room: room.name });
    client.send({ type: "call", ref: 1, method: "none", data: null });
    await client.next("reply");
    await client.publish(1, 1);
    await room.pass(60_000);
    await eventually(() => expect(log.of("upstream_failed")).toHaveLength(2));
    // The real directory is bound again; what was not told is with the socket.
    await room.evict();
    await client.close();
    await eventually(async () => expect(await more("publications")).toBe(1));
    expect(await more("connects")).toBe(1);
    expect(await more("errors", ',code="upstream_failed"')).toBe(2);
    const told = (await failures()).filter((failure) => failure.room === room.name).map(({ code }) => code);
    expect(told.toSorted()).toEqual(["unknown_method", "upstream_failed", "upstream_failed"]);
  });

  it("survives a part of the directory that restarts, and rooms that were lost", async () => {
    const kind = `lost-${crypto.randomUUID().slice(0, 8)}`;
    const report = { kind, room: "r", connections: 2, members: 1, sessions: 3, offset: 7, notes: [] };
    const name = String(shardOf(kind, "r"));
    const shard = () => env.EDGEROOMS_DIRECTORY.getByName(name);
    await shard().update({ ...report, ttl: 60_000, counts: { publications: 5 } });
    await shard().update({ ...report, ttl: 60_000, counts: { publications: 1, "errors|internal": 1 } });
    const crash = "Instance dispose: killed by a test";
    await runInDurableObject(shard(), (_directory, state) => state.abort(crash)).catch(() => undefined);
    const read = async () => {
      const reading = await scrape();
      const gauges = ["rooms", "connections", "members", "sessions"].map((each) =>
        reading.of(`${each}{kind="${kind}"}`),
      );
      return [...gauges, reading.of(`publications_total{kind="${kind}"}`)];
    };
    expect(await read()).toEqual([1, 2, 1, 3, 6]);
    // It was silent for longer than it said; then it comes back.
    await shard().update({ ...report, ttl: -1, counts: {} });
    expect(await read()).toEqual([0, 0, 0, 0, 6]);
    await shard().update({ ...report, ttl: 60_000, counts: { publications: 2 } });
    expect(await read()).toEqual([1, 2, 1, 3, 8]);
    await shard().update({ ...report, connections: 0, ttl: 0, counts: { publications: 1 } });
    expect(await read()).toEqual([0, 0, 0, 0, 9]);
    expect((await scrape()).of(`errors_total{kind="${kind}",code="internal"}`)).toBe(1);
  });

  it("finds its place in a directory that the first version wrote", async () => {
    const shard = env.EDGEROOMS_DIRECTORY.getByName(`old-${crypto.randomUUID()}`);
    await runInDurableObject(shard, (_directory, { storage: { sql } }) => {
      for (const table of ["directory", "past", "notes"]) sql.exec(`DROP TABLE edgerooms_${table}`);
      sql.exec(`
        CREATE TABLE edgerooms_directory (
          kind TEXT, room TEXT, connections INTEGER NOT NULL, members INTEGER NOT NULL, offset INTEGER NOT NULL,
          at INTEGER NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (kind, room)) WITHOUT ROWID`);
      sql.exec(
        "INSERT INTO edgerooms_directory VALUES ('relay', 'old', 2, 1, 9, ?, ?)",
        Date.now(),
        Date.now() + 60_000,
      );
    });
    for (let time = 0; time < 2; time++) {
      await evictDurableObject(shard);
      expect(await shard.list()).toMatchObject({
        rooms: [{ room: "old", connections: 2, sessions: 0, offset: 9 }],
      });
    }
    const report: Report = { kind: "relay", room: "old", connections: 1, members: 1, offset: 9, ttl: 60_000 };
    await shard.update({ ...report, sessions: 2, counts: { signals: 3 } });
    // A room of the first version tells no counts.
    await shard.update(report);
    expect(await shard.totals()).toEqual({
      relay: {
        rooms: 1,
        connections: 1,
        members: 1,
        sessions: 0,
        undelivered_rooms: 0,
        dead_letters: 0,
        counts: { signals: 3 },
      },
    });
  });
});

describe("failures", () => {
  it("are told newest first, at most a hundred, and without whose they were", async () => {
    const rooms = [new TestedRoom("small"), new TestedRoom("small")];
    for (const [i, room] of rooms.entries()) {
      room.stopClock(Date.now() + i * 1_000);
      const { client } = await Client.join(room.path);
      client.send({ type: "call", ref: 1, method: "none", data: "secret" });
      await client.next("reply");
      await client.close();
    }
    const mine = async () => (await failures()).filter(({ room }) => rooms.some(({ name }) => name === room));
    await eventually(async () => expect(await mine()).toHaveLength(2));
    expect((await mine()).map(({ room }) => room)).toEqual([rooms[1]?.name, rooms[0]?.name]);
    const ids = { requestId: expect.any(String), traceId: expect.any(String) };
    const what = { at: expect.any(Number), code: "unknown_method", severity: "warn", source: "call", kind: "small" };
    expect((await mine())[0]).toEqual({ ...what, ...ids, room: rooms[1]?.name });

    const shard = env.EDGEROOMS_DIRECTORY.getByName("3");
    const began = Date.now();
    const note = (n: number): FailureRecord => ({ at: began + n, code: "internal", source: `many ${n}` });
    for (let n = 1; n <= 120; n += 20)
      await shard.count(
        {},
        Array.from({ length: 20 }, (_, i) => note(n + i)),
      );
    // A room of this test may be in this part too.
    const there = (await shard.failures()).failures
      .map(({ source }) => source)
      .filter((source) => source.startsWith("many"));
    expect(there).toEqual(Array.from({ length: 100 }, (_, i) => `many ${120 - i}`));
    const newest = note(86_400_000);
    await env.EDGEROOMS_DIRECTORY.getByName("15").count({}, [newest]);
    const all = await failures();
    expect(all).toHaveLength(100);
    expect(all[0]).toMatchObject(newest);
    expect(all.map(({ at }) => at)).toEqual(all.map(({ at }) => at).toSorted((a, b) => b - a));
  });
});

it("what is no failure is none, although it is counted", async () => {
  const { headers, ids } = marked();
  const token = await sign("ann", {}, Math.floor(Date.now() / 1_000) - 60);
  const before = await scrape();
  await upgrade("relay/r", { token, headers });
  const series = 'errors_total{kind="",code="token_expired"}';
  expect((await scrape()).of(series) - before.of(series)).toBe(1);
  expect((await failures()).filter(({ requestId }) => requestId === ids.requestId)).toEqual([]);
  expect(log.texts).toEqual([]);
});

describe("data points", () => {
  it("are written for every report, source Analytics Engine is bound", async () => {
    const points: AnalyticsEngineDataPoint[] = [];
    const room = new TestedRoom("small");
    await equip(room, {
      env: { EDGEROOMS_ANALYTICS: { writeDataPoint: (point: AnalyticsEngineDataPoint) => points.push(point) } },
    });
    const { client } = await Client.join(room.path);
    await client.publish(1, 1);
    await client.close();
    await eventually(() => expect(points).toHaveLength(2));
    const values = points.map(
      ({ doubles = [] }) =>
        (name: (typeof dataPointDoubles)[number]) =>
          doubles[dataPointDoubles.indexOf(name)],
    );
    for (const { indexes, blobs, doubles } of points) {
      expect(indexes).toEqual(["small"]);
      expect(blobs).toEqual(["small", room.name]);
      expect(doubles).toHaveLength(dataPointDoubles.length);
    }
    const names = ["connections", "connects", "publications", "deliveries", "wakeups"] as const;
    expect(values.map((of) => names.map(of))).toEqual([
      [1, 1, 0, 0, 1],
      [0, 0, 1, 1, 0],
    ]);
  });
});

describe("an idle room", () => {
  it("costs a row and an alarm for a heartbeat, and a word to the directory every ten minutes", async () => {
    const room = new TestedRoom();
    const told: Report[] = [];
    const delivered: unknown[] = [];
    const update = (report: Report) => Promise.resolve(void told.push(report));
    await equip(room, {
      // Nobody answers in the time of a clock that stands ahead.
      definition: defineRoom({
        heartbeat: { every: "240s", idle: "240s", misses: 100 },
        events: { to: (batch) => Promise.resolve(void delivered.push(batch)) },
      }),
      env: { EDGEROOMS_DIRECTORY: { getByName: () => ({ update }) } },
    });
    room.stopClock(AHEAD);
    const { client: ann } = await Client.join(room.path, { user: "ann", ttl });
    const { client: bob } = await Client.join(room.path, { user: "bob", ttl });
    await eventually(() => expect(delivered.length).toBeGreaterThan(0));
    let time = AHEAD;
    const expected: number[] = [];
    const rows: number[] = [];
    // Until it is quiet, and from then on for more than two hours.
    for (let heartbeat = 1; heartbeat <= 40; heartbeat++) {
      const due = (await room.alarm()) ?? 0;
      const before = await room.rowsWritten();
      // As the runtime rings: the test runner's way of it writes a row of its own.
      room.stopClock(due);
      const info = { isRetry: false, retryCount: 0, scheduledTime: due };
      await runInDurableObject(room.stub, (object) => object.alarm(info));
      await Promise.all([ann, bob].map((client) => client.until(() => client.of("heartbeat").length === heartbeat)));
      rows.push((await room.rowsWritten()) - before);
      // Before the first heartbeat somebody came: that is told with the minute.
      if (heartbeat === 1 || Math.floor(time / 600_000) !== Math.floor(due / 600_000)) expected.push(heartbeat);
      time = due;
    }
    expect(time - AHEAD).toBeGreaterThan(7_200_000);
    expect(rows.slice(1)).toEqual(Array(39).fill(1));
    // With the first connection, and as heartbeats passed ten minutes.
    expect(told).toHaveLength(1 + expected.length);
    expect(expected.length).toBeLessThan(19);
    const alarms = told.reduce((sum, { counts }) => sum + (counts?.["alarms"] ?? 0), 0);
    const left = (await ask<{ counts: Record<string, number> }>("GET", `/rooms/${room.path}/stats`)).body.counts;
    expect(alarms + (left["alarms"] ?? 0)).toBe(40);
    expect(told.slice(1).map(({ counts }) => counts?.["wakeups"] ?? 0)).toEqual(expected.map(() => 0));
  });

  it("is in memory for nothing but its heartbeats", async () => {
    const room = new TestedRoom("events");
    room.stopClock(AHEAD);
    const { client } = await Client.join(room.path, { ttl });
    await eventually(() => expect(room.receiver.taken.length).toBeGreaterThan(0));
    for (let heartbeat = 1; heartbeat <= 8; heartbeat++) {
      await room.evict();
      await room.pass(400);
      await client.until(() => client.of("heartbeat").length === heartbeat && pongs(client) === heartbeat);
    }
    // Its answer to the last one did not wake it, nor did anything else.
    expect(await room.wasAwake()).toBe(true);
    client.socket.send("ping");
    await client.until(() => pongs(client) === 9);
    expect(await room.wasAwake()).toBe(false);
  });
});

const pongs = (client: Client) => client.messages.filter((text) => text === "pong").length;

it("failures that are grave stay, however many strangers are refused and whatever members send", async () => {
  const room = new TestedRoom("chat");
  const { client } = await Client.join(room.path);
  client.send({ type: "publish", ref: 1, data: "throw" });
  await client.next("error");
  for (let i = 0; i < 6; i++) client.socket.send("nonsense");
  await client.until(() => client.of("error").length === 7);
  await client.close();
  const grave = async () =>
    (await allFailures(new Shards([env.EDGEROOMS_DIRECTORY]))).value.failures.filter(
      (note) => note.code === "hook_failed" && note.room === room.name,
    );
  await eventually(async () => expect(await grave()).toHaveLength(1));
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 20; i++) await (await worker(new Request(`http://edge.test/rooms/chat/x${i}/log`))).text();
    await reportNow(env);
  }
  expect(await grave()).toHaveLength(1);

  const part = env.EDGEROOMS_DIRECTORY.getByName("5");
  const [one] = await grave();
  await part.count({}, one ? [{ ...one, source: "here" }] : []);
  for (let n = 0; n < 150; n++) await part.count({}, [{ at: Date.now() + n, code: "unauthorized", source: "many" }]);
  expect((await part.failures()).failures.filter(({ source }) => source === "here")).toHaveLength(1);
});
