/** What an operator does to a room over HTTP. Every answer is held against the OpenAPI document: see contract.ts. */
import { describe, expect, it } from "vitest";
import type { Publication } from "../../src/protocol/frames.ts";
import type { SessionView } from "../../src/protocol/api.ts";
import { Client, sign } from "../support/client.ts";
import { ask, operator } from "../support/contract.ts";
import { census, door, enter } from "../support/door.ts";
import { eventually } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";

interface Log {
  epoch: string;
  oldest: number;
  offset: number;
  items: Publication[];
}

async function log(room: TestedRoom, query = ""): Promise<Log> {
  const { status, body } = await ask<Log>("GET", `/rooms/${room.path}/log${query}`);
  expect(status).toBe(200);
  return body;
}

async function sessions(room: TestedRoom): Promise<SessionView[]> {
  return (await ask<{ sessions: SessionView[] }>("GET", `/rooms/${room.path}/sessions`)).body.sessions;
}

const all = [
  ["POST", "publish", { data: "x" }],
  ["GET", "log", undefined],
  ["GET", "members", undefined],
  ["GET", "sessions", undefined],
  ["GET", "stats", undefined],
  ["GET", "dead-letters", undefined],
  ["POST", "kick", { user: "ann" }],
  ["POST", "revoke", { user: "ann" }],
  ["POST", "drain", { within: 0 }],
  ["POST", "redeliver", undefined],
  ["POST", "drop", { all: true }],
] as const;

describe.each(all)("%s %s", (method, name, body) => {
  it("needs a token, a good one, of this room, and its grant; no room is asked without", async () => {
    const before = await census();
    const { path } = new TestedRoom();
    const at = `/rooms/${path}/${name}`;
    const code = async (token: string | null) => (await ask(method, at, { token, body })).body.code;
    expect(await code(null)).toBe("unauthorized");
    expect(await code("garbage")).toBe("unauthorized");
    expect(await code(await sign("op", {}, Math.floor(Date.now() / 1_000) - 60))).toBe("token_expired");
    const others = ["join", "publish", "signal", "call", "admin"].filter(
      (grant) => grant !== (name === "publish" ? "publish" : "admin"),
    );
    expect(await code(await sign("op", { rooms: { "*": others } }))).toBe("forbidden");
    expect(await code(await sign("op", { rooms: { "chat/*": ["admin", "publish"] } }))).toBe("forbidden");
    const foreign = await ask(method, at, { body, headers: { origin: "https://evil.test" } });
    expect(foreign.body.code).toBe("forbidden");
    expect((await ask(method, `/rooms/lobby/x/${name}`, { body })).body.code).toBe("not_found");
    expect((await ask(method, `/rooms/relay/a%2Ab/${name}`, { body })).body.code).toBe("bad_room");
    const unset = door({}, { AUTH_SECRET: "" });
    expect((await ask(method, at, { at: unset, body })).status).toBe(503);
    expect(await census()).toBe(before);
  });

  it("is refused to a token that was revoked, and does nothing then", async () => {
    const room = new TestedRoom();
    const { client } = await Client.join(room.path, { user: "ann" });
    await room.stub.publish("before");
    const token = await operator();
    await ask("POST", `/rooms/${room.path}/revoke`, { body: { user: "op" }, token: await operator("chief") });
    const { status, body: told } = await ask(method, `/rooms/${room.path}/${name}`, { token, body });
    expect({ status, code: told.code }).toEqual({ status: 401, code: "revoked" });
    await client.publish(1, "after");
    expect(client.items.map(({ data }) => data)).toEqual(["before", "after"]);
    expect([...client.of("goaway"), ...client.of("bye")]).toEqual([]);
  });

  it("is where the room is, also where there is one kind and by its name alone", async () => {
    const at = door({ rooms: { chat: "CHAT" } });
    const { name: room } = new TestedRoom("chat");
    await ask("POST", `/rooms/chat/${room}/publish`, { at, body: { data: 1 } });
    for (const path of [`/rooms/chat/${room}`, `/rooms/${room}`]) {
      expect((await ask(method, `${path}/${name}`, { at, body })).status).toBeLessThan(300);
    }
  });
});

