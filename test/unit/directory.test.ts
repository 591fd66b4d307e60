/** One part of the directory in plain Node: what a look at it may cost, and what a deploy that is taken back leaves in it. */
import { expect, it, vi } from "vitest";
import { Directory, MAX_ROWS, type Report } from "../../src/ops/directory.ts";
import { KEPT_MS } from "../../src/ops/records.ts";
import { randomFrom } from "../support/random.ts";
import { eventually } from "../support/patience.ts";
import { NodeStorage } from "../support/sqlite.ts";

vi.mock("cloudflare:workers", () => ({
  DurableObject: class {
    readonly ctx: unknown;
    constructor(ctx: unknown) {
      this.ctx = ctx;
    }
  },
}));

/** The object over a storage, as it is when it starts. */
const start = (storage: NodeStorage) => new Directory({ storage } as unknown as DurableObjectState, {});

const reportOf = (room: string): Report => {
  const usual = { kind: "chat", connections: 1, members: 1, sessions: 1, offset: 3, ttl: 60_000 };
  return { ...usual, undelivered: { dead: 0, pending: 0 }, room };
};

/** All pages of a list, by the names of their rooms. */
function pagesOf(directory: Directory, patterns?: readonly string[]): string[][] {
  const pages: string[][] = [];
  for (let after: string | undefined, isFirst = true; isFirst || after !== undefined; isFirst = false) {
    const page = directory.list({ ...(patterns && { patterns }), after });
    pages.push(page.rooms.map(({ room }) => room));
    after = page.after;
  }
  return pages;
}

/** What the version before marks writes with a room's report. */
const OLD_REPORT = `INSERT OR REPLACE INTO edgerooms_directory
  (kind, room, connections, members, sessions, offset, at, until, counts) VALUES ('chat', ?, 1, 1, 1, 3, 1, 9e15, '{}')`;

it("E1: rooms that an older version has written are listed when the newer one starts again", () => {
  const storage = new NodeStorage();
  start(storage).update(reportOf("a"));
  for (const room of ["a", "b"]) storage.sql.exec(OLD_REPORT, room);
  const again = start(storage);
  expect(
    again
      .list()
      .rooms.map(({ room }) => room)
      .toSorted(),
  ).toEqual(["a", "b"]);
});

it("E1: a report marks the row of a room that has no mark, and leaves the mark of one that has", () => {
  const storage = new NodeStorage();
  const directory = start(storage);
  directory.update(reportOf("a"));
  const mark = () => storage.sql.exec("SELECT mark FROM edgerooms_directory WHERE room = 'a'").one()["mark"];
  const first = mark();
  directory.update(reportOf("a"));
  expect(mark()).toBe(first);
  // Both versions run for a moment while a deploy goes on, over one storage.
  storage.sql.exec(OLD_REPORT, "a");
  expect(mark()).toBeNull();
  directory.update(reportOf("a"));
  expect(directory.list().rooms).toHaveLength(1);
});

it("E11: records that a version without an alarm has left get one when the newer one starts", async () => {
  const storage = new NodeStorage();
  const now = Date.now();
  start(storage).count({}, [{ at: now - KEPT_MS, code: "internal", source: "tick", user: "ann" }]);
  await eventually(async () => (await storage.getAlarm()) !== null, { what: "an alarm" });
  await storage.deleteAlarm();
  const again = start(storage);
  await eventually(async () => (await storage.getAlarm()) !== null, { what: "an alarm" });
  await storage.deleteAlarm();
  await again.alarm();
  expect(storage.sql.exec("SELECT 1 FROM edgerooms_notes").toArray()).toEqual([]);
  expect(await storage.getAlarm()).toBeNull();
  start(storage);
  expect(await storage.getAlarm()).toBeNull();
});

