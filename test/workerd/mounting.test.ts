/** One app in many places: short routes, under a path of a bigger app, and what every app has besides rooms. */
import { env } from "cloudflare:workers";
import { Hono } from "hono";
import { cors } from "hono/cors";
import { logger } from "hono/logger";
import { describe, expect, it, vi } from "vitest";
import { createApp } from "../../src/http/app.ts";
import type { Room } from "../../src/room.ts";
import { sign } from "../support/client.ts";
import { door, enter, expectProblem, expectRefused, rooms, worker, type Door } from "../support/door.ts";
import { TestedRoom } from "../support/room.ts";
import type { Env } from "../support/worker.ts";

const at =
  (app: { fetch(request: Request, bindings: Env): Response | Promise<Response> }): Door =>
  async (request) =>
    app.fetch(request, { ...env, ENVIRONMENT: "production" });

async function refresh(through: Door, path: string, session: string): Promise<Response> {
  const headers = { authorization: `Bearer ${await sign("ann")}`, "content-type": "application/json" };
  return through(
    new Request(`http://edge.test${path}`, { method: "POST", headers, body: JSON.stringify({ session }) }),
  );
}

it("an app without a kind of room is refused when it is made", () => {
  expect(() => createApp({ rooms: {} })).toThrow(TypeError);
});

it("health is answered to anyone, and says the protocol", async () => {
  const response = await worker(new Request("http://edge.test/healthz"));
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ ok: true, protocol: "edgerooms.v1" });
});

it("any other address is a problem, not a page", async () => {
  for (const path of ["/", "/admin", "/room", "/healthz/x"]) {
    const problem = await expectProblem(await worker(new Request(`http://edge.test${path}`)), "not_found");
    expect(problem.status).toBe(404);
  }
});

describe("the short route", () => {
  it("exists when there is one kind, beside the long one, for upgrades and sessions", async () => {
    const one = door({ rooms: { chat: "CHAT" } });
    const { name } = new TestedRoom("chat");
    const short = await enter(one, `/rooms/${name}`);
    const long = await enter(one, `/rooms/chat/${name}`, { token: await sign("bob") });
    expect(long.welcome.epoch).toBe(short.welcome.epoch);
    for (const path of [`/rooms/${name}/session`, `/rooms/chat/${name}/session`]) {
      const response = await refresh(one, path, short.welcome.session);
      expect(await response.json()).toMatchObject({ expires: expect.any(Number) as number });
    }
    await expectRefused(one, "/rooms/a*", {}, "bad_room");
  });

  it("does not take a room named session for a session", async () => {
    const one = door({ rooms: { chat: "CHAT" } });
    const { welcome } = await enter(one, "/rooms/session");
    expect((await enter(one, "/rooms/chat/session", { token: await sign("bob") })).welcome.epoch).toBe(welcome.epoch);
    expect((await refresh(one, "/rooms/session/session", welcome.session)).status).toBe(200);
    expect((await refresh(one, "/rooms/chat/session/session", welcome.session)).status).toBe(200);
  });

  it("does not exist when there are two kinds", async () => {
    await expectRefused(door({}), "/rooms/lobby", {}, "not_found");
    expect((await refresh(door({}), "/rooms/lobby/session", "s")).status).toBe(404);
  });
});

function broken(_c: unknown, caller: { user: string }): boolean {
  if (caller.user === "cursed") throw new Error("curse-of-the-hook");
  return true;
}

describe("under a path of a bigger app", () => {
  const bigger = new Hono<{ Bindings: Env }>();
  bigger.use(logger(() => undefined));
  bigger.use("/api/*", cors());
  bigger.get("/", (c) => c.text("home"));
  bigger.route("/rt/v1", createApp<Env>({ rooms, authorize: broken }));

  it("upgrades, sessions and health work, and the bigger app keeps what is its own", async () => {
    const room = new TestedRoom();
    const { client, welcome } = await enter(at(bigger), `/rt/v1/rooms/${room.path}`);
    expect((await client.publish(1, "hello")).offset).toBe(1);
    const response = await refresh(at(bigger), `/rt/v1/rooms/${room.path}/session`, welcome.session);
    expect(response.status).toBe(200);
    await response.body?.cancel();
    const health = await at(bigger)(new Request("http://edge.test/rt/v1/healthz"));
    expect(await health.json()).toMatchObject({ ok: true });
    const home = await at(bigger)(new Request("http://edge.test/"));
    expect(await home.text()).toBe("home");
    const outside = await at(bigger)(new Request(`http://edge.test/rooms/${room.path}`));
    expect(outside.status).toBe(404);
    await outside.body?.cancel();
  });

  it("refusals and failures look as they do alone", async () => {
    const path = `/rt/v1/rooms/${new TestedRoom().path}`;
    await expectRefused(at(bigger), path, { token: null }, "unauthorized");
    await expectRefused(at(bigger), "/rt/v1/rooms/lobby/x", {}, "not_found");
    const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const problem = await expectRefused(at(bigger), path, { token: await sign("cursed") }, "internal");
    expect(JSON.stringify(problem)).not.toContain("curse-of-the-hook");
    const line = JSON.parse(String(log.mock.lastCall?.[0])) as object;
    expect(line).toMatchObject({ message: "Error: curse-of-the-hook", requestId: problem.requestId });
    log.mockRestore();
  });
});

