/** Publishing over HTTP: who sees it under what name, what refuses it, and the Idempotency-Key. */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { Publication } from "../../src/protocol/frames.ts";
import { Idempotency } from "../../src/room/store/idempotency.ts";
import { migrate } from "../../src/room/store/schema.ts";
import { Client, sign } from "../support/client.ts";
import { ask } from "../support/contract.ts";
import { TestedRoom } from "../support/room.ts";

interface Published {
  offset: number;
  at: number;
}

const DAY = 86_400_000;
const publisher = (user = "bot") => sign(user, { rooms: { "*": ["publish"] } });
const keyed = (key: string) => ({ "idempotency-key": key });

async function log(room: TestedRoom): Promise<{ offset: number; items: Publication[] }> {
  return (await ask<{ offset: number; items: Publication[] }>("GET", `/rooms/${room.path}/log`)).body;
}

describe("a publication over HTTP", () => {
  it("reaches who is connected, under the name of the token's user", async () => {
    const room = new TestedRoom();
    const { client } = await Client.join(room.path);
    const { status, body } = await ask<Published>("POST", `/rooms/${room.path}/publish`, {
      token: await publisher(),
      body: { data: { n: 1 } },
    });
    expect({ status, body }).toEqual({ status: 201, body: { offset: 1, at: expect.any(Number) } });
    await client.until(() => client.items.length === 1);
    expect(client.items[0]).toMatchObject({ offset: 1, by: "bot", at: body.at, data: { n: 1 } });
  });

  it("is refused where the room has a say about who joins, unless its user has joined or the token is no member's", async () => {
    const room = new TestedRoom("chat");
    const path = `/rooms/${room.path}/publish`;
    const post = async (token: string) => (await ask("POST", path, { token, body: { data: "hi" } })).status;
    expect(await post(await sign("unwanted"))).toBe(403);
    expect(await post(await sign("ann"))).toBe(403);
    const { client } = await Client.join(room.path, { user: "ann" });
    expect(await post(await sign("ann"))).toBe(201);
    expect(await post(await publisher("unwanted"))).toBe(201);
    expect(await post(await sign("op", { rooms: { "*": ["join", "publish", "admin"] } }))).toBe(201);
    await client.until(() => client.items.length === 3);
  });

  it("can be for some only", async () => {
    const room = new TestedRoom();
    const { client: ann } = await Client.join(room.path, { user: "ann" });
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    const path = `/rooms/${room.path}/publish`;
    await ask("POST", path, { body: { data: "secret", to: ["bob"] } });
    await ask("POST", path, { body: { data: "all" } });
    for (const client of [ann, bob]) await client.until(() => client.items.some(({ data }) => data === "all"));
    expect(ann.items.map(({ data }) => data)).toEqual(["all"]);
    expect(bob.items.map(({ data }) => data)).toEqual(["secret", "all"]);
    expect((await log(room)).items.map(({ data, to }) => ({ data, to }))).toEqual([
      { data: "secret", to: ["bob"] },
      { data: "all", to: undefined },
    ]);
  });

  it("carries the trace of its body to its receivers", async () => {
    const room = new TestedRoom();
    const { client } = await Client.join(room.path);
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    await ask("POST", `/rooms/${room.path}/publish`, { body: { data: 1, traceparent } });
    await client.until(() => client.items.length === 1);
    expect(client.items[0]).toMatchObject({ traceparent });
    expect((await log(room)).items[0]).toMatchObject({ traceparent });
  });

  it("goes through onPublish like any other", async () => {
    const room = new TestedRoom("chat");
    const post = (data: unknown, key: string) =>
      ask("POST", `/rooms/${room.path}/publish`, { body: { data }, headers: keyed(key) });
    const rejected = await post("reject", "a");
    expect({ status: rejected.status, body: rejected.body }).toMatchObject({
      status: 422,
      body: { code: "rejected", detail: "no such words here" },
    });
    const failed = await post("throw", "b");
    expect({ status: failed.status, code: failed.body.code }).toEqual({ status: 500, code: "hook_failed" });
    expect(JSON.stringify(failed.body)).not.toContain("secret-of-the-hook");
    expect((await post("shout", "c")).status).toBe(201);
    expect((await log(room)).items.map(({ by, data }) => ({ by, data }))).toEqual([{ by: "op", data: "SHOUT" }]);
    // What was refused is not remembered under its key.
    expect((await post("fine", "a")).status).toBe(201);
  });

  it("keeps to the room's sizes, the body's and the depth of JSON", async () => {
    const room = new TestedRoom("small");
    const path = `/rooms/${room.path}/publish`;
    expect((await ask("POST", path, { body: { data: "x".repeat(2_040) } })).status).toBe(201);
    const large = await ask("POST", path, { body: { data: "x".repeat(2_048) } });
    expect({ status: large.status, code: large.body.code }).toEqual({ status: 413, code: "too_large" });
    const huge = "x".repeat(1_048_576 + 4_097);
    expect((await ask("POST", path, { body: huge })).status).toBe(413);
    // No stranger makes us read that much.
    expect((await ask("POST", path, { body: huge, token: null })).status).toBe(401);
    const nested = (depth: number) => `{"data":${"[".repeat(depth)}${"]".repeat(depth)}}`;
    expect((await ask("POST", path, { body: nested(31) })).status).toBe(201);
    expect((await ask("POST", path, { body: nested(32) })).body.code).toBe("bad_request");
    expect((await ask("POST", path, { body: nested(100_000) })).body.code).toBe("bad_request");
    expect((await log(room)).items).toHaveLength(2);
  });

  it("is told to slow down at the rate of a connection", async () => {
    const room = new TestedRoom();
    room.stopClock();
    const token = await publisher();
    const post = () => ask("POST", `/rooms/${room.path}/publish`, { token, body: { data: 1 } });
    const answers = await Promise.all(Array.from({ length: 101 }, post));
    const refused = answers.filter(({ status }) => status !== 201);
    expect(refused.map(({ status, body }) => [status, body.code])).toEqual([[429, "rate_limited"]]);
    expect(refused[0]?.body.retryAfter).toBeGreaterThan(0);
    expect(refused[0]?.headers.get("retry-after")).toBe("1");
    // Somebody else's pace is their own.
    const other = await publisher("other");
    expect((await ask("POST", `/rooms/${room.path}/publish`, { token: other, body: { data: 1 } })).status).toBe(201);
    room.stopClock(Date.now() + 60_000);
    expect((await post()).status).toBe(201);
  });
});

