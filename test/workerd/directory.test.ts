/**
 * One part of the directory: what it lists, for whom and for how long, and that it still reads what earlier versions stored
 * and rooms of earlier versions report.
 */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
// @ts-expect-error Only the bundler knows `?raw`: the file as text.
import httpDoc from "../../docs/reference/http.md?raw";
import { openapi } from "../../src/http/api/openapi.ts";
import { PAGE, type Directory, type Report } from "../../src/ops/directory.ts";
import type { FailureRecord } from "../../src/protocol/api.ts";
import { defineRoom } from "../../src/room/definition.ts";
import { listedFor } from "../../src/room/telemetry/listing.ts";

const part = (name: string) => env.EDGEROOMS_DIRECTORY.getByName(name);

it("a failure that was stored with where has it as its source", async () => {
  const directory = part("old-failures");
  const now = Date.now();
  await directory.failures();
  await runInDurableObject(directory, (_object, { storage: { sql } }) => {
    const store = (slot: number, failure: object) =>
      sql.exec("INSERT INTO edgerooms_notes VALUES (?, ?, ?)", slot, slot + 1, JSON.stringify(failure));
    store(0, { at: now + 1, code: "internal", where: "tick", kind: "chat", room: "a" });
    store(1, { at: now + 2, code: "a_code_of_tomorrow", source: "tick" });
    store(2, { at: now + 3, code: "hook_failed", source: "onPublish" });
  });
  expect(await directory.failures()).toEqual({
    failures: [
      { at: now + 3, code: "hook_failed", source: "onPublish" },
      { at: now + 1, code: "internal", source: "tick", kind: "chat", room: "a" },
    ],
    ends: [],
  });
});

it("counts that were stored are added to what is reported today", async () => {
  const directory = part("old-counts");
  const nothing = { rooms: 0, connections: 0, members: 0, sessions: 0, undelivered_rooms: 0, dead_letters: 0 };
  await runInDurableObject(directory, (_object, { storage: { sql } }) => {
    sql.exec(`INSERT INTO edgerooms_past VALUES ('chat', '{"resumes|reset|log_trimmed":2,"gone":1}')`);
  });
  await directory.count({ "alerts|sent": 1 }, []);
  const report: Report = { kind: "chat", room: "a", connections: 1, members: 1, offset: 0, ttl: 60_000 };
  await directory.update({ ...report, counts: { "resumes|reset|log_trimmed": 3 } });
  expect(await directory.totals()).toEqual({
    "": { ...nothing, counts: { "alerts|sent": 1 } },
    chat: {
      ...nothing,
      rooms: 1,
      connections: 1,
      members: 1,
      counts: { "resumes|reset|log_trimmed": 5, gone: 1 },
    },
  });
});

it("a part that the first version made has every column after its next start", async () => {
  const directory = part("old-table");
  await runInDurableObject(directory, (_object, { storage: { sql } }) => {
    sql.exec(`DROP TABLE edgerooms_directory;
      CREATE TABLE edgerooms_directory (
        kind TEXT, room TEXT, connections INTEGER NOT NULL, members INTEGER NOT NULL, offset INTEGER NOT NULL,
        at INTEGER NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (kind, room)) WITHOUT ROWID;
      INSERT INTO edgerooms_directory VALUES ('chat', 'a', 2, 1, 7, 5, 9e15);`);
  });
  await runInDurableObject(directory, (_object, state) => state.abort("made anew")).catch(() => undefined);
  const again = part("old-table");
  expect(await again.list()).toEqual({
    rooms: [{ kind: "chat", room: "a", connections: 2, members: 1, sessions: 0, offset: 7, at: 5 }],
  });
});

/** A room's report, with what a test says of it. */
const reportOf = (room: string, more: Partial<Report> = {}): Report => {
  const usual = { kind: "chat", connections: 1, members: 1, sessions: 1, offset: 3, ttl: 60_000 };
  return { ...usual, undelivered: { dead: 0, pending: 0 }, room, ...more };
};
const namesOf = ({ rooms }: { rooms: readonly { room: string }[] }) => rooms.map(({ room }) => room).toSorted();

