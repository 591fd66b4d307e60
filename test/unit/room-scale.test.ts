/** What a large room or a long log costs: counted in texts, statements and looks, never in time. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { defineRoom } from "../../src/room/definition.ts";
import { Outgoing } from "../../src/room/core/outgoing.ts";
import { Connection, type Pointer } from "../../src/room/rules/connection.ts";
import { compose, type Delivery } from "../../src/room/runtime/fanout.ts";
import type { Item } from "../../src/room/store/log.ts";
import { Segments } from "../../src/room/store/segments.ts";
import { Sessions } from "../../src/room/store/sessions.ts";
import { HostedRoom } from "../support/hosted.ts";

afterEach(() => vi.restoreAllMocks());

const rate = { perSecond: 1, burst: 1 };

/** Connections u0, u1, …: those at even places have credit. */
function connections(size: number): Connection[] {
  return Array.from({ length: size }, (_, i) => {
    const pointer: Pointer = {
      session: `s${i}`,
      generation: 1,
      since: 0,
      ...(i % 2 === 0 && { credit: { offset: 0, bytes: 0 } }),
    };
    return new Connection({ user: `u${i}`, pointer, rate, now: 0, changed: new Set() });
  });
}

/** One publication, and a count of how often its text was taken. */
function publication() {
  const looks = { count: 0 };
  const item: Item = {
    publication: { offset: 1, by: "u0", at: 0, data: 1 },
    get text() {
      looks.count++;
      return '{"offset":1}';
    },
    bytes: 12,
  };
  return { item, looks };
}

function composed(outgoing: Outgoing, all: readonly Connection[]): Delivery[] {
  const bySession = new Map(all.map((connection) => [connection.session, connection]));
  return [...compose(outgoing, { connections: bySession, members: () => "[]" })];
}

/** Connections by session, and how many of them were looked at one after the other. */
class Walked extends Map<string, Connection> {
  walked = 0;

  override *values(): MapIterator<Connection> {
    for (const connection of super.values()) {
      this.walked++;
      yield connection;
    }
  }
}

describe("a tick that speaks to one of 1,000 connections", () => {
  const all = connections(1_000);
  const [first, second, gone] = all as [Connection, Connection, Connection];
  const everyone = () => {
    const bySession = new Walked(all.map((connection) => [connection.session, connection]));
    bySession.delete(gone.session);
    return bySession;
  };

  it("R18: looks at none of the others", () => {
    const outgoing = new Outgoing();
    outgoing.send(second, '{"type":"reply"}');
    const audience = { connections: everyone(), members: () => "[]" };
    const said = [...compose(outgoing, audience)];
    expect(said).toEqual([{ connection: second, text: '{"type":"reply"}', items: 0, isLast: false }]);
    expect(audience.connections.walked).toBe(0);
  });

  it("says nothing to one that is gone, nor to the one that took its session over", () => {
    const outgoing = new Outgoing();
    outgoing.send(gone, '{"type":"reply"}');
    outgoing.send(first, '{"type":"reply"}');
    const audience = { connections: everyone().set(first.session, second), members: () => "[]" };
    expect([...compose(outgoing, audience)]).toEqual([]);
  });

  it("looks at all of them when it says something to all", () => {
    const outgoing = new Outgoing();
    outgoing.send(second, '{"type":"reply"}');
    outgoing.broadcast('{"type":"heartbeat"}');
    const audience = { connections: everyone(), members: () => "[]" };
    expect([...compose(outgoing, audience)]).toHaveLength(999);
    expect(audience.connections.walked).toBe(999);
  });
});

