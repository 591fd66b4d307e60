/** What an operator does over HTTP: list the live rooms, drain one; and what the directory of rooms is told. */
import { runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { LiveRoom, RoomPage } from "../../src/protocol/api.ts";
import { DIRECTORY_SHARDS, isListedAgain, shardOf } from "../../src/room/telemetry/listing.ts";
import { Client, sign, upgrade } from "../support/client.ts";
import { door } from "../support/door.ts";
import { eventually } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";

const admin = async (rooms: Record<string, string[]> = { "*": ["admin"] }) => sign("op", { rooms });

async function ask(path: string, token: string, init: RequestInit = {}): Promise<Response> {
  return exports.default.fetch(`http://edge.test${path}`, { ...init, headers: { authorization: `Bearer ${token}` } });
}

async function list(token: string): Promise<LiveRoom[]> {
  return (await pagesOf((path) => ask(path, token))).flatMap(({ rooms }) => rooms);
}

/** Every page of a list, in the order in which they are read. */
async function pagesOf(get: (path: string) => Promise<Response>, query = ""): Promise<RoomPage[]> {
  const pages: RoomPage[] = [];
  let path = `/rooms?${query}`;
  for (;;) {
    const response = await get(path);
    expect(response.status).toBe(200);
    const page: RoomPage = await response.json();
    pages.push(page);
    if (page.next === undefined) return pages;
    path = `/rooms?${query}&cursor=${encodeURIComponent(page.next)}`;
  }
}

const entry = async (room: TestedRoom) => (await list(await admin())).find((listed) => listed.room === room.name);

describe("the list of live rooms", () => {
  it("has a room from its first connection to its last", async () => {
    const room = new TestedRoom();
    const { client: ann } = await Client.join(room.path, { user: "ann" });
    await eventually(async () =>
      expect(await entry(room)).toMatchObject({ kind: "relay", connections: 1, members: 1 }),
    );
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    await ann.close();
    expect(await entry(room)).toBeDefined();
    await bob.close();
    await eventually(async () => expect(await entry(room)).toBeUndefined());
  });

  it("has a room that lost everyone in a crash only until it wakes", async () => {
    const room = new TestedRoom();
    await Client.join(room.path);
    await eventually(async () => expect(await entry(room)).toBeDefined());
    await room.abort();
    await room.stub.members();
    await eventually(async () => expect(await entry(room)).toBeUndefined());
  });

  it("hears of a room again after a part of the directory has crashed", async () => {
    const room = new TestedRoom();
    const { client } = await Client.join(room.path);
    await eventually(async () => expect(await entry(room)).toBeDefined());
    const shard = env.EDGEROOMS_DIRECTORY.getByName(String(shardOf("relay", room.name)));
    const crash = "Instance dispose: killed by a test";
    await runInDurableObject(shard, (_directory, state) => state.abort(crash)).catch(() => undefined);
    // The first report after the crash is lost, and says so; the next is not.
    await client.close();
    await eventually(() => expect(room.reports).toHaveLength(1));
    const { client: again } = await Client.join(room.path);
    await again.close();
    await eventually(async () => expect(await entry(room)).toBeUndefined());
    expect(room.reports).toHaveLength(1);
  });

  it("is left out where something else is bound, and nobody notices", async () => {
    const room = new TestedRoom();
    await runInDurableObject(room.stub, (object) => {
      (object as unknown as { env: object }).env = { EDGEROOMS_DIRECTORY: "https://example.com" };
    });
    const { welcome } = await Client.join(room.path);
    expect(welcome.members).toEqual([{ id: "ann" }]);
    expect(room.reports).toEqual([expect.stringContaining("directory: TypeError")]);
  });

  it("hears of a room again as heartbeats pass a minute when something has happened, and not in between", async () => {
    const room = new TestedRoom();
    // The next minute begins 60 s later; all of it in the past, because answers have real times.
    room.stopClock(Math.floor(Date.now() / 600_000 - 3) * 600_000 + 60_000);
    const { client } = await Client.join(room.path);
    const shard = env.EDGEROOMS_DIRECTORY.getByName(String(shardOf("relay", room.name)));
    await eventually(async () => expect(await entry(room)).toBeDefined());
    await shard.update({ kind: "relay", room: room.name, connections: 0, members: 0, offset: 0, ttl: 0 });
    const seen: boolean[] = [];
    for (let i = 0; i < 2; i++) {
      await client.publish(i + 1, i);
      await room.pass(30_000);
      seen.push((await entry(room)) !== undefined);
    }
    expect(seen).toEqual([false, true]);
    expect(await entry(room)).toMatchObject({ connections: 1, sessions: 1, offset: 2 });
  });

  it("hears of a room in which nothing happens as heartbeats pass ten minutes, and not in between", () => {
    const heartbeats = [0, 30, 90, 210, 450, 690, 930, 1_170, 1_410].map((seconds) => seconds * 1_000);
    const told = (busy: boolean) =>
      heartbeats.slice(1).filter((heartbeat, i) => isListedAgain(heartbeats[i] ?? 0, heartbeat, busy));
    expect(told(false)).toEqual([690_000, 1_410_000]);
    expect(told(true)).toEqual(heartbeats.slice(2));
  });

  it("forgets who has not told for longer than it said", async () => {
    const gone = { kind: "relay", room: `gone-${crypto.randomUUID()}`, connections: 1, members: 1, offset: 0 };
    const shard = env.EDGEROOMS_DIRECTORY.getByName(String(shardOf(gone.kind, gone.room)));
    await shard.update({ ...gone, ttl: 60_000 });
    const has = async () => (await list(await admin())).some(({ room }) => room === gone.room);
    expect(await has()).toBe(true);
    await shard.update({ ...gone, ttl: -1 });
    expect(await has()).toBe(false);
  });

  it("comes in pages, each room once", async () => {
    const mark = `many-${crypto.randomUUID()}`;
    const names = Array.from({ length: 1_100 }, (_, i) => `${mark}-${i}`);
    // All in one part of the directory: that is what its pages are for.
    const shard = env.EDGEROOMS_DIRECTORY.getByName("3");
    const tell = (connections: number, ttl: number) =>
      Promise.all(
        names.map((room) => shard.update({ kind: "relay", room, connections, members: connections, offset: 0, ttl })),
      );
    await tell(1, 60_000);
    const found = (await list(await admin())).filter(({ room }) => room.startsWith(mark)).map(({ room }) => room);
    expect(found.toSorted()).toEqual(names.toSorted());
    await tell(0, 0);
  });

  it("spreads rooms over all of its parts", () => {
    const counts = new Map<number, number>();
    for (let i = 0; i < 16_000; i++) {
      const shard = shardOf("chat", `room-${i}`);
      counts.set(shard, (counts.get(shard) ?? 0) + 1);
    }
    expect(counts.size).toBe(DIRECTORY_SHARDS);
    expect(Math.min(...counts.values())).toBeGreaterThan(800);
    expect(Math.max(...counts.values())).toBeLessThan(1_200);
  });

  it("shows an operator the rooms its token names, and anyone else nothing", async () => {
    const [mine, other] = [new TestedRoom(), new TestedRoom()];
    await Client.join(mine.path);
    await Client.join(other.path);
    await eventually(async () => expect((await entry(mine)) && (await entry(other))).toBeDefined());
    const rooms = await list(await admin({ [mine.path]: ["join", "admin"], "*": ["join"] }));
    expect(rooms.map(({ room }) => room)).toEqual([mine.name]);
    for (const token of [
      await sign("ann"),
      await admin({ "*": ["join", "publish"] }),
      await sign("x", { rooms: [] }),
    ]) {
      const response = await ask("/rooms", token);
      expect(response.status).toBe(403);
      await response.body?.cancel();
    }
    const anonymous = await exports.default.fetch("http://edge.test/rooms");
    expect(anonymous.status).toBe(401);
    await anonymous.body?.cancel();
  });

  it("asks authorize about every room, as the drain does", async () => {
    const [mine, other] = [new TestedRoom(), new TestedRoom()];
    await Client.join(mine.path);
    await Client.join(other.path);
    await eventually(async () => expect((await entry(mine)) && (await entry(other))).toBeDefined());
    // A token that says nothing of rooms: authorize alone makes it an operator's.
    const at = door({
      authorize: (_c, caller, { room }) => room === mine.name && { ...caller, grants: ["admin"] },
    });
    const headers = { authorization: `Bearer ${await sign("op")}` };
    const pages = await pagesOf((path) => at(new Request(`http://edge.test${path}`, { headers })));
    expect(pages.flatMap(({ rooms }) => rooms.map(({ room }) => room))).toEqual([mine.name]);
  });

  it("E1: names no room of others, and asks authorize about few, for any caller", async () => {
    const secret = `acme-merger-${crypto.randomUUID()}`;
    const shard = env.EDGEROOMS_DIRECTORY.getByName("5");
    const told = { kind: "chat", connections: 1, members: 1, offset: 0, ttl: 60_000 };
    const rooms = Array.from({ length: 120 }, (_, i) => `${secret}-${i}`);
    await Promise.all(rooms.map((room) => shard.update({ ...told, room })));
    await shard.update({ ...told, room: `mine-${secret}` });

    // Without authorize, a token that names one room.
    const mallory = await admin({ [`chat/mine-${secret}`]: ["admin"] });
    const seen = await pagesOf((path) => ask(path, mallory));
    expect(seen.flatMap((page) => page.rooms.map(({ room }) => room))).toEqual([`mine-${secret}`]);
    for (const { next = "" } of seen) expect(atob(next)).toMatch(/^(?:1\.\d+(?:\.[0-9a-f]+)?)?$/);

    // With authorize: a member, an operator of some rooms, and one of all.
    const everywhere = { "*": ["admin"] };
    for (const { rooms: claim, most, all } of [
      { rooms: undefined, most: 9, all: 0 },
      { rooms: { "chat/acme*": ["admin"] }, most: 51, all: 0 },
      { rooms: everywhere, most: 1, all: 121 },
    ]) {
      let calls = 0;
      const at = door({
        rooms: { chat: "CHAT" },
        authorize: (_c, caller, { room }) => {
          calls++;
          return claim === everywhere && room === "*" ? caller : false;
        },
      });
      const headers = { authorization: `Bearer ${await sign("ann", claim && { rooms: claim })}` };
      const counts: number[] = [];
      const pages = await pagesOf((path) => {
        counts.push(calls);
        calls = 0;
        return at(new Request(`http://edge.test${path}`, { headers }));
      });
      expect(Math.max(...counts, calls)).toBe(most);
      expect(pages.flatMap((page) => page.rooms).filter(({ room }) => room.includes(secret))).toHaveLength(all);
      expect(pages.map(({ next = "" }) => atob(next)).join()).not.toContain("acme");
    }
    await Promise.all([...rooms, `mine-${secret}`].map((room) => shard.update({ ...told, room, connections: 0 })));
  });

  it("E6: finds rooms with dead letters that nobody is in, each of them, for an operator of theirs", async () => {
    const rooms = Array.from({ length: 30 }, () => new TestedRoom("events"));
    for (const room of rooms) {
      room.receiver.mood = "refuse";
      const { client } = await Client.join(room.path, { user: "ann" });
      await client.publish(1, "x");
      client.send({ type: "leave" });
      await client.next("bye");
    }
    const find = async (token: string) => {
      const pages = await pagesOf((path) => ask(path, token), "dead=1");
      return pages.flatMap((page) => page.rooms).filter(({ room }) => rooms.some(({ name }) => name === room));
    };
    await eventually(async () => expect(await find(await admin())).toHaveLength(rooms.length));
    const [one] = await find(await admin());
    expect(one).toMatchObject({ kind: "events", dead: expect.any(Number) as number });
    const [first] = rooms;
    const mine = await find(await admin({ [first?.path ?? ""]: ["admin"] }));
    expect(mine.map(({ room }) => room)).toEqual([first?.name]);
    expect((await list(await admin())).filter(({ room }) => rooms.some(({ name }) => name === room))).toEqual([]);
    const wrong = await ask("/rooms?dead=yes", await admin());
    expect(wrong.status).toBe(404);
    await wrong.body?.cancel();
  });

  it.each(["16", "-1", "x", "0:", "0:relay", "99:a/b", "3:a/b\n", "MS4xNg", "Mi4w"])(
    "knows no page %j",
    async (cursor) => {
      const response = await ask(`/rooms?cursor=${encodeURIComponent(cursor)}`, await admin());
      expect(response.status).toBe(404);
      expect(await response.json()).toMatchObject({ code: "not_found" });
    },
  );

  it("is not there without its binding, and says how to get it", async () => {
    const request = new Request("http://edge.test/rooms", { headers: { authorization: `Bearer ${await admin()}` } });
    const response = await door({}, { EDGEROOMS_DIRECTORY: undefined })(request);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ detail: expect.stringContaining("EDGEROOMS_DIRECTORY") });
  });
});

