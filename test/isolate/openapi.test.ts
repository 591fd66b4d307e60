/** The document against the app: the same routes on both sides, and bodies judged alike by the schema and the server. */
import { describe, expect, it } from "vitest";
import { createApp } from "../../src/http/app.ts";
import { openapi } from "../../src/http/api/openapi.ts";
import type { OpenApi } from "../../src/http/api/openapi.ts";
import { accepts, allows, ask, operator, type Told } from "../support/contract.ts";
import { Client } from "../support/client.ts";
import { door, rooms } from "../support/door.ts";
import { eventually } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";
import type { Env } from "../support/worker.ts";

describe("the document", () => {
  it.each([
    ["several kinds of rooms", rooms],
    ["one kind", { chat: "CHAT" } as const],
  ])("of an app with %s has every route, and no other", async (_what, kinds) => {
    // What answers every method is middleware, or says that nothing is here.
    // The tokens of development are no part of the API.
    const routes = createApp<Env>({ rooms: kinds }).routes.filter(
      ({ method, path }) => method !== "ALL" && path !== "/dev/token",
    );
    const served = await ask<OpenApi>("GET", "/openapi.json", { at: door({ rooms: kinds }), token: null });
    const described = Object.entries(served.body.paths).flatMap(([path, item]) =>
      (["get", "post"] as const).flatMap((method) => (item[method] ? [`${method.toUpperCase()} ${path}`] : [])),
    );
    const written = routes.map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`);
    expect(described.toSorted()).toEqual([...new Set(written)].toSorted());
  });

  it("is for anyone, and may be kept for five minutes", async () => {
    const { status, headers, body } = await ask<OpenApi>("GET", "/openapi.json", { token: null });
    expect(status).toBe(200);
    expect(headers.get("cache-control")).toBe("public, max-age=300");
    expect(body).toEqual(JSON.parse(JSON.stringify(openapi(["/rooms/:kind/:room"]))));
  });

  it("knows what anyone can ask", async () => {
    expect((await ask("GET", "/healthz", { token: null })).status).toBe(200);
    expect((await ask("GET", "/readyz", { token: null })).status).toBe(200);
    const { path } = new TestedRoom();
    const { welcome } = await Client.join(path, { user: "op" });
    const token = await operator("op", { rooms: undefined });
    const body = { session: welcome.session };
    expect((await ask("POST", `/rooms/${path}/session`, { token, body })).status).toBe(200);
    expect((await ask("POST", `/rooms/${path}/session`, { body: {}, token })).status).toBe(400);
    expect((await ask("GET", `/rooms/${path}`, { token })).status).toBe(426);
    for (const address of ["/rooms", "/metrics", "/failures"]) {
      expect((await ask("GET", address, { token: null })).status, address).toBe(401);
      expect((await ask("GET", address, { token })).status, address).toBe(403);
    }
  });

  it("knows what is told of all rooms", async () => {
    const room = new TestedRoom("chat");
    await Client.join(room.path);
    const live: { room: string }[] = [];
    await eventually(async () => {
      for (let next: string | undefined = "0"; next !== undefined;) {
        const { body }: Told<{ rooms: { room: string }[]; next?: string }> = await ask("GET", `/rooms?cursor=${next}`);
        live.push(...body.rooms);
        ({ next } = body);
      }
      expect(live.map(({ room: name }) => name)).toContain(room.name);
    });
    expect((await ask("GET", "/rooms?cursor=99")).status).toBe(404);
    // Something to find among the failures.
    await ask("POST", `/rooms/${room.path}/publish`, { token: "garbage", body: { data: 1 } });
    const { body } = await ask<{ failures: object[] }>("GET", "/failures");
    expect(body.failures).toContainEqual(expect.objectContaining({ code: "unauthorized", kind: "chat" }));
    expect((await ask<string>("GET", "/metrics")).body).toContain("edgerooms_http_requests_total{");
  });
});

describe("what the document accepts, the server accepts, and nothing else", () => {
  it.each([
    ["publish", { data: 1 }, { data: 1, to: [] }],
    ["kick", { user: "ann" }, { user: "ann", session: "s" }],
    ["revoke", { user: "ann" }, { user: "" }],
    ["drain", { within: 0 }, { within: -1 }],
  ])("in a body of %s; every other body is test/unit/bodies.test.ts", async (name, right, wrong) => {
    const path = `/rooms/${new TestedRoom("fast").path}/${name}`;
    for (const body of [right, wrong]) {
      const { status } = await ask("POST", path, { body });
      expect({ body, taken: status < 300 }).toEqual({ body, taken: accepts(path, body) });
    }
    expect([accepts(path, right), accepts(path, wrong)]).toEqual([true, false]);
  });

  it.each(["after", "limit"])("in the query %s", async (name) => {
    const path = `/rooms/${new TestedRoom().path}/log`;
    const digits = ["0", "1", "100", "1000", "1001", "9007199254740991", "9007199254740992", "1".repeat(17)];
    for (const value of [...digits, "", "-1", "0.5", "1e2", "x", " 1", "1 ", "0x1", "1,2", "null"]) {
      const { status } = await ask("GET", `${path}?${name}=${encodeURIComponent(value)}`);
      expect({ value, taken: status === 200 }).toEqual({ value, taken: allows("GET", path, name, value) });
    }
  });

  it("in an Idempotency-Key", async () => {
    const path = `/rooms/${new TestedRoom().path}/publish`;
    for (const [key, right] of [
      ["a", true],
      ["~!", true],
      ["k".repeat(255), true],
      ["k".repeat(256), false],
      ["", false],
      ["a b", false],
      ["a\tb", false],
      ["é", false],
      ["\u007f", false],
    ] as const) {
      const { status } = await ask("POST", path, { headers: { "idempotency-key": key }, body: { data: 1 } });
      expect({ key, status }).toEqual({ key, status: right ? 201 : 400 });
      expect(allows("POST", path, "idempotency-key", key)).toBe(right);
    }
  });
});
