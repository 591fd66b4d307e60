/** What a large room does once instead of for each: texts, lists of members, searches. Counted, never timed. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { Outgoing } from "../../src/room/core/outgoing.ts";
import { defineRoom } from "../../src/room/definition.ts";
import { Connection } from "../../src/room/rules/connection.ts";
import { Agenda } from "../../src/room/rules/agenda.ts";
import { compose } from "../../src/room/runtime/fanout.ts";
import { Log, type Item } from "../../src/room/store/log.ts";
import { Roster } from "../../src/room/store/members.ts";
import { Replay } from "../../src/room/store/replay.ts";
import { migrate } from "../../src/room/store/schema.ts";
import { Segments, type Segment } from "../../src/room/store/segments.ts";
import { Sessions } from "../../src/room/store/sessions.ts";
import { HostedRoom } from "../support/hosted.ts";
import { NodeStorage } from "../support/sqlite.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

const SOCKETS = 1_000;

/** Connections of users u0, u1, ...; every second one with credit. */
function crowd(): Connection[] {
  const changed = new Set<Connection>();
  return Array.from({ length: SOCKETS }, (_, i) => {
    const credit = i % 2 === 1 ? { credit: { offset: 0, bytes: 0 } } : {};
    const pointer = { session: `s${i}`, generation: 1, since: 0, ...credit };
    return new Connection({ user: `u${i}`, pointer, rate: { perSecond: 1, burst: 1 }, now: 0, changed });
  });
}

/** What a tick with ten publications says, and how often their texts were read. */
function tenPublications(to?: readonly string[]) {
  const outgoing = new Outgoing();
  const read = { texts: 0 };
  const items = Array.from({ length: 10 }, (_, i): Item => {
    const publication = { offset: i + 1, by: null, at: 0, data: i, ...(i === 0 && to && { to }) };
    return {
      publication,
      bytes: 9,
      get text() {
        read.texts++;
        return JSON.stringify(publication);
      },
    };
  });
  outgoing.range = { after: 0, upto: 10, items };
  return { outgoing, read };
}

function said(outgoing: Outgoing, all: readonly Connection[]): string[] {
  const connections = new Map(all.map((connection) => [connection.session, connection]));
  return [...compose(outgoing, { connections, members: () => "[]" })].map(({ text }) => text);
}

describe("the message of a tick", () => {
  it("R17: is made once for all who are caught up, with credit or without", () => {
    const { outgoing, read } = tenPublications();
    const texts = said(outgoing, crowd());
    expect(texts).toHaveLength(SOCKETS);
    expect(new Set(texts).size).toBe(1);
    // Each text is asked for its length, too.
    expect(read.texts).toBeLessThanOrEqual(40);
  });

  it("R17: is made once for all but those whom something of it is addressed to", () => {
    const { outgoing, read } = tenPublications(["u7"]);
    const texts = said(outgoing, crowd());
    expect(new Set(texts).size).toBe(2);
    expect(texts.flatMap((text, i) => (text.includes('"to"') ? [i] : []))).toEqual([7]);
    expect(read.texts).toBeLessThanOrEqual(80);
  });

  it("R17: with signals is made once for all but their senders and those that one is addressed to", () => {
    const { outgoing, read } = tenPublications();
    outgoing.signal({ text: '{"type":"signal","by":"u3","data":"for all"}', except: "s3" });
    outgoing.signal({ text: '{"type":"signal","by":"u3","data":"for one"}', except: "s3", to: ["u9"] });
    const texts = said(outgoing, crowd());
    const heard = (data: string) => texts.flatMap((text, i) => (text.includes(data) ? [i] : []));
    expect(heard("for one")).toEqual([9]);
    expect(heard("for all")).toEqual([...Array(SOCKETS).keys()].filter((i) => i !== 3));
    expect(new Set(texts).size).toBe(3);
    expect(read.texts).toBeLessThanOrEqual(120);
  });

  it("R17: is the same for all who lack credit, and says no publication", () => {
    const { outgoing, read } = tenPublications();
    outgoing.broadcast('{"type":"heartbeat","offset":0,"next":1}');
    const connections = crowd();
    for (const connection of connections) if (connection.credit) connection.stop(0);
    const texts = said(outgoing, connections);
    expect(new Set(texts).size).toBe(2);
    expect(texts[1]).toBe('{"type":"heartbeat","offset":0,"next":1}');
    expect(read.texts).toBeLessThanOrEqual(40);
  });
});

