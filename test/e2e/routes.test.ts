/** A project with routes and a rate limiter, under the real `wrangler dev`: tokens of development, refusals, readiness. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Peer } from "./peer.ts";
import { Server } from "./server.ts";

const server = new Server(["--config", "test/e2e/routes.toml"]);
beforeAll(() => server.start());
afterAll(() => server.stop());

it("E14: tokens of development are there although the project has routes, and let their holder in", async () => {
  const peer = new Peer(server.url, "routes", await server.token("ann"));
  expect(await peer.next("welcome")).toMatchObject({ member: "ann" });
  const { port } = new URL(server.url);
  const headers = { origin: "https://evil.test", host: `evil.test:${port}` };
  const response = await fetch(`${server.url}/dev/token`, { method: "POST", headers, body: '{"sub":"ann"}' });
  expect(response.status).toBe(403);
  await response.body?.cancel();
});

it("D: a request that is no upgrade is 426, and its problem says what to connect with", async () => {
  const headers = { authorization: `Bearer ${await server.token("ann")}` };
  const response = await fetch(`${server.url}/rooms/routes`, { headers });
  expect(response.status).toBe(426);
  expect(await response.json()).toMatchObject({ code: "wrong_protocol", title: expect.stringContaining("WebSocket") });
  // The platform drops this one, whatever the Worker sets: docs/protocol.md says so.
  expect(response.headers.get("upgrade")).toBeNull();
});

it("E9: a rate limiter that is bound keeps a user who goes on, and nobody else, from asking rooms", async () => {
  const statusOf = async (user: string) => {
    const headers = { authorization: `Bearer ${await server.token(user)}` };
    const body = JSON.stringify({ session: "none" });
    const response = await fetch(`${server.url}/rooms/limited/session`, { method: "POST", headers, body });
    await response.body?.cancel();
    return response.status;
  };
  const seen: number[] = [];
  // A period may end meanwhile.
  while (!seen.includes(429) && seen.length < 100) seen.push(await statusOf("mallory"));
  expect(seen.slice(0, 5)).toEqual(Array(5).fill(404));
  expect(seen).toContain(429);
  expect(await statusOf("ann")).toBe(404);
});

it("is alive, and ready", async () => {
  for (const path of ["/healthz", "/readyz"]) {
    const response = await fetch(server.url + path);
    expect([response.status, await response.json()]).toEqual([200, expect.objectContaining({ ok: true })]);
  }
});