it("mounted at /, what the bigger app answers afterwards is its own, also where nobody may change the headers", async () => {
  const bigger = new Hono<{ Bindings: Env }>();
  bigger.route("/", createApp<Env>({ rooms }));
  bigger.get("/go", () => Response.redirect("https://example.com/", 302));
  bigger.get("/fetched", async () => worker(new Request("http://edge.test/healthz")));
  const redirect = await at(bigger)(new Request("http://edge.test/go"));
  expect([redirect.status, redirect.headers.get("location")]).toEqual([302, "https://example.com/"]);
  const fetched = await at(bigger)(new Request("http://edge.test/fetched"));
  expect([fetched.status, await fetched.json()]).toEqual([200, expect.objectContaining({ ok: true })]);
});

it("an object of an older version that does not know what is asked sends everyone back, and pages nobody", async () => {
  const lines: string[] = [];
  const logs = [vi.spyOn(console, "error"), vi.spyOn(console, "warn")];
  for (const log of logs) log.mockImplementation((line: unknown) => void lines.push(String(line)));
  // The directory's objects know nothing of what rooms are asked: so does a room from before a method came.
  const app = createApp<Env>({ rooms: { relay: "EDGEROOMS_DIRECTORY" as never } });
  const authorization = `Bearer ${await sign("op", { rooms: { "*": ["admin"] } })}`;
  const request = new Request("http://edge.test/rooms/relay/x/members", { headers: { authorization } });
  const response = await at(app)(request);
  for (const log of logs) log.mockRestore();
  expect(await response.json()).toMatchObject({ status: 503, code: "restarting", retryAfter: 1_000 });
  expect(lines).toEqual([]);
});

it("T4: what is no room's address is told where rooms are, and what a name may be", async () => {
  const kinds = /Kinds: relay, chat\./;
  expect((await expectRefused(door({}), "/rooms/lobby/x", {}, "not_found")).detail).toMatch(kinds);
  expect((await expectRefused(door({}), "/rooms/lobby", {}, "not_found")).detail).toMatch(kinds);
  expect((await expectRefused(door({}), "/rooms/relay/a%20b", {}, "bad_room")).detail).toContain("1 to 128 of A-Z");
});

it("T22: ALLOWED_ORIGINS counts for every app, unless its own list takes its place", async () => {
  const headers = { origin: "https://app.example.com" };
  const vars = { ALLOWED_ORIGINS: "https://other.test, *.example.com" };
  await enter(door({}, vars), `/rooms/${new TestedRoom().path}`, { headers });
  await expectRefused(door({}), `/rooms/${new TestedRoom().path}`, { headers }, "forbidden");
  await expectRefused(door({ origins: [] }, vars), `/rooms/${new TestedRoom().path}`, { headers }, "forbidden");
});

it("a wrong path inside a mounted app is told to our clients in a way that they can see", async () => {
  const bigger = new Hono<{ Bindings: Env }>();
  bigger.route("/rt", createApp<Env>({ rooms }));
  for (const path of ["/rt/rooms", "/rt/rooms/relay/x/extra", "/rt/rooms/relay/x/session", "/rt/rooms/"]) {
    await expectRefused(at(bigger), path, {}, "not_found");
  }
});

it("an app takes the names of bindings of rooms, and the compiler knows of no other", () => {
  // @ts-expect-error a secret is no room
  expect(createApp<Env>({ rooms: { chat: "AUTH_SECRET" } })).toBeDefined();
  // @ts-expect-error nor is the directory, though its binding is one of Durable Objects
  expect(createApp<Env>({ rooms: { chat: "EDGEROOMS_DIRECTORY" } })).toBeDefined();
  // @ts-expect-error nor is what does not exist
  expect(createApp<Env>({ rooms: { chat: "CHATS" } })).toBeDefined();
});

it("an app that could not work is refused when it is made", () => {
  expect(() => createApp<Env>({ rooms: {} })).toThrow("needs a kind of room");
  expect(() => createApp<Env>({} as never), "T25").toThrow("needs a kind of room");
  expect(() => createApp<Env>({ rooms: { chat: "CHAT", game: "CHAT" } })).toThrow("its own binding");
  for (const origin of [
    "example.com",
    "*",
    "*.",
    "https://*.example.com",
    "https://a.test/path",
    "*.x.test:8443",
    "",
  ]) {
    expect(() => createApp<Env>({ rooms, origins: [origin] }), origin).toThrow(
      "Entry 1 of the origins of createApp is no origin",
    );
  }
  expect(() =>
    createApp<Env>({ rooms, origins: ["https://a.test", "http://localhost:3000", "*.a.test"] }),
  ).not.toThrow();
});

it("T25: a binding that is not there is named to the client", async () => {
  const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const app = createApp<{ NONE: DurableObjectNamespace<Room> }>({ rooms: { relay: "NONE" } });
  const here = (request: Request) =>
    Promise.resolve(app.fetch(request, { ...env, NONE: undefined, ENVIRONMENT: "production" }));
  const problem = await expectRefused(here, "/rooms/x", {}, "misconfigured");
  expect(problem.detail).toContain("no Durable Object binding NONE");
  log.mockRestore();
});
