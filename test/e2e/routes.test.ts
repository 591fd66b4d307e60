/** A project with routes and a rate limiter, under the real `wrangler dev`: tokens of development, refusals, readiness. */
import { request } from "node:http";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Peer } from "./peer.ts";
import { Server } from "./server.ts";

// Without the last two `wrangler dev` asks the Worker in the name of the first route.
const server = new Server(["--config", "test/e2e/routes.toml", "--local-upstream", "localhost:8787"]);
beforeAll(() => server.start());
afterAll(() => server.stop());

/** Asks for a token. Not with `fetch`, which sends a Sec-Fetch-Mode of its own and no other Host. */
async function statusOf(headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request(`${server.url}/dev/token`, { method: "POST", headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asked.on("error", reject);
    asked.end('{"sub":"ann"}');
  });
}

it("E14: tokens of development are there although the project has routes, and let their holder in", async () => {
  const peer = new Peer(server.url, "routes", await server.token("ann"));
  expect(await peer.next("welcome")).toMatchObject({ member: "ann" });
  expect(await statusOf({ origin: server.url, "sec-fetch-site": "same-origin" })).toBe(200);
});

it("E14: and to no page of another origin, none of a name that leads here, and nobody behind a proxy", async () => {
  const host = `evil.test:${new URL(server.url).port}`;
  // What browsers send: Sec-Fetch-Site goes to localhost, and to no other name over http.
  expect(await statusOf({ host, origin: `http://${host}` })).toBe(404);
  expect(await statusOf({ origin: "https://evil.test", "sec-fetch-site": "cross-site" })).toBe(404);
  expect(await statusOf({ "x-forwarded-for": "203.0.113.7" })).toBe(404);
});

it("D: a request that is no upgrade is 426, and its problem says what to connect with", async () => {
  const headers = { authorization: `Bearer ${await server.token("ann")}` };
  const response = await fetch(`${server.url}/rooms/routes`, { headers });
  expect(response.status).toBe(426);
  expect(await response.json()).toMatchObject({ code: "wrong_protocol", title: expect.stringContaining("WebSocket") });
  // The platform drops this one, whatever the Worker sets: docs/reference/protocol.md says so.
  expect(response.headers.get("upgrade")).toBeNull();
});

it("E9: a rate limiter that is bound keeps a user who goes on, and nobody else, from asking rooms", async () => {
  const refreshed = async (user: string) => {
    const headers = { authorization: `Bearer ${await server.token(user)}` };
    const body = JSON.stringify({ session: "none" });
    const response = await fetch(`${server.url}/rooms/limited/session`, { method: "POST", headers, body });
    await response.body?.cancel();
    return response.status;
  };
  const seen: number[] = [];
  // A period may end meanwhile.
  while (!seen.includes(429) && seen.length < 100) seen.push(await refreshed("mallory"));
  expect(seen.slice(0, 5)).toEqual(Array(5).fill(404));
  expect(seen).toContain(429);
  expect(await refreshed("ann")).toBe(404);
});

it("is alive, and ready", async () => {
  for (const path of ["/healthz", "/readyz"]) {
    const response = await fetch(server.url + path);
    expect([response.status, await response.json()]).toEqual([200, expect.objectContaining({ ok: true })]);
  }
});
