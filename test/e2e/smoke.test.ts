/** The real thing from outside: `npm start`, HTTP, real sockets, a cut, a crash. */
import { once } from "node:events";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { Peer } from "./peer.ts";
import { Server } from "./server.ts";

const server = new Server();
beforeAll(() => server.start());
afterAll(() => server.stop());

it("token, upgrade, publish, kill the socket, resume: nothing is lost", async () => {
  const [ann, bob] = [await server.token("ann"), await server.token("bob")];
  const one = new Peer(server.url, "smoke", ann);
  const two = new Peer(server.url, "smoke", bob);
  const { session, epoch } = await one.next("welcome");
  await two.next("welcome");
  for (let ref = 1; ref <= 5; ref++) two.send({ type: "publish", ref, data: `before ${ref}` });
  await one.until(() => one.items.length === 5, "five publications");
  one.socket.terminate();
  for (let ref = 6; ref <= 20; ref++) two.send({ type: "publish", ref, data: `while away ${ref}` });
  await two.until(() => two.items.length === 20, "the log's end");
  const back = new Peer(server.url, "smoke", ann, { session, epoch, offset: 5 });
  expect(await back.next("welcome")).toMatchObject({ resumed: true, session });
  await back.until(() => back.items.length === 15, "what was missed");
  expect([...one.items, ...back.items].map((item) => item.offset)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
});

it("a crash of the whole server loses nothing that was acknowledged", async () => {
  const token = await server.token("ann");
  const before = new Peer(server.url, "crash", token);
  const { session, epoch } = await before.next("welcome");
  for (let ref = 1; ref <= 90; ref++) before.send({ type: "publish", ref, data: ref });
  await before.until(() => before.frames.some((frame) => frame.type === "ack" && frame.ref >= 20), "20 acks");
  await server.kill();
  await before.until(() => before.closed !== undefined, "the end of the connection");
  const acked = before.frames.filter((frame) => frame.type === "ack").length;
  await server.start();
  const after = new Peer(server.url, "crash", token, { session, epoch, offset: before.items.at(-1)?.offset ?? 0 });
  const welcome = await after.next("welcome");
  expect(welcome).toMatchObject({ resumed: true, session });
  expect(welcome.epoch).not.toBe(epoch);
  expect(welcome.ref).toBeGreaterThanOrEqual(acked);
  for (let ref = 1; ref <= 90; ref++) after.send({ type: "publish", ref, data: ref });
  await after.until(() => new Set([...before.items, ...after.items].map((item) => item.data)).size === 90, "all 90");
  const offsets = [...before.items, ...after.items].map((item) => [item.offset, item.data]);
  expect(offsets).toEqual(Array.from({ length: 90 }, (_, i) => [i + 1, i + 1]));
});

it("twenty who publish at once share ticks: a row for ten publications at the most", async () => {
  const peers = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => new Peer(server.url, "busy", await server.token(`u${i}`))),
  );
  await Promise.all(peers.map((peer) => peer.next("welcome")));
  for (let ref = 1; ref <= 90; ref++) for (const peer of peers) peer.send({ type: "publish", ref, data: ref });
  await Promise.all(peers.map((peer) => peer.until(() => peer.items.length === 1_800, "1,800 publications")));
  // Each tick is one row and one pub frame.
  const ticks = peers[0]?.frames.filter((frame) => frame.type === "pub").length ?? Infinity;
  expect(ticks).toBeLessThanOrEqual(180);
});

it.each([undefined, 1000, 1001, 3000, 4000])("answers a close with %s", async (code) => {
  const peer = new Peer(server.url, "close", await server.token("ann"));
  await peer.next("welcome");
  if (code === undefined) peer.socket.close();
  else peer.socket.close(code, "bye now");
  await peer.until(() => peer.closed !== undefined, "the closing handshake");
  // Without an answer `ws` gives up at last, with 1006.
  expect(peer.closed?.code).toBe(code ?? 1000);
});

it("a program sees the status of a refusal, a client of ours the close code and why", async () => {
  const program = new WebSocket(`${server.url.replace("http", "ws")}/rooms/refused`);
  program.on("error", () => undefined);
  const [, response] = (await once(program, "unexpected-response")) as [unknown, { statusCode: number }];
  expect(response.statusCode).toBe(401);
  program.terminate();
  const stranger = new Peer(server.url, "refused", "nonsense");
  expect(await stranger.next("bye")).toMatchObject({ code: 4401, reason: "unauthorized" });
  await stranger.until(() => stranger.closed !== undefined, "the close");
  expect(stranger.closed).toEqual({ code: 4401, reason: "unauthorized" });
});

it("serves the page, health, and problems for everything else", async () => {
  const page = await fetch(server.url);
  expect(page.headers.get("content-type")).toContain("text/html");
  expect(await page.text()).toContain("edgerooms");
  expect(await (await fetch(`${server.url}/healthz`)).json()).toEqual({ ok: true, protocol: "edgerooms.v1" });
  const nothing = await fetch(`${server.url}/nothing/here`);
  expect(nothing.status).toBe(404);
  expect(nothing.headers.get("content-type")).toContain("application/problem+json");
});
