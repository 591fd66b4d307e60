/** A project with routes, under the real `wrangler dev`: tokens of development, an upgrade, and what stands in a refusal. */
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

it("is alive, and ready", async () => {
  for (const path of ["/healthz", "/readyz"]) {
    const response = await fetch(server.url + path);
    expect([response.status, await response.json()]).toEqual([200, expect.objectContaining({ ok: true })]);
  }
});