describe("an Idempotency-Key", () => {
  async function setting() {
    const room = new TestedRoom();
    const { client } = await Client.join(room.path);
    const post = async (key: string, body: object, token?: string) =>
      ask<Published & { code?: string }>("POST", `/rooms/${room.path}/publish`, {
        token: token ?? (await publisher()),
        body,
        headers: keyed(key),
      });
    return { room, client, post };
  }

  it("publishes once, and answers a repeat as the first time", async () => {
    const { room, client, post } = await setting();
    const first = await post("k", { data: "once" });
    const second = await post("k", { data: "once" });
    expect([first.status, second.status]).toEqual([201, 200]);
    expect(second.body).toEqual(first.body);
    expect(first.headers.get("idempotent-replayed")).toBeNull();
    expect(second.headers.get("idempotent-replayed")).toBe("true");
    await client.publish(1, "last");
    expect(client.items.map(({ data }) => data)).toEqual(["once", "last"]);
    expect((await log(room)).offset).toBe(2);
  });

  it("is refused for anything else, which is not published", async () => {
    const { room, post } = await setting();
    await post("k", { data: "one" });
    for (const body of [{ data: "two" }, { data: "one", to: ["ann"] }, { data: ["one"] }]) {
      const { status, body: told } = await post("k", body);
      expect({ status, code: told.code }).toEqual({ status: 422, code: "key_reused" });
    }
    expect((await log(room)).offset).toBe(1);
    expect((await post("k", { data: "one" })).body.offset).toBe(1);
  });

  it("publishes once when two come at once", async () => {
    const { room, post } = await setting();
    const both = await Promise.all([post("k", { data: "x" }), post("k", { data: "x" })]);
    expect(both.map(({ status }) => String(status)).toSorted()).toEqual(["200", "201"]);
    expect(both.map(({ body }) => body.offset)).toEqual([1, 1]);
    expect((await log(room)).offset).toBe(1);
  });

  it("is remembered when the room has slept, and when it was killed", async () => {
    const { room, post } = await setting();
    await post("k", { data: "x" });
    await room.evict();
    expect((await post("k", { data: "x" })).body.offset).toBe(1);
    await room.abort();
    expect((await post("k", { data: "x" })).body.offset).toBe(1);
    expect((await post("k", { data: "y" })).body.code).toBe("key_reused");
    expect((await log(room)).offset).toBe(1);
  });

  it("that was used again after a day is remembered for as long as its later use", async () => {
    const room = new TestedRoom();
    await runInDurableObject(room.stub, (_room, { storage }) => {
      migrate(storage.sql);
      const posts = new Idempotency(storage.sql);
      let made = 0;
      const others = (count: number, at: number) => {
        for (let i = 0; i < count; i++) posts.remember("ann", `k${++made}`, { offset: made, at, digest: "" });
      };
      others(4_095, 0);
      posts.remember("ann", "again", { offset: 1, at: 0, digest: "" });
      expect(posts.find("ann", "again", DAY - 1)?.offset).toBe(1);
      expect(posts.find("ann", "again", DAY + 1)).toBeUndefined();
      posts.remember("ann", "again", { offset: 2, at: DAY + 1, digest: "" });
      others(4_095, DAY + 2);
      expect(posts.find("ann", "again", DAY + 3)?.offset).toBe(2);
      expect(new Idempotency(storage.sql).find("ann", "again", DAY + 3)?.offset).toBe(2);
      others(1, DAY + 2);
      expect(posts.find("ann", "again", DAY + 3)).toBeUndefined();
    });
  });

  it("takes as much of its user's pace as any: repeats too", async () => {
    const { post } = await setting();
    const all = await Promise.all(Array.from({ length: 200 }, async () => post("k", { data: "x" })));
    const statuses = all.map(({ status }) => status);
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(50);
    expect(statuses.filter((status) => status === 201)).toHaveLength(1);
  });

  it("is its user's own", async () => {
    const { post } = await setting();
    expect((await post("k", { data: "x" })).body.offset).toBe(1);
    const other = await post("k", { data: "y" }, await publisher("other"));
    expect({ status: other.status, offset: other.body.offset }).toEqual({ status: 201, offset: 2 });
    expect((await post("k", { data: "x" })).body.offset).toBe(1);
  });
});
