/** A room that is spread over relays, in the real runtime: two members in the room itself, three at each relay. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { RELAYING } from "../../src/room/relaying.ts";
import { Client, sign } from "../support/client.ts";
import { eventually } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";
import { reports } from "../support/worker.ts";

type Joined = Awaited<ReturnType<typeof Client.join>>;

/** A room with as many members as there are names: the first two are in the room itself. */
async function filled(...users: string[]) {
  const room = new TestedRoom("large");
  const members: Joined[] = [];
  for (const user of users) members.push(await Client.join(room.path, { user }));
  return { room, members, clients: members.map(({ client }) => client) };
}

const relayOf = (room: TestedRoom, index: number) => env.LARGE_RELAY.getByName(`${room.path}/any/${index}`);

/** Connections of the first relays of a room. */
const atRelays = (room: TestedRoom, count = 3) =>
  Promise.all(
    Array.from({ length: count }, (_, index) =>
      runInDurableObject(
        relayOf(room, index),
        (_relay, state) => state.getWebSockets().filter(({ readyState }) => readyState === WebSocket.OPEN).length,
      ),
    ),
  );

const inRoom = (room: TestedRoom) =>
  runInDurableObject(
    room.stub,
    (_room, state) => state.getWebSockets().filter(({ readyState }) => readyState === WebSocket.OPEN).length,
  );

const seen = (client: Client) => client.items.map(({ data }) => data);
const hasSeen = (client: Client, ...data: unknown[]) =>
  client.until(() => client.items.length >= data.length, "publications").then(() => expect(seen(client)).toEqual(data));

/** What went wrong in a room and its relays. */
const failures = (room: TestedRoom) => [...reports].filter(([name]) => name.includes(room.name));

describe("a connection", () => {
  it("is opened in the room while that is small", async () => {
    const { room } = await filled("ann", "bob");
    expect(await inRoom(room)).toBe(2);
    expect(await atRelays(room)).toEqual([0, 0, 0]);
  });

  it("is opened at a relay past that, and counts as any other", async () => {
    const { room, members } = await filled("ann", "bob", "cleo");
    expect(await inRoom(room)).toBe(2);
    expect(await atRelays(room)).toEqual([1, 0, 0]);
    const [ann, , cleo] = members;
    expect(cleo?.welcome).toMatchObject({
      member: "cleo",
      epoch: ann?.welcome.epoch,
      count: 3,
      resumed: false,
    });
    expect(failures(room)).toEqual([]);
  });

  it("is opened at the next relay when one is full", async () => {
    const { room } = await filled("a", "b", "c", "d", "e", "f", "g", "h", "i");
    const spread = await atRelays(room);
    expect(await inRoom(room)).toBe(2);
    expect(spread.reduce((sum, n) => sum + n)).toBe(7);
    expect(spread).toEqual([3, 3, 1]);
    expect(failures(room)).toEqual([]);
  });

  it("that the room refuses is refused at a relay, with the room's words", async () => {
    const { room } = await filled("ann", "bob", "cleo");
    await room.stub.revoke("dan");
    const dan = await Client.connect(room.path, { user: "dan", claims: { iat: Math.floor(Date.now() / 1_000) - 60 } });
    expect(await dan.next("bye")).toMatchObject({ reason: "revoked" });
    expect(await atRelays(room)).toEqual([1, 0, 0]);
  });
});