describe("in a log of 100,000 rows", () => {
  const ROWS = 100_000;

  /** Such an index, and how many of its rows were looked at. */
  function long() {
    const looked = { at: 0 };
    const segments = new Segments();
    for (let i = 1; i <= ROWS; i++) {
      const segment: Segment = {
        slot: i,
        first: i,
        bytes: 10,
        total: i * 10,
        addressed: false,
        refs: {},
        get last() {
          looked.at++;
          return i;
        },
      };
      segments.push(segment);
    }
    looked.at = 0;
    return { segments, looked };
  }

  it.each([0, 1, ROWS / 2, ROWS - 1])("R18: what follows offset %i is found in 20 looks", (offset) => {
    const { segments, looked } = long();
    expect(segments.after(offset).next().value?.slot).toBe(offset + 1);
    expect(looked.at).toBeLessThanOrEqual(20);
    expect(segments.totalUpTo(offset)).toBe(offset * 10);
    expect(looked.at).toBeLessThanOrEqual(40);
  });

  it("R18: an ack that feeds one item reads one row", async () => {
    const room = new HostedRoom({ retain: ROWS });
    const ann = await room.join();
    await room.settled(ann.say({ type: "leave" }));
    room.storage.sql.exec(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
       INSERT INTO edgerooms_log (slot, first, last, at, bytes, total, addressed, refs, items)
       SELECT i, i, i, 1, 20, i * 20, 0, '{}', '{"offset":' || i || ',"by":null,"at":1,"data":1}' FROM n`,
    );
    await room.evict();
    const reader = await room.join({ credit: true });
    // All but one of a reader's credit.
    const many = Array.from({ length: 1_025 }, (_, i) => room.host.command({ type: "publish", data: i }));
    for (const one of many) await room.settled(one);
    expect(reader.items.length).toBeLessThan(1_025);
    const behind = 1_025 - reader.items.length;
    const reads: string[] = [];
    room.storage.fault = (statement) => {
      if (statement.includes("edgerooms_log")) reads.push(statement);
    };
    await room.settled(reader.say({ type: "ack", offset: ROWS + reader.items.length }));
    await room.pass(100);
    expect(reader.items).toHaveLength(1_025);
    expect(reads.length).toBeLessThanOrEqual(behind);
  });
});

it("R18: the list of members is joined once for all who come in one tick", async () => {
  const room = new HostedRoom();
  await room.join({ user: "first" });
  const joins = vi.spyOn(Array.prototype, "join");
  const coming = Array.from({ length: 300 }, (_, i) => room.connect({ user: `u${i}` }));
  await Promise.all(coming);
  const long = joins.mock.contexts.filter((list) => Array.isArray(list) && list.length >= 300);
  joins.mockRestore();
  expect(long.length).toBeLessThanOrEqual(1);
  expect([...room.sockets].at(-1)?.welcome.members).toHaveLength(301);
});

it("R18: a change of one of 1,000 members looks at that one only", () => {
  const storage = new NodeStorage();
  migrate(storage.sql);
  const sessions = new Sessions(storage.sql, defineRoom({}));
  const open = (user: string) =>
    sessions.open(`session-${user}`, {
      kind: "test",
      room: "one",
      credentials: { user, grants: ["join"], issued: 0, expires: 1 },
      requestId: "r",
      receivedAt: 0,
      credit: false,
    });
  for (let i = 0; i < 1_000; i++) open(`u${i}`);
  const roster = new Roster(sessions);
  expect(JSON.parse(roster.text)).toHaveLength(1_000);
  const looks = vi.spyOn(sessions, "of");
  sessions.show(open("zoe"), "hello", 1);
  looks.mockClear();
  expect(JSON.parse(roster.text)).toHaveLength(1_001);
  expect(looks.mock.calls.every(([user]) => user === "zoe")).toBe(true);
  expect(looks.mock.calls.length).toBeLessThan(5);
});

it("R18: what is next and due among 100,000 deadlines is found by looking at those alone", () => {
  const agenda = new Agenda("timer");
  for (let i = 0; i < 100_000; i++) agenda.set(`t${i}`, 1_000 + ((i * 7_919) % 100_000));
  let looks = 0;
  const held = new (class extends Map<string, number> {
    override has(key: string): boolean {
      looks++;
      return super.has(key);
    }
  })([["timer:t0", 1]]);
  // The nearest is held back.
  expect(agenda.next(held)).toBe(1_001);
  expect(agenda.due(1_010, 1_000, held)).toHaveLength(10);
  expect(looks).toBeLessThanOrEqual(15);
});

it("R18: the default snapshot of a log that is addressed to others reads about 1 MiB of it", () => {
  const storage = new NodeStorage();
  migrate(storage.sql);
  const log = new Log(storage.sql, 1_000, () => true);
  for (let i = 0; i < 100; i++) {
    log.append({ by: null, at: 1, data: "x".repeat(100_000), to: ["bob"] });
    log.commit();
    log.settle();
  }
  let reads = 0;
  storage.fault = () => void reads++;
  const replay = new Replay(log);
  expect(replay.recent({ limit: 50, maxBytes: 262_144, user: "ann" })).toEqual([]);
  expect(reads).toBeLessThanOrEqual(12);
});

it("R18: a default snapshot reads about 1 MiB of what is too large for it, and nothing of rows of one", () => {
  const storage = new NodeStorage();
  migrate(storage.sql);
  const log = new Log(storage.sql, 1_000, () => true);
  const publish = (...lengths: number[]) => {
    for (const length of lengths) log.append({ by: null, at: 1, data: "x".repeat(length) });
    log.commit();
    log.settle();
  };
  publish(1);
  for (let i = 0; i < 10; i++) publish(300_000, 300_000);
  for (let i = 0; i < 10; i++) publish(300_000);
  let reads = 0;
  storage.fault = () => void reads++;
  expect(new Replay(log).recent({ limit: 50, maxBytes: 262_144, user: "ann" })).toEqual([]);
  expect(reads).toBe(2);
});

it("R18: a row of the log has its refs before its items, in which waking would have to search for them", () => {
  const storage = new NodeStorage();
  migrate(storage.sql);
  const columns = storage.sql.exec("PRAGMA table_info(edgerooms_log)").toArray();
  const names = columns.map(({ name }) => name);
  expect(names.at(-1)).toBe("items");
  expect(names).toContain("refs");
});