it("E6: rooms with undelivered events are listed whether or not anybody is in them, until they have none", async () => {
  const directory = part("undelivered");
  await directory.update(reportOf("fine"));
  await directory.update(reportOf("dead", { undelivered: { dead: 2, pending: 0 } }));
  await directory.update(reportOf("left", { connections: 0, undelivered: { dead: 1, pending: 0 } }));
  await directory.update(reportOf("held", { undelivered: { dead: 0, pending: 5 } }));
  await directory.update(reportOf("nameless", { kind: "", undelivered: { dead: 1, pending: 0 } }));
  const rooms = async () => (await directory.list({ dead: true })).rooms.toSorted((a, b) => (a.room < b.room ? -1 : 1));
  const at = expect.any(Number) as number;
  const live = { kind: "chat", connections: 1, members: 1, sessions: 1, offset: 3, at };
  const gone = { connections: 0, members: 0, sessions: 0 };
  expect(await rooms()).toEqual([
    { ...live, room: "dead", dead: 2 },
    { ...live, room: "held", pending: 5 },
    { ...live, ...gone, room: "left", dead: 1 },
  ]);
  expect(namesOf(await directory.list())).toEqual(["dead", "fine", "held", "nameless"]);
  expect((await directory.list()).rooms.find(({ room }) => room === "dead")).toMatchObject({ dead: 2 });
  expect((await directory.totals())["chat"]).toMatchObject({ undelivered_rooms: 3, dead_letters: 3 });
  // A room of an earlier version says nothing of them: what is known stays.
  const { undelivered: _, ...older } = reportOf("dead");
  await directory.update(older);
  await directory.update(reportOf("left", { connections: 0 }));
  await directory.update(reportOf("held"));
  expect((await rooms()).map(({ room }) => room)).toEqual(["dead"]);
});

it("E1: a part lists only rooms that one of the patterns matches, and pages by marks that name no room", async () => {
  const directory = part("patterns");
  for (let n = 0; n < 30; n++) await directory.update(reportOf(`acme-${n}`));
  for (let n = 0; n < 4; n++) await directory.update(reportOf(`mine-${n}`, { undelivered: { dead: 1, pending: 0 } }));
  for (const dead of [false, true]) {
    const found: string[] = [];
    const marks: string[] = [];
    for (let after: string | undefined; ;) {
      const page = await directory.list({ patterns: ["chat/mine-*", "game/*"], limit: 2, dead, after });
      found.push(...page.rooms.map(({ room }) => room));
      if (page.after === undefined) break;
      marks.push((after = page.after));
    }
    expect(found.toSorted()).toEqual(["mine-0", "mine-1", "mine-2", "mine-3"]);
    for (const mark of marks) expect(mark).toMatch(/^[0-9a-f]{24}$/);
  }
  expect(await directory.list({ patterns: [] })).toEqual({ rooms: [] });
  expect((await directory.list({ patterns: ["chat/acme-*"] })).rooms).toHaveLength(30);
});

it("E1: a list goes on where it was, when the room at which it was has gone and others have reported", async () => {
  const directory = part("moving");
  for (let n = 0; n < 20; n++) await directory.update(reportOf(`r${n}`));
  const first = await directory.list({ limit: 10 });
  const last = first.rooms.at(-1);
  await directory.update(reportOf(last?.room ?? "", { connections: 0 }));
  for (let n = 0; n < 20; n++) if (`r${n}` !== last?.room) await directory.update(reportOf(`r${n}`, { offset: 9 }));
  const rest = await directory.list({ after: first.after });
  expect([...namesOf(first), ...namesOf(rest)].toSorted()).toEqual(
    Array.from({ length: 20 }, (_, n) => `r${n}`).toSorted(),
  );
});

it("E12: a room whose last report was lost leaves the list after half an hour, as the documents say", async () => {
  const directory = part("ghosts");
  const ttl = listedFor(defineRoom({}).heartbeat.idle);
  const began = Date.now();
  vi.useFakeTimers({ toFake: ["Date"], now: began });
  try {
    await directory.update(reportOf("ghost", { ttl }));
    const isListed = async (minutes: number) => {
      vi.setSystemTime(began + minutes * 60_000);
      return (await directory.list()).rooms.length === 1;
    };
    expect([await isListed(29), await isListed(31)]).toEqual([true, false]);
  } finally {
    vi.useRealTimers();
  }
  expect(ttl).toBe(30 * 60_000);
  const { description = "" } = openapi(["/rooms/:kind/:room"]).paths["/rooms"]?.get ?? {};
  const said = /stays\s(?:listed\s)?for\sup\sto\shalf\san\shour/;
  expect([description, httpDoc as string].map((text) => said.test(text))).toEqual([true, true]);
});