describe("publications", () => {
  it("promise 13: reach the room's own members and those of all relays, in one order", async () => {
    const { room, clients } = await filled("a", "b", "c", "d", "e", "f");
    const [direct, , relayed, , , other] = clients as [Client, Client, Client, Client, Client, Client];
    expect(await atRelays(room)).toEqual([3, 1, 0]);
    expect(await relayed.publish(1, "from a relay")).toMatchObject({ ref: 1, offset: 1 });
    expect(await other.publish(1, "from another")).toMatchObject({ ref: 1, offset: 2 });
    expect(await direct.publish(1, "from the room")).toMatchObject({ ref: 1, offset: 3 });
    for (const client of clients) await hasSeen(client, "from a relay", "from another", "from the room");
    expect(clients.map((client) => client.items.map(({ offset }) => offset))).toEqual(clients.map(() => [1, 2, 3]));
    expect(failures(room)).toEqual([]);
  });

  it("that are refused are refused to their sender alone, and one that is sent again counts once", async () => {
    const { clients } = await filled("ann", "bob", "cleo");
    const [ann, , cleo] = clients as [Client, Client, Client];
    cleo.send({ type: "publish", ref: 1, data: "reject" });
    expect(await cleo.next("error")).toMatchObject({ ref: 1, code: "rejected", message: "no such words here" });
    const first = await cleo.publish(2, "once");
    expect(await cleo.publish(2, "once")).toMatchObject({ offset: first.offset });
    await cleo.publish(3, "twice");
    await hasSeen(ann, "once", "twice");
  });

  it("reach members of relays after these slept", async () => {
    const { room, clients } = await filled("ann", "bob", "cleo");
    const [ann, , cleo] = clients as [Client, Client, Client];
    await ann.publish(1, "before");
    await hasSeen(cleo, "before");
    await evictDurableObject(relayOf(room, 0));
    await ann.publish(2, "after");
    await hasSeen(cleo, "before", "after");
    await room.evict();
    await cleo.publish(1, "and back");
    await hasSeen(ann, "before", "after", "and back");
    expect(failures(room)).toEqual([]);
  });
});