describe("a tick for 1,000 connections", () => {
  it("R17: is written once, and those with credit that are caught up share it with the others", () => {
    const outgoing = new Outgoing();
    const { item, looks } = publication();
    outgoing.range = { after: 0, upto: 1, items: [item] };
    const all = composed(outgoing, connections(1_000));
    expect(all).toHaveLength(1_000);
    expect(new Set(all.map(({ text }) => text)).size).toBe(1);
    // Two equal texts cannot be told apart, but what was written twice was read twice.
    const once = looks.count;
    looks.count = 0;
    composed(outgoing, connections(1));
    expect(once).toBe(looks.count);
  });

  it("R17: with a signal shares its text too, but for the sender", () => {
    const outgoing = new Outgoing();
    const { item, looks } = publication();
    outgoing.range = { after: 0, upto: 1, items: [item] };
    outgoing.signal({ text: '{"type":"signal"}', except: "s7" });
    const all = composed(outgoing, connections(1_000));
    const texts = all.map(({ text }) => text);
    expect(texts.filter((text) => text.includes("signal"))).toHaveLength(999);
    expect(texts[7]).not.toContain("signal");
    const alone = publication();
    composed(Object.assign(new Outgoing(), { range: { after: 0, upto: 1, items: [alone.item] } }), connections(1));
    expect(looks.count, "one text for all, one for the sender").toBe(2 * alone.looks.count);
  });

  it("R17: with a signal to one shares its text among all others", () => {
    const outgoing = new Outgoing();
    const { item, looks } = publication();
    outgoing.range = { after: 0, upto: 1, items: [item] };
    outgoing.signal({ text: '{"type":"signal"}', to: ["u5"] });
    const texts = composed(outgoing, connections(1_000)).map(({ text }) => text);
    expect(texts.flatMap((text, i) => (text.includes("signal") ? [i] : []))).toEqual([5]);
    expect(looks.count).toBeLessThanOrEqual(4);
  });

  it("R17: shares a text among all that lack credit as well", () => {
    const outgoing = new Outgoing();
    const { item, looks } = publication();
    outgoing.range = { after: 0, upto: 1, items: [item] };
    outgoing.broadcast('{"type":"heartbeat"}');
    const all = connections(1_000);
    for (const [i, connection] of all.entries()) if (i % 2 === 0) connection.stop(0);
    const texts = composed(outgoing, all).map(({ text }) => text);
    expect(texts.filter((text) => text.includes('"offset"'))).toHaveLength(500);
    expect(texts[0]).toBe('{"type":"heartbeat"}');
    expect(looks.count).toBeLessThanOrEqual(2);
  });
});

/** A log of segments that count how often they are looked at. */
function longLog(size: number) {
  const looks = { count: 0 };
  const segments = new Segments();
  for (let i = 1; i <= size; i++) {
    segments.push({
      slot: i,
      first: i,
      get last() {
        looks.count++;
        return i;
      },
      bytes: 1,
      total: i,
      addressed: false,
      refs: {},
    });
  }
  looks.count = 0;
  return { segments, looks };
}

describe("a log of 100,000 rows", () => {
  it("R18: is searched, not scanned, for the one item that an ack feeds", () => {
    const { segments, looks } = longLog(100_000);
    expect([...segments.after(99_999)].map(({ slot }) => slot)).toEqual([100_000]);
    expect(segments.totalUpTo(99_999)).toBe(99_999);
    expect(looks.count).toBeLessThan(64);
  });

  it("R18: that is long costs an ack that feeds one item one statement more than one that feeds none", async () => {
    const room = new HostedRoom({ retain: 100_000 });
    const ann = await room.join({ credit: true });
    for (let i = 0; i < 400; i++) await room.settled(room.host.command({ type: "publish", data: i }));
    const reads: string[] = [];
    room.storage.fault = (statement) => {
      if (statement.includes("FROM edgerooms_log")) reads.push(statement);
    };
    await room.settled(ann.say({ type: "sync", offset: 399 }));
    expect(ann.of("pub").at(-1)).toMatchObject({ from: 400, upto: 400 });
    expect(reads).toHaveLength(1);
  });

  it("R18: addressed to others is looked through for a snapshot no further than 1 MiB", async () => {
    const room = new HostedRoom();
    for (let i = 0; i < 40; i++) {
      await room.settled(room.host.command({ type: "publish", data: "x".repeat(200_000), to: ["zoe"] }));
      await room.pass(1_000);
    }
    const rows = room.rows("SELECT 1 FROM edgerooms_log").length;
    expect(rows).toBe(40);
    let reads = 0;
    room.storage.fault = (statement) => void (reads += Number(statement.startsWith("SELECT items")));
    const ann = await room.join();
    expect(ann.of("snapshot")).toMatchObject([{ data: [] }]);
    expect(reads).toBeGreaterThan(0);
    expect(reads).toBeLessThanOrEqual(7);
  });

  it("R18: has refs before items in its rows, so that waking does not read past them", async () => {
    const room = new HostedRoom();
    await room.join();
    const columns = room.rows("SELECT name FROM pragma_table_info('edgerooms_log')").map(({ name }) => name);
    expect(columns.slice(-2)).toEqual(["refs", "items"]);
  });
});