it("E11: records of failures, which can name users, are gone after a week", async () => {
  const directory = part("records");
  const began = Date.now();
  const records = async () =>
    runInDurableObject(directory, (_object, { storage: { sql } }) =>
      sql.exec("SELECT note FROM edgerooms_notes").toArray(),
    );
  vi.useFakeTimers({ toFake: ["Date"], now: began });
  try {
    await directory.count({}, [{ at: began, code: "unauthorized", source: "GET", user: "ann" }]);
    const hour = 3_600_000;
    await directory.count({}, [{ at: began + 6 * 24 * hour, code: "internal", source: "tick", user: "bob" }]);
    expect(await runDurableObjectAlarm(directory)).toBe(true);
    expect(await records()).toHaveLength(2);
    vi.setSystemTime(began + 8 * 24 * hour);
    expect((await directory.failures()).failures.map(({ user }) => user)).toEqual(["bob"]);
    expect(await runDurableObjectAlarm(directory)).toBe(true);
    expect(JSON.stringify(await records())).not.toContain("ann");
    expect(await records()).toHaveLength(1);
    vi.setSystemTime(began + 14 * 24 * hour);
    expect(await runDurableObjectAlarm(directory)).toBe(true);
    expect(await records()).toEqual([]);
    expect(await runDurableObjectAlarm(directory)).toBe(false);
  } finally {
    vi.useRealTimers();
  }
});

it("T18: ends of connections have places of their own: refused frames do not push them out, nor they failures", async () => {
  const directory = part("ends");
  const now = Date.now();
  const record = (n: number, more: Partial<FailureRecord>): FailureRecord => ({
    at: now + n,
    code: "rate_limited",
    source: "publish",
    ...more,
  });
  await directory.count({}, [record(0, { code: "heartbeat_lost", source: "connection", room: "a" })]);
  await directory.count({}, [record(0, { code: "internal", source: "tick" })]);
  for (let n = 1; n <= 30; n++)
    await directory.count(
      {},
      Array.from({ length: 10 }, () => record(n, {})),
    );
  expect((await directory.failures()).ends).toMatchObject([{ code: "heartbeat_lost", room: "a" }]);
  for (let n = 1; n <= 20; n++) {
    await directory.count(
      {},
      Array.from({ length: 10 }, () => record(n, { code: "kicked", source: "connection" })),
    );
  }
  const { failures, ends } = await directory.failures();
  expect(ends).toHaveLength(100);
  expect(failures.filter(({ code }) => code === "internal")).toHaveLength(1);
});

it("E8: a scrape of 3,000 rooms reads their rows once, and then none, whatever is reported; a report reads its own", async () => {
  const directory = part("running");
  const rows = async (happens: (object: Directory) => unknown) =>
    runInDurableObject(directory, async (object, { storage: { sql } }) => {
      const exec = sql.exec.bind(sql);
      const cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
      Object.defineProperty(sql, "exec", {
        configurable: true,
        value: (query: string, ...bindings: unknown[]) => {
          const cursor = exec(query, ...bindings);
          cursors.push(cursor);
          return cursor;
        },
      });
      try {
        await happens(object);
        return cursors.reduce((sum, { rowsRead }) => sum + rowsRead, 0);
      } finally {
        Reflect.deleteProperty(sql, "exec");
      }
    });
  await runInDurableObject(directory, (_object, { storage: { sql } }) => {
    for (const table of ["directory", "undelivered"]) {
      const more = table === "directory" ? ["connections, members, until", "1, 1, 9e15"] : ["dead, pending", "1, 0"];
      sql.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
        INSERT INTO edgerooms_${table} (kind, room, offset, at, mark, ${more[0]})
        SELECT 'chat', 'r' || i, 1, 1, lower(hex(randomblob(12))), ${more[1]} FROM n`);
    }
  });
  const read = {
    first: await rows((object) => object.totals()),
    report: await rows((object) => object.update(reportOf("r7", { counts: { publications: 1 } }))),
    left: await rows((object) => object.update(reportOf("r8", { connections: 0, counts: { publications: 1 } }))),
    again: await rows((object) => object.totals()),
    failures: await rows((object) => {
      for (let n = 0; n < 100; n++) object.count({}, [{ at: Date.now(), code: "bad_frame", source: "publish" }]);
    }),
    page: await rows((object) => object.list({ limit: 10 })),
  };
  console.log(`rows read by the directory: ${JSON.stringify(read)}`);
  expect(read.first).toBeGreaterThanOrEqual(6_000);
  expect(read.again).toBe(0);
  for (const each of [read.report, read.left]) expect(each).toBeLessThan(20);
  // Two for a report, and a hundred once.
  expect(read.failures).toBeLessThan(500);
  expect(read.page).toBeLessThanOrEqual(2 * PAGE);
  expect(await directory.totals()).toMatchObject({
    chat: {
      rooms: 2_999,
      connections: 2_999,
      undelivered_rooms: 2_998,
      dead_letters: 2_998,
      counts: { publications: 2 },
    },
  });
});