describe("a session", () => {
  it("promise 13: goes on through another relay, from where it was", async () => {
    const { room, members } = await filled("a", "b", "c", "d", "e", "f");
    const [ann, , cleo] = members as [Joined, Joined, Joined];
    expect(await atRelays(room)).toEqual([3, 1, 0]);
    await cleo.client.publish(1, "before");
    await cleo.client.close();
    // Its place is taken: it has to go elsewhere.
    await eventually(async () => expect((await atRelays(room))[0]).toBe(2));
    const { epoch, session } = cleo.welcome;
    const others: Joined[] = [];
    while ((await atRelays(room))[0] !== 3) others.push(await Client.join(room.path, { user: `z${others.length}` }));
    await ann.client.publish(1, "missed");
    const back = await Client.join(room.path, { user: "c", session, epoch, offset: 1 });
    expect(back.welcome).toMatchObject({ session, resumed: true, ref: 1 });
    await hasSeen(back.client, "missed");
    expect(await back.client.publish(2, "again")).toMatchObject({ ref: 2, offset: 3 });
    expect((await atRelays(room))[0]).toBe(3);
    expect(failures(room)).toEqual([]);
  });

  it("that somebody else goes on with at another relay is replaced where it was, and comes to rest", async () => {
    const { room, members } = await filled("a", "b", "c", "d", "e", "f");
    const [ann, , cleo] = members as [Joined, Joined, Joined];
    expect(await atRelays(room)).toEqual([3, 1, 0]);
    const { epoch, session } = cleo.welcome;
    // Its own relay is full, for cleo is still there.
    const copy = await Client.join(room.path, { user: "c", session, epoch, offset: 0 });
    expect(copy.welcome).toMatchObject({ session, resumed: true });
    expect(await cleo.client.next("bye")).toMatchObject({ reason: "replaced" });
    await copy.client.publish(1, "mine now");
    await hasSeen(ann.client, "mine now");
    expect(await atRelays(room)).toEqual([2, 2, 0]);
    expect(failures(room)).toEqual([]);
  });

  it("that has come back is not ended by what it was told of its last place too late", async () => {
    const { room, members } = await filled("a", "b", "c");
    const { client, welcome } = members[2] as Joined;
    const { epoch, session } = welcome;
    const relay = relayOf(room, 0);
    const tell = (generation: number) => {
      const dismissal = { user: "c", session, code: "replaced", relay: `${room.path}/any/0`, generation } as const;
      const rest = { after: 0, upto: 0, items: "", count: 3, signals: [], next: [] };
      return relay.push({ version: RELAYING, epoch, dismissals: [dismissal], ...rest });
    };
    await tell(1);
    expect(await client.publish(1, "still here")).toMatchObject({ offset: 1 });
    await tell(2);
    expect(await client.next("bye")).toMatchObject({ reason: "replaced" });
  });

  it("goes on at a relay that began in the room", async () => {
    const { room, members } = await filled("a", "b", "c");
    const [ann, bob] = members as [Joined, Joined];
    const { epoch, session } = ann.welcome;
    await ann.client.publish(1, "before");
    await ann.client.close();
    await room.dropped(session);
    await bob.client.publish(1, "missed");
    const back = await Client.join(room.path, { user: "a", session, epoch, offset: 1 });
    expect(back.welcome).toMatchObject({ session, resumed: true, ref: 1 });
    await hasSeen(back.client, "missed");
    expect(await inRoom(room)).toBe(1);
    expect(await atRelays(room)).toEqual([2, 0, 0]);
  });

  it("goes on after its relay was killed, and misses nothing", async () => {
    const { room, members } = await filled("a", "b", "c");
    const [ann, , cleo] = members as [Joined, Joined, Joined];
    await cleo.client.publish(1, "before");
    // The test runner keeps quiet about aborts that begin like its own.
    const reason = "Instance dispose: killed by a test";
    await runInDurableObject(relayOf(room, 0), (_relay, state) => state.abort(reason)).catch(() => undefined);
    await cleo.client.until(() => cleo.client.closed !== undefined, "the end of the line");
    await ann.client.publish(1, "missed");
    const { epoch, session } = cleo.welcome;
    const back = await Client.join(room.path, { user: "c", session, epoch, offset: 1 });
    expect(back.welcome).toMatchObject({ session, resumed: true, ref: 1 });
    await hasSeen(back.client, "missed");
    await back.client.publish(2, "again");
    await hasSeen(ann.client, "before", "missed", "again");
  });

  it("that missed more than a relay is told at once is reset, and nobody else is disturbed", async () => {
    const { room, members } = await filled("a", "b", "c", "d");
    const [, , cleo, dan] = members as [Joined, Joined, Joined, Joined];
    await cleo.client.close();
    // The room's log reaches back further: it lets go of whole rows.
    for (let i = 0; i < 17; i++) await room.stub.publish("x".repeat(1_000_000));
    await dan.client.until(() => dan.client.items.length === 17, "publications");
    const { epoch, session } = cleo.welcome;
    const back = await Client.join(room.path, { user: "c", session, epoch, offset: 0, credit: true });
    expect(back.welcome).toMatchObject({ session, resumed: false, reason: "too_far" });
    expect(await dan.client.publish(1, "still here")).toMatchObject({ offset: 18 });
    expect(failures(room)).toEqual([]);
  });

  it.each([
    ["before all that the room has", 0, 19],
    ["further back than a socket may leave unread", 5, 16],
    ["ahead of all that there is", 1_000, 1],
  ])("that asks for what is %s comes again to be reset, and nobody else is disturbed", async (_, offset, count) => {
    const { room, members } = await filled("a", "b", "c", "d");
    const [, , cleo, dan] = members as [Joined, Joined, Joined, Joined];
    for (let i = 0; i < count; i++) {
      await room.stub.publish("x".repeat(1_000_000));
      for (const { client } of [cleo, dan]) await client.until(() => client.items.length === i + 1, "publications");
    }
    cleo.client.send({ type: "sync", offset });
    expect(await cleo.client.next("bye")).toMatchObject({ reason: "restarting" });
    const { epoch, session } = cleo.welcome;
    const back = await Client.join(room.path, { user: "c", session, epoch, offset });
    const reason = { 0: "log_trimmed", 5: "too_far", 1_000: "offset_ahead" }[offset];
    expect(back.welcome).toMatchObject({ session, resumed: false, reason });
    expect(await dan.client.publish(1, "still here")).toMatchObject({ offset: count + 1 });
    expect(failures(room)).toEqual([]);
  });

  it("of another user is none", async () => {
    const { room, members } = await filled("a", "b", "c");
    const { epoch, session } = (members as [Joined, Joined, Joined])[2].welcome;
    const thief = await Client.join(room.path, { user: "thief", session, epoch, offset: 0 });
    expect(thief.welcome).toMatchObject({ resumed: false, reason: "session_unknown" });
    expect(thief.welcome.session).not.toBe(session);
  });

  it("is given its next token through its relay, and an unknown one is refused", async () => {
    const { room, members } = await filled("a", "b", "c");
    const refresh = async (session: string, user = "c") =>
      exports.default.fetch(`http://edge.test/rooms/${room.path}/session`, {
        method: "POST",
        headers: { authorization: `Bearer ${await sign(user, {}, "2h")}` },
        body: JSON.stringify({ session }),
      });
    for (const [user, { welcome }] of [
      ["a", members[0] as Joined],
      ["c", members[2] as Joined],
    ] as const) {
      const response = await refresh(welcome.session, user);
      expect(response.status).toBe(200);
      expect((await response.json<{ expires: number }>()).expires).toBeGreaterThan(Date.now() + 3_600_000);
    }
    const refused = await refresh((members[2] as Joined).welcome.session, "b");
    expect(refused.status).toBe(404);
    expect(await refused.json()).toMatchObject({ code: "unknown_session" });
  });
});