it("R18: the list of members is joined once for 100 who come in one tick", async () => {
  const room = new HostedRoom();
  await room.join({ user: "first" });
  await room.pass(1_000);
  const join = vi.spyOn(Array.prototype, "join");
  const busy = room.host.command({ type: "members" });
  const come = Array.from({ length: 100 }, (_, i) => room.join({ user: `u${i}` }));
  const peers = await Promise.all(come);
  await busy;
  const lists = join.mock.contexts.filter((list) => String((list as unknown[])[0]).startsWith('{"id":"first"'));
  join.mockRestore();
  expect(peers.every(({ welcome }) => welcome.members.length === 101)).toBe(true);
  // The first of them may have had a tick of its own.
  expect(lists.length).toBeGreaterThan(0);
  expect(lists.length).toBeLessThanOrEqual(2);
});

/** A room with one who is connected, and so many whose connections are lost. */
async function withDropped(size: number) {
  const room = new HostedRoom();
  const ann = await room.join();
  const row = `INSERT INTO edgerooms_sessions (id, user, name, grants, request_id, generation, connected_at, dropped_at,
    present, expires, data, data_at) VALUES (?, ?, NULL, 'join', 'r', 1, ?, ?, 0, ?, NULL, 0)`;
  const { now, storage } = room;
  for (let i = 0; i < size; i++) storage.sql.exec(row, `gone-${i}`, `user-${i}`, now, now, now + 3_600_000);
  await room.evict();
  return { room, ann };
}

/** How often sessions are looked at. */
function watched() {
  const spies = [
    vi.spyOn(Sessions.prototype, "all"),
    vi.spyOn(Sessions.prototype, "of"),
    vi.spyOn(Sessions.prototype, "get"),
    vi.spyOn(Sessions.prototype, "presentUsers"),
  ];
  return () => spies.reduce((sum, { mock }) => sum + mock.calls.length, 0);
}

it.each([0, 1])("R18: twice as many sessions of one user are twice as much to load, present: %i", (present) => {
  const looks = [1_000, 2_000].map((size) => {
    const rows = Array.from({ length: size }, (_, i) => ({
      id: `s${i}`,
      user: "ann",
      name: null,
      grants: "join",
      request_id: "r",
      generation: 1,
      connected_at: 1,
      dropped_at: present === 1 ? null : i,
      present,
      expires: 9e15,
      data: null,
      data_at: 0,
    }));
    const get = vi.spyOn(Map.prototype, "get");
    const sessions = new Sessions({ exec: () => rows } as unknown as SqlStorage, defineRoom({}));
    const { length } = get.mock.calls;
    vi.restoreAllMocks();
    expect([sessions.size, sessions.present]).toEqual([size, present]);
    return length;
  });
  expect(looks[0]).toBeGreaterThanOrEqual(1_000);
  expect(looks[1]).toBeLessThan(2.5 * (looks[0] ?? 0));
});

describe("beside 2,000 dropped sessions", () => {
  it("R18: a publish and an alarm look at no more sessions than without them", async () => {
    const looks: number[] = [];
    for (const size of [0, 2_000]) {
      const { room, ann } = await withDropped(size);
      await room.settled(ann.say({ type: "publish", ref: 1, data: 1 }));
      const count = watched();
      await room.settled(ann.say({ type: "publish", ref: 2, data: 1 }));
      await room.alarm(0);
      looks.push(count());
      vi.restoreAllMocks();
    }
    expect(looks[1]).toBe(looks[0]);
    expect(looks[0]).toBeGreaterThan(0);
  });

  it("R18: waking takes as many statements as without them, and looks each session up once at most", async () => {
    const statements: number[] = [];
    for (const size of [0, 2_000]) {
      const { room, ann } = await withDropped(size);
      let count = 0;
      room.storage.fault = () => void count++;
      await room.settled(ann.say({ type: "signal", data: 1 }));
      statements.push(count);
    }
    expect(statements[1]).toBe(statements[0]);
  });
});
