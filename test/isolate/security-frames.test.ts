/** What a member can do with frames alone: to everyone's objects, to the log of the operator, to the secrets of others. */
import { afterEach, describe, expect, it, vi } from "vitest";

import { Client, sign } from "../support/client.ts";
import { door, expectRefused } from "../support/door.ts";
import { TestedRoom } from "../support/room.ts";

/** Own keys of what every object shares, before and after. */
const shared = () =>
  [Object.prototype, Array.prototype, Function.prototype, String.prototype, Map.prototype].map((prototype) =>
    Reflect.ownKeys(prototype).map(String).toSorted(),
  );

/** Data with every way to a prototype. It is text, because a literal `__proto__` in source would not be a key. */
const POLLUTION = `{"__proto__":{"polluted":1,"toJSON":1},"constructor":{"prototype":{"polluted":1}},"toString":0,"__defineGetter__":0}`;

afterEach(() => {
  vi.restoreAllMocks();
});

describe("prototypes", () => {
  it("stay as they are under publishes, signals, presence and calls full of their names, and the data is kept", async () => {
    const before = shared();
    const room = new TestedRoom("chat");
    const { client: ann } = await Client.join(room.path, { user: "ann" });
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    for (const frame of [
      `{"type":"publish","ref":1,"data":${POLLUTION},"__proto__":{"to":["nobody"]}}`,
      `{"type":"signal","data":${POLLUTION},"constructor":{"prototype":{"to":["nobody"]}}}`,
      `{"type":"presence","data":${POLLUTION}}`,
      `{"type":"call","ref":1,"method":"notes","data":${POLLUTION}}`,
    ]) {
      ann.socket.send(frame);
    }
    await bob.until(() => bob.items.length === 1 && bob.of("signal").length === 1 && bob.of("presence").length === 1);
    await room.evict();
    const { welcome } = await Client.join(room.path, { user: "cem" });
    const kept = [bob.items[0]?.data, bob.of("signal")[0]?.data, welcome.members[0]?.data];
    expect(kept.map((data) => JSON.stringify(data))).toEqual([POLLUTION, POLLUTION, POLLUTION]);
    expect(shared()).toEqual(before);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
    expect(room.reports).toEqual([]);
  });

  it("hold no method that can be called, no type that can be sent and nobody who can be addressed", async () => {
    const room = new TestedRoom("chat");
    const { client } = await Client.join(room.path);
    const names = [
      "constructor",
      "__proto__",
      "toString",
      "hasOwnProperty",
      "valueOf",
      "get",
      "size",
      "__defineGetter__",
    ];
    for (const [i, method] of names.entries()) {
      client.send({ type: "call", ref: i + 1, method, data: null });
      const { error } = await client.next("reply");
      expect(error, method).toMatchObject({ code: "unknown_method" });
    }
    for (const type of names) {
      client.send({ type, ref: 1, data: 1 } as never);
      expect((await client.next("error")).code, type).toBe("bad_frame");
    }
    client.send({ type: "publish", ref: 1, data: 1, to: ["__proto__", "constructor"] });
    await client.until(() => client.items.length === 1);
    expect(room.reports).toEqual([]);
  });

  it("lend nothing to a frame: what is missing is not looked for there", async () => {
    const room = new TestedRoom();
    const { client } = await Client.join(room.path);
    client.socket.send('{"__proto__":{"type":"publish","ref":1,"data":1}}');
    expect((await client.next("error")).code).toBe("bad_frame");
    client.socket.send('{"type":"publish","__proto__":{"ref":1,"data":1}}');
    expect((await client.next("error")).code).toBe("bad_frame");
    client.socket.send('{"type":"publish","ref":1,"__proto__":{"data":1}}');
    expect(await client.next("error")).toMatchObject({ code: "bad_frame", ref: 1 });
    expect(client.items).toEqual([]);
  });
});

/** Real lines of the log while something runs. */
async function logged(run: () => Promise<unknown>): Promise<string[]> {
  const logs = [vi.spyOn(console, "error"), vi.spyOn(console, "warn")];
  for (const log of logs) log.mockImplementation(() => undefined);
  await run();
  return logs.flatMap((log) => log.mock.calls.map((args) => args.map(String).join(" ")));
}

/** A line break, a colour, a bell, the end of an operator's quotes. */
const TRICKS = '\n{"level":"info"}\r\u001b[2J\u001b[31m\u0007\u009b31m\u2028\u202e"\\';