describe("operators", () => {
  it("kick a member of a relay", async () => {
    const { room, clients } = await filled("ann", "bob", "cleo", "dan");
    const [, , cleo, dan] = clients as [Client, Client, Client, Client];
    expect(await room.stub.kick("cleo")).toEqual({ sessions: 1 });
    expect(await cleo.next("bye")).toMatchObject({ reason: "kicked" });
    await dan.publish(1, "still here");
    await eventually(async () => expect(await atRelays(room)).toEqual([1, 0, 0]));
  });

  it("revoke a member of a relay, who cannot come back with the same token", async () => {
    const { room, clients } = await filled("ann", "bob", "cleo");
    const token = await sign("cleo", { iat: Math.floor(Date.now() / 1_000) - 60 });
    expect(await room.stub.revoke("cleo")).toEqual({ sessions: 1 });
    expect(await (clients[2] as Client).next("bye")).toMatchObject({ reason: "revoked" });
    const again = await Client.connect(room.path, { token });
    expect(await again.next("bye")).toMatchObject({ reason: "revoked" });
  });

  it("drain relays with the room", async () => {
    const { room, clients } = await filled("ann", "bob", "cleo");
    const cleo = clients[2] as Client;
    const { until } = await room.stub.drain("60s");
    const { within } = await cleo.next("goaway");
    expect(within).toBeGreaterThan(0);
    expect(within).toBeLessThanOrEqual(60_000);
    expect(until).toBeGreaterThan(Date.now());
    const late = await Client.connect(room.path, { user: "late" });
    expect(await late.next("bye")).toMatchObject({ reason: "draining" });
  });
});

describe("members", () => {
  it("are named by the room, wherever they are, page by page", async () => {
    const { clients } = await filled("ann", "bob", "cleo", "dan");
    const ask = async (client: Client, data: { after?: string; limit?: number }) => {
      client.send({ type: "call", ref: 1, method: "edgerooms.who", data });
      return client.next("reply");
    };
    for (const client of [clients[0], clients[3]] as [Client, Client]) {
      expect(await ask(client, { limit: 3 })).toMatchObject({
        data: { members: [{ id: "ann" }, { id: "bob" }, { id: "cleo" }], count: 4, next: "cleo" },
      });
      expect(await ask(client, { after: "cleo" })).toMatchObject({ data: { members: [{ id: "dan" }], count: 4 } });
    }
  });

  it("call methods of the room and send signals through a relay", async () => {
    const { clients } = await filled("ann", "bob", "cleo", "dan");
    const [ann, , cleo, dan] = clients as [Client, Client, Client, Client];
    cleo.send({ type: "call", ref: 1, method: "add", data: [1, 2] });
    expect(await cleo.next("reply")).toMatchObject({ data: 3 });
    cleo.send({ type: "signal", data: "hi" });
    for (const client of [ann, dan]) expect(await client.next("signal")).toMatchObject({ by: "cleo", data: "hi" });
  });
});