/** A part with so many live rooms. */
function filled(rooms: number): Directory {
  const storage = new NodeStorage();
  const directory = start(storage);
  storage.sql.exec(
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
     INSERT INTO edgerooms_directory (kind, room, connections, members, offset, at, until, mark)
     SELECT 'chat', 'r' || i, 1, 1, 1, 1, 9e15, lower(hex(randomblob(12))) FROM n`,
    rooms,
  );
  return directory;
}

it("E1: one call looks at a bounded number of rooms, and a list of none of them comes to its end", () => {
  const directory = filled(2 * MAX_ROWS + 1);
  expect(pagesOf(directory, ["chat/nobody"])).toEqual([[], [], []]);
  expect(pagesOf(directory, ["chat/r7"]).flat()).toEqual(["r7"]);
  expect(new Set(pagesOf(directory).flat()).size).toBe(2 * MAX_ROWS + 1);
});

it("E1: the more patterns a token has, the fewer rooms one call compares with them", () => {
  const directory = filled(500);
  const patterns = Array.from({ length: 200 }, (_, n) => `*a*a*a*a*a*x*y${n}`.padEnd(50, "*"));
  const pages = pagesOf(directory, [...patterns, "chat/r7"]);
  expect(pages.length).toBeGreaterThan(5);
  expect(pages.flat()).toEqual(["r7"]);
  // A pattern longer than all that a call may compare: still one room at a time.
  expect(pagesOf(filled(3), ["*".repeat(600_000)]).flat()).toHaveLength(3);
});

it("E8: totals that were kept with every report are those that storage adds up to", () => {
  const random = randomFrom(7);
  const pick = (most: number) => Math.floor(random() * most);
  const storage = new NodeStorage();
  const directory = start(storage);
  vi.useFakeTimers({ toFake: ["Date"], now: 1_000_000 });
  try {
    directory.totals();
    for (let i = 0; i < 2_000; i++) {
      vi.setSystemTime(Date.now() + pick(20_000));
      const undelivered = pick(3) === 0 ? undefined : { dead: pick(3), pending: pick(2) };
      directory.update({
        ...reportOf(`r${pick(30)}`),
        kind: ["chat", "game", ""][pick(3)] ?? "",
        connections: pick(3),
        members: pick(3),
        sessions: pick(4),
        undelivered,
        ttl: 60_000 + pick(600_000),
        counts: pick(2) === 0 ? {} : { publications: pick(5) + 1, [`errors|${pick(3)}`]: 1 },
        own: pick(9) === 0 ? { "alerts|sent": 1 } : {},
      } as Report);
      if (pick(20) === 0) directory.count({ "http_requests|GET|/|200": 1 }, []);
      if (pick(10) > 0) continue;
      // Rooms that are lost are searched for once a minute.
      vi.setSystemTime(Date.now() + 61_000);
      // The other one has read nothing of it before: it has what storage says.
      expect(directory.totals(), `report ${i}`).toEqual(start(storage).totals());
    }
  } finally {
    vi.useRealTimers();
  }
});

it("E8: when a report fails halfway, the totals are what storage has of it", () => {
  const storage = new NodeStorage();
  const directory = start(storage);
  directory.update(reportOf("a"));
  expect(directory.totals()).toMatchObject({ chat: { rooms: 1 } });
  const exec = storage.sql.exec.bind(storage.sql);
  const failing = vi.spyOn(storage.sql, "exec").mockImplementation((query, ...bindings) => {
    if (query.includes("INSERT INTO edgerooms_directory")) throw new Error("SQLITE_FULL");
    return exec(query, ...bindings);
  });
  expect(() => directory.update({ ...reportOf("b"), undelivered: { dead: 2, pending: 0 } })).toThrow("SQLITE_FULL");
  failing.mockRestore();
  expect(directory.totals()).toEqual(start(storage).totals());
  expect(directory.totals()).toMatchObject({ chat: { rooms: 1, dead_letters: 2 } });
});

it("what a relay counted is its kind's, is there after a restart, and is no room", () => {
  const storage = new NodeStorage();
  const directory = start(storage);
  const failure = { code: "upstream_failed", severity: "error", source: "relay", at: Date.now() } as const;
  const share = { kind: "chat", failures: [failure], own: { "http_requests|GET": 1 } };
  directory.add({ ...share, counts: { deliveries: 5 } });
  directory.totals();
  directory.add({ ...share, counts: { deliveries: 2 } });
  const nothing = { rooms: 0, connections: 0, members: 0, sessions: 0, undelivered_rooms: 0, dead_letters: 0 };
  for (const each of [directory, start(storage)]) {
    expect(each.totals()).toEqual({
      "": { ...nothing, counts: { "http_requests|GET": 2 } },
      chat: { ...nothing, counts: { deliveries: 7 } },
    });
    expect(each.list().rooms).toEqual([]);
    expect(each.failures().failures).toEqual([failure, failure]);
  }
});