it("a room called like an operation is still a room, where there is one kind", async () => {
  const at = door({ rooms: { chat: "CHAT" } });
  const { welcome } = await enter(at, "/rooms/chat/log");
  expect(welcome).toMatchObject({ member: "ann" });
  const { body } = await ask<{ members: { id: string }[] }>("GET", "/rooms/chat/log/members", { at });
  expect(body.members).toEqual([{ id: "ann" }]);
});

describe("bodies that are none", () => {
  it.each(["publish", "kick", "revoke"])("are refused by %s with a sentence", async (name) => {
    const before = await census();
    const path = `/rooms/${new TestedRoom().path}/${name}`;
    const broken = new Uint8Array([...new TextEncoder().encode('{"data":"'), 0xff, 0x22, 0x7d]);
    for (const body of ["", "{", "null", "[]", "1", '"ann"', "{}", '{"user":1}', '{"user":""}', broken]) {
      const { status, body: told } = await ask("POST", path, { body });
      expect({ body, status, code: told.code }).toEqual({ body, status: 400, code: "bad_request" });
      expect(told.detail).toMatch(/^The body is \{/);
    }
    // Too large is said before wrong.
    if (name !== "publish") expect((await ask("POST", path, { body: "x".repeat(4_097) })).status).toBe(413);
    expect(await census()).toBe(before);
  });

  it("do not kick both a user and a session, nor what no session is called", async () => {
    const room = new TestedRoom();
    await room.stub.publish("here");
    const path = `/rooms/${room.path}/kick`;
    expect((await ask("POST", path, { body: { user: "ann", session: "s" } })).body.code).toBe("bad_request");
    expect((await ask("POST", path, { body: { session: "s".repeat(65) } })).body.code).toBe("bad_request");
    expect((await ask("POST", path, { body: { session: "s".repeat(64) } })).body.code).toBe("unknown_session");
  });
});

describe("the log", () => {
  it("is read in pages, what is for others included", async () => {
    const room = new TestedRoom();
    for (let n = 1; n <= 250; n++) await room.stub.publish(n, n % 10 === 0 ? { to: ["somebody"] } : {});
    const newest = await log(room);
    expect(newest).toMatchObject({ oldest: 1, offset: 250 });
    expect(newest.items.map(({ offset }) => offset)).toEqual(Array.from({ length: 100 }, (_, i) => 151 + i));
    const read: Publication[] = [];
    for (let after = 0; after < newest.offset;) {
      const page = await log(room, `?after=${after}&limit=60`);
      expect(page.items.length).toBeLessThanOrEqual(60);
      read.push(...page.items);
      after = page.items.at(-1)?.offset ?? newest.offset;
    }
    expect(read.map(({ data }) => data)).toEqual(Array.from({ length: 250 }, (_, i) => i + 1));
    expect(read.filter(({ to }) => to)).toHaveLength(25);
    expect((await log(room, "?after=250")).items).toEqual([]);
    expect((await log(room, "?after=9007199254740991")).items).toEqual([]);
    expect((await log(room, "?limit=1")).items.map(({ offset }) => offset)).toEqual([250]);
  });

  it("comes at most a megabyte at a time", async () => {
    const room = new TestedRoom();
    for (let n = 0; n < 5; n++) await room.stub.publish("x".repeat(400_000));
    const { items } = await log(room, "?after=0");
    expect(items.map(({ offset }) => offset)).toEqual([1, 2]);
    expect((await log(room, "?after=2")).items.map(({ offset }) => offset)).toEqual([3, 4]);
    expect((await log(room)).items.map(({ offset }) => offset)).toEqual([4, 5]);
  });

  it("says where it begins once old publications are gone, and reads on from there", async () => {
    const room = new TestedRoom("small");
    for (let n = 1; n <= 300; n++) await room.stub.publish(n);
    const { oldest, offset, items } = await log(room, "?after=0");
    expect(offset).toBe(300);
    expect(oldest).toBeGreaterThan(1);
    expect(items[0]?.offset).toBe(oldest);
  });

  it("is empty in a room where nothing was said", async () => {
    const room = new TestedRoom();
    await Client.join(room.path);
    expect(await log(room)).toMatchObject({ offset: 0, items: [] });
  });
});

describe("looking at a room", () => {
  it("shows its members as they see each other", async () => {
    const room = new TestedRoom();
    const { client } = await Client.join(room.path, { user: "ann", claims: { name: "Ann" } });
    client.send({ type: "presence", data: { mood: "good" } });
    const path = `/rooms/${room.path}/members`;
    const expected = [{ id: "ann", name: "Ann", data: { mood: "good" } }];
    await eventually(async () => expect((await ask("GET", path)).body).toEqual({ members: expected }));
  });

  it("shows every session: how far it is behind, and when it was last heard", async () => {
    const began = Date.now();
    const room = new TestedRoom("heartbeat");
    const { client: ann, welcome } = await Client.join(room.path, { user: "ann", credit: true });
    const bob = await Client.join(room.path, { user: "bob" });
    for (let n = 1; n <= 3; n++) await room.stub.publish(n);
    await ann.until(() => ann.items.length === 3);
    const behind = (await sessions(room)).find(({ user }) => user === "ann");
    expect(behind).toMatchObject({ session: welcome.session, user: "ann", connected: true, lag: 3 });
    expect(behind?.since).toBeGreaterThanOrEqual(began);
    ann.send({ type: "ack", offset: 2 });
    await eventually(async () => {
      const view = (await sessions(room)).find(({ user }) => user === "ann");
      expect(view?.lag).toBe(1);
      expect(view?.heardAt).toBeGreaterThanOrEqual(began);
    });
    await bob.client.close();
    await room.dropped(bob.welcome.session);
    const dropped = (await sessions(room)).find(({ user }) => user === "bob");
    expect(dropped).toMatchObject({ session: bob.welcome.session, connected: false, droppedAt: expect.any(Number) });
    expect(dropped).not.toHaveProperty("lag");
  });

  it("counts what a silent connection left unanswered", async () => {
    const room = new TestedRoom();
    room.stopClock();
    const { client } = await Client.join(room.path);
    client.silent = true;
    await room.pass(40_000);
    expect(await sessions(room)).toMatchObject([{ heardAt: 0, missed: 0 }]);
    await room.pass(40_000);
    expect(await sessions(room)).toMatchObject([{ heardAt: 0, missed: 1 }]);
  });

  it("gives its numbers", async () => {
    const room = new TestedRoom();
    const { welcome } = await Client.join(room.path);
    await room.stub.publish("x");
    const stats = async () => (await ask<Record<string, unknown>>("GET", `/rooms/${room.path}/stats`)).body;
    expect(await stats()).toMatchObject({
      kind: "relay",
      room: room.name,
      epoch: welcome.epoch,
      offset: 1,
      oldest: 1,
      members: 1,
      sessions: 1,
      connections: 1,
      heartbeat: { due: expect.any(Number), interval: expect.any(Number) },
    });
    expect(await stats()).not.toHaveProperty("draining");
    const { body } = await ask("POST", `/rooms/${room.path}/drain`, { body: { within: 60_000 } });
    const { until, reopens } = body as { until?: number; reopens?: number };
    expect(await stats()).toMatchObject({ draining: { until, reopens } });
  });

  it("finds no dead letters where no events go out", async () => {
    const { path, stub } = new TestedRoom();
    await stub.publish("here");
    expect((await ask("GET", `/rooms/${path}/dead-letters`)).body).toEqual({ dead: [] });
    expect((await ask("POST", `/rooms/${path}/redeliver`)).body).toEqual({ pending: 0, redelivered: 0 });
    expect((await ask("POST", `/rooms/${path}/drop`, { body: { all: true } })).body).toEqual({ dropped: 0, dead: 0 });
  });
});

describe("E6: undelivered events", () => {
  it("are seen, skipped, dropped and delivered again batch by batch", async () => {
    const room = new TestedRoom("events");
    room.stopClock();
    const at = (path: string) => `/rooms/${room.path}/${path}`;
    room.receiver.mood = "refuse";
    for (const data of ["one", "two", "three"]) {
      await room.stub.publish(data);
      await eventually(() => room.receiver.tried.some(({ events }) => events[0]?.publication?.data === data));
    }
    type Letters = { dead: { id: string; error: string }[]; stuck?: { id: string; tries: number } };
    const letters = async () => (await ask<Letters>("GET", at("dead-letters"))).body;
    await eventually(async () => expect((await letters()).dead).toHaveLength(3));
    const [three = "", two = "", one = ""] = (await letters()).dead.map(({ id }) => id);
    const shown = await ask<{ events: object[] }>("GET", at(`dead-letter?batch=${two}`));
    expect(shown.body).toMatchObject({ id: two, events: [{ type: "publication", publication: { data: "two" } }] });
    room.receiver.mood = "take";
    expect((await ask("POST", at("redeliver"), { body: { batch: three } })).body).toMatchObject({ redelivered: 1 });
    expect((await ask("POST", at("drop"), { body: { batch: one } })).body).toEqual({ dropped: 1, dead: 1 });
    await eventually(() => room.receiver.taken.length === 1);

    room.receiver.mood = "fail";
    await room.stub.publish("held");
    await eventually(async () => expect((await letters()).stuck).toMatchObject({ tries: 1 }));
    const { stuck } = await letters();
    expect((await ask("POST", at("skip"), { body: { batch: stuck?.id } })).body).toEqual({ pending: 0, dead: 2 });
    expect((await letters()).dead[0]).toMatchObject({ id: stuck?.id, error: "skipped" });
    for (const path of ["redeliver", "skip", "drop"]) {
      expect((await ask("POST", at(path), { body: { batch: "typo" } })).body.code, path).toBe("not_found");
      expect((await ask("POST", at(path), { body: { batch: "a b" } })).body.code, path).toBe("bad_request");
    }
    expect((await ask("GET", at("dead-letter?batch=typo"))).body.code).toBe("not_found");
    expect((await ask("GET", at("dead-letter"))).body.code).toBe("bad_request");
    for (const body of [{}, { all: false }, { batch: two, all: true }]) {
      expect((await ask("POST", at("drop"), { body })).body.code).toBe("bad_request");
    }
    expect((await letters()).dead).toHaveLength(2);
  });
});

describe("a hand on a room", () => {
  it("kicks every session of a user; who may come back", async () => {
    const room = new TestedRoom();
    const { client: one } = await Client.join(room.path, { user: "ann" });
    const { client: two } = await Client.join(room.path, { user: "ann" });
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    const kick = (user: string) => ask("POST", `/rooms/${room.path}/kick`, { body: { user } });
    expect((await kick("ann")).body).toEqual({ sessions: 2 });
    for (const client of [one, two]) expect(await client.next("bye")).toMatchObject({ code: 4410, reason: "kicked" });
    expect((await bob.next("presence")).leave).toEqual(["ann"]);
    expect((await kick("nobody")).body).toEqual({ sessions: 0 });
    expect((await Client.join(room.path, { user: "ann" })).welcome.resumed).toBe(false);
  });

  it("kicks one session, and knows which it does not have", async () => {
    const room = new TestedRoom();
    const { client: one, welcome } = await Client.join(room.path, { user: "ann" });
    const { client: two } = await Client.join(room.path, { user: "ann" });
    const kick = () => ask("POST", `/rooms/${room.path}/kick`, { body: { session: welcome.session } });
    expect((await kick()).body).toEqual({ sessions: 1 });
    expect(await one.next("bye")).toMatchObject({ reason: "kicked" });
    await two.publish(1, "undisturbed");
    const again = await kick();
    expect({ status: again.status, code: again.body.code }).toEqual({ status: 404, code: "unknown_session" });
  });

  it("revokes: live connections end, tokens from before are refused, new ones are not", async () => {
    const room = new TestedRoom();
    const old = await sign("ann");
    const { client } = await Client.join(room.path, { token: old });
    const { body } = await ask("POST", `/rooms/${room.path}/revoke`, { body: { user: "ann" } });
    expect(body).toEqual({ sessions: 1 });
    expect(await client.next("bye")).toMatchObject({ code: 4411, reason: "revoked" });
    const refused = await Client.connect(room.path, { token: old });
    expect(await refused.next("bye")).toMatchObject({ reason: "revoked" });
    const since = await sign("ann", { iat: Math.floor(Date.now() / 1_000) + 5 });
    expect((await Client.join(room.path, { token: since })).welcome.member).toBe("ann");
  });

  it("drains, and says until when", async () => {
    const room = new TestedRoom();
    room.stopClock();
    const { client } = await Client.join(room.path);
    const { body } = await ask<{ until: number; reopens: number; connections: number }>(
      "POST",
      `/rooms/${room.path}/drain`,
      { body: { within: 1_000.4, reopenAfter: 2_000 } },
    );
    expect(body).toEqual({ until: expect.any(Number), reopens: body.until + 2_000, connections: 1 });
    expect(await client.next("goaway")).toMatchObject({ within: 1_000 });
  });
});