describe("draining a room", () => {
  it("tells everyone, takes nobody new, closes all at the deadline, and lets them come back", async () => {
    const room = new TestedRoom();
    room.stopClock();
    const { client: ann, welcome } = await Client.join(room.path, { user: "ann" });
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    await ann.publish(1, "before");
    const response = await ask(`/rooms/${room.path}/drain`, await admin(), {
      method: "POST",
      body: JSON.stringify({ within: 20_000 }),
    });
    expect(await response.json()).toEqual({ connections: 2, until: expect.any(Number), reopens: expect.any(Number) });
    for (const client of [ann, bob]) expect(await client.next("goaway")).toMatchObject({ within: 20_000 });

    const late = new Client((await upgrade(room.path, { user: "eve" })).webSocket as WebSocket);
    expect(await late.next("bye")).toMatchObject({ reason: "draining", retryAfter: 20_000 });

    // Work goes on until the deadline.
    expect(await ann.publish(2, "meanwhile")).toMatchObject({ offset: 2 });
    await bob.until(() => bob.items.length === 2);
    await room.pass(20_000);
    for (const client of [ann, bob])
      expect(await client.next("bye")).toMatchObject({ code: 1012, reason: "restarting" });
    await room.pass(1);
    for (const client of [ann, bob]) {
      expect(client.of("goaway")).toHaveLength(1);
      expect(client.of("bye")).toHaveLength(1);
    }
    const { session, epoch } = welcome;
    const back = await Client.join(room.path, { user: "ann", session, epoch, offset: 1 });
    expect(back.welcome).toMatchObject({ resumed: true, offset: 2 });
  });

  it("holds after the deadline for as long as it is told, says so, and needs no alarm for that", async () => {
    const room = new TestedRoom();
    room.stopClock();
    const { client: ann, welcome } = await Client.join(room.path, { user: "ann" });
    const { session, epoch } = welcome;
    expect(await room.stub.drain("10s", "60s")).toMatchObject({ connections: 1 });
    await room.pass(10_000);
    expect(await ann.next("bye")).toMatchObject({ reason: "restarting", retryAfter: 60_000 });
    const refused = async () => {
      const socket = (await upgrade(room.path, { user: "ann", session, epoch, offset: 0 })).webSocket;
      return new Client(socket as WebSocket).next("bye");
    };
    expect(await refused()).toMatchObject({ reason: "draining", retryAfter: 60_000 });
    await room.evict();
    room.stopClock(Date.now() + 69_000);
    expect(await refused()).toMatchObject({ reason: "draining", retryAfter: expect.any(Number) });
    room.stopClock(Date.now() + 71_000);
    const back = await Client.join(room.path, { user: "ann", session, epoch, offset: 0 });
    expect(back.welcome.resumed).toBe(true);
    expect(await room.sql("SELECT key FROM edgerooms_meta WHERE key = 'drain'")).toEqual([]);
  });

  it("does every event of the tick it falls into wholly, and none after the deadline", async () => {
    const room = new TestedRoom("fast");
    room.stopClock();
    const { client: ann } = await Client.join(room.path, { user: "ann" });
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    const publishes = (from: number) =>
      Array.from({ length: 200 }, (_, i) => ({ type: "publish", ref: from + i, data: from + i }) as const);
    ann.send(...publishes(1));
    const drained = room.stub.drain(0);
    ann.send(...publishes(201));
    await drained;
    await room.pass(1);
    await Promise.all([ann.next("bye"), bob.next("bye")]);
    const acks = ann.of("ack").map(({ ref }) => ref);
    const rows = await room.sql("SELECT items FROM edgerooms_log ORDER BY first");
    const stored = rows.flatMap((row) => JSON.parse(`[${row["items"] as string}]`) as { data: number }[]);
    // What is acked is stored, what is stored was acked before the good-bye, and everyone saw it.
    expect(stored.map(({ data }) => data)).toEqual(acks);
    expect(bob.items.map(({ data }) => data)).toEqual(acks);
    expect(ann.frames.at(-1)?.type).toBe("bye");
    expect(bob.frames.at(-1)?.type).toBe("bye");
  });

  it("starts with 30 s when the body says nothing, and refuses a body that says nonsense", async () => {
    const room = new TestedRoom();
    const { client } = await Client.join(room.path);
    const token = await admin();
    for (const body of [
      "{",
      "[]x",
      "null",
      '{"within":-1}',
      '{"within":"1s"}',
      '{"within":3600001}',
      '{"reopenAfter":null}',
    ]) {
      const response = await ask(`/rooms/${room.path}/drain`, token, { method: "POST", body });
      expect(response.status, body).toBe(400);
      await response.body?.cancel();
    }
    const large = await ask(`/rooms/${room.path}/drain`, token, { method: "POST", body: "x".repeat(5_000) });
    expect(large.status).toBe(413);
    await large.body?.cancel();
    expect(client.of("goaway")).toEqual([]);
    const response = await ask(`/rooms/${room.path}/drain`, token, { method: "POST" });
    expect(response.status).toBe(200);
    await response.body?.cancel();
    expect(await client.next("goaway")).toMatchObject({ within: 30_000 });
  });

  it("is for operators of this room only", async () => {
    const room = new TestedRoom();
    const { client } = await Client.join(room.path);
    for (const token of [await sign("ann"), await admin({ "chat/*": ["admin"] }), await admin({ "*": ["join"] })]) {
      const response = await ask(`/rooms/${room.path}/drain`, token, { method: "POST" });
      expect(response.status).toBe(403);
      await response.body?.cancel();
    }
    expect(client.of("goaway")).toEqual([]);
  });
});