describe("the log", () => {
  it("has one line of JSON per failure of a hook, whatever its error says, and no token that it quotes", async () => {
    const room = new TestedRoom("chat");
    const token = await sign("ann");
    const { client, welcome } = await Client.join(room.path, { token });
    const lines = await logged(async () => {
      client.send({ type: "publish", ref: 1, data: `throw ${TRICKS}` });
      client.send({ type: "publish", ref: 2, data: `throw bad token ${token}` });
      await client.until(() => client.of("error").length === 2);
    });
    expect(lines).toHaveLength(2);
    for (const line of lines) {
      expect(line).not.toMatch(/[\p{Cc}\u2028\u202e]/u);
      expect(line).not.toContain(token);
      expect(JSON.parse(line)).toEqual({
        level: "error",
        code: "hook_failed",
        source: "onPublish",
        kind: "chat",
        room: room.name,
        session: welcome.session,
        user: "ann",
        requestId: expect.any(String),
        traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
        message: expect.stringMatching(/^Error: /),
      });
      // Nor once it is read: a terminal that shows the message must not obey it.
      expect((JSON.parse(line) as { message: string }).message).not.toMatch(/[\p{Cc}\u2028\u202e]/u);
    }
    expect(lines[1]).toContain("bad token [token]");
  });

  it("has one line of JSON per failed request, without its address, headers or token", async () => {
    const token = await sign("ann");
    const authorize = () => {
      throw new Error(TRICKS);
    };
    const headers = { "user-agent": "\u001b[31mevil", "x-request-id": 'a"}%0a', cookie: "secret-cookie" };
    const lines = await logged(async () =>
      expectRefused(
        door({ authorize }, { ENVIRONMENT: "production" }),
        "/rooms/chat/secret-room?session=secretsession",
        { token, headers },
        "internal",
      ),
    );
    expect(lines).toHaveLength(2);
    for (const line of lines) {
      expect(line).not.toMatch(/[\p{Cc}\u2028]/u);
      expect(JSON.parse(line)).toMatchObject({ source: "GET /rooms/:kind/:room", room: "secret-room" });
      for (const secret of [token, "evil", "secret-cookie", "secretsession"]) expect(line).not.toContain(secret);
    }
  });

  it("has a line for a stranger who is refused, and in it nothing of what they said", async () => {
    const lines = await logged(async () => {
      const at = door({});
      const path = `/rooms/${new TestedRoom().path}`;
      await expectRefused(at, path, { token: null }, "unauthorized");
      await expectRefused(at, path, { token: `garbage.${"x".repeat(1_000)}.y` }, "unauthorized");
      await expectRefused(at, path, { headers: { origin: "https://evil.test/%0a" } }, "forbidden");
      await expectRefused(at, "/rooms/relay/a%0aINFO", {}, "bad_room");
      await expectRefused(at, "/rooms/%0aINFO/a", {}, "not_found");
      await expectRefused(at, `${path}?session=%0a`, {}, "bad_resume");
    });
    expect(lines).toHaveLength(12);
    for (const line of lines) {
      expect(JSON.parse(line)).toMatchObject({ level: "warn", source: expect.stringMatching(/^GET \/rooms/) });
      for (const theirs of ["garbage", "xxx", "evil", "INFO", "%0a", "\n"]) expect(line).not.toContain(theirs);
    }
  });

  it("and the other members never see a token, a session of someone else, or a hook's own words", async () => {
    const room = new TestedRoom("chat");
    const secret = "payload-for-bob-alone";
    const token = await sign("ann");
    const { client: ann, welcome } = await Client.join(room.path, { token });
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    const { client: eve, welcome: hers } = await Client.join(room.path, { user: "eve" });
    ann.send(
      { type: "publish", ref: 1, data: secret, to: ["bob"] },
      { type: "signal", data: secret, to: ["bob"] },
      { type: "publish", ref: 2, data: "throw" },
    );
    await bob.until(() => bob.items.length === 1 && bob.of("signal").length === 1);
    const { session, epoch } = hers;
    eve.send({ type: "sync", offset: 0 });
    await eve.until(() => eve.of("pub").length === 2);
    await eve.close();
    const { client: back } = await Client.join(room.path, { user: "eve", session, epoch, offset: 0 });
    const { client: fresh } = await Client.join(room.path, { user: "eve" });
    await back.until(() => back.of("pub").length === 1);
    const seen = [eve, back, fresh].flatMap((client) => client.messages).join("\n");
    for (const hidden of [secret, token, welcome.session, "secret-of", "hook broke"])
      expect(seen).not.toContain(hidden);
    const said = [...ann.messages, ...bob.messages, ...room.reports].join("\n");
    expect(said).not.toContain(token);
    expect(room.reports.join("\n")).not.toContain(secret);
  });
});
