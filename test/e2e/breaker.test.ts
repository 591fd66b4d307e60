/** A real issuer that fails, hangs, goes away and recovers, and real workerd processes that need its keys. */
import { request } from "node:http";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SUBPROTOCOL } from "../../src/protocol/frames.ts";
import { Workerd } from "../serve/workerd.ts";
import { eventually, patience } from "../support/patience.ts";
import { IssuerServer, type Mood } from "./issuer-server.ts";
import { Peer } from "./peer.ts";

/** What the breaker stays open for, and then one more question; in ms. */
const REOPENS_MS = 1_200;
const METRICS_TOKEN = "for-tests-only-0123";
const issuers: IssuerServer[] = [];
const servers: Workerd[] = [];
const peers: Peer[] = [];
let issuer: IssuerServer;

beforeEach(async () => {
  issuer = new IssuerServer();
  issuers.push(issuer);
  await issuer.start();
});

afterEach(async () => {
  for (const { socket } of peers.splice(0)) socket.terminate();
  for (const server of servers.splice(0)) await server.stop();
  for (const each of issuers.splice(0)) await each.stop();
});

/** A process, and with it an isolate, that has no keys yet. */
async function fresh(): Promise<Workerd> {
  const server = new Workerd({
    entry: join(import.meta.dirname, "worker.ts"),
    objects: { ROOM: "FastRoom" },
    vars: { AUTH_JWKS_URL: issuer.url, METRICS_TOKEN },
  });
  servers.push(server);
  await server.start();
  return server;
}

/** Upgrades over a real socket: `welcome`, or the reason and the close code it was refused with. */
async function enter(server: Workerd): Promise<string> {
  const peer = new Peer(server.url, "lobby", await issuer.token("ann"));
  peers.push(peer);
  await peer.until(() => peer.frames.length > 0, "the first frame");
  const [first] = peer.frames;
  return first?.type === "bye" ? `${first.reason} ${first.code}` : String(first?.type);
}

/** Asks over plain HTTP, where a status can be seen. A good token fails for want of a session: 400. */
async function ask(server: Workerd) {
  const began = performance.now();
  const response = await fetch(`${server.url}/rooms/lobby/session`, {
    method: "POST",
    headers: { authorization: `Bearer ${await issuer.token("ann")}` },
  });
  const { code } = await response.json<{ code: string }>();
  const retryAfter = response.headers.get("retry-after");
  return { status: response.status, code, retryAfter, took: performance.now() - began };
}

/** What /metrics says of the issuer: the state of its breaker, and the counters by their last label. */
async function metrics(server: Workerd): Promise<{ state: string; counts: Record<string, number> }> {
  const response = await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${METRICS_TOKEN}` } });
  const text = await response.text();
  const counted = /^edgerooms_(?:upstream_requests|breaker_transitions)_total\{upstream="jwks",\w+="(\w+)"\} (\d+)$/gm;
  const counts = Object.fromEntries([...text.matchAll(counted)].map(([, label, n]) => [label, Number(n)]));
  const states = [...text.matchAll(/^edgerooms_breaker_state\{upstream="jwks",state="(\w+)"\} 1$/gm)];
  return { state: states.map(([, state]) => state).join(), counts };
}

/** How long it takes until somebody gets in, in ms, and what all others were told meanwhile. */
async function recovery(server: Workerd): Promise<{ took: number; told: Set<string> }> {
  const began = performance.now();
  const told = new Set<string>();
  await eventually(async () => {
    const came = await enter(server);
    if (came !== "welcome") told.add(came);
    expect(came).toBe("welcome");
  });
  return { took: performance.now() - began, told };
}

/** An upgrade whose client goes away as soon as the issuer was asked for its sake: the runtime cancels its request. */
async function enterAndVanish(server: Workerd): Promise<void> {
  const before = issuer.asked;
  const leaving = request(`${server.url}/rooms/lobby`, {
    headers: {
      connection: "upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
      "sec-websocket-protocol": SUBPROTOCOL,
      authorization: `Bearer ${await issuer.token("ann")}`,
    },
  });
  leaving.on("error", () => undefined);
  leaving.end();
  await eventually(() => expect(issuer.asked).toBe(before + 1));
  // A reset: workerd learns of a mere end of the stream only when it writes.
  leaving.socket?.resetAndDestroy();
}

/** Asks until the breaker is open; returns the statuses before. */
async function open(server: Workerd): Promise<number[]> {
  const before: number[] = [];
  for (;;) {
    const { asked } = issuer;
    const { status, code, retryAfter } = await ask(server);
    if (code !== "unavailable") {
      before.push(status);
      continue;
    }
    expect({ status, retryAfter }).toEqual({ status: 503, retryAfter: "1" });
    expect(issuer.asked).toBe(asked);
    return before;
  }
}

it("upgrades go on with the keys that are there while the issuer fails, hangs, stops halfway or is gone", async () => {
  const server = await fresh();
  expect(await enter(server)).toBe("welcome");
  for (const mood of ["failing", "hanging", "stopping"] satisfies Mood[]) {
    issuer.mood = mood;
    expect(await enter(server)).toBe("welcome");
  }
  await issuer.stop();
  expect(await enter(server)).toBe("welcome");
  expect(issuer.asked).toBe(1);
});

describe("an isolate without keys", () => {
  it("is told 502 by an issuer that fails, asks it once a second, and lets people in a second after it is well", async () => {
    const server = await fresh();
    issuer.mood = "failing";
    expect(await enter(server)).toBe("upstream_failed 4104");
    expect(await open(server)).toEqual([502]);
    expect(await enter(server)).toBe("unavailable 4103");
    expect(issuer.asked).toBe(3);
    expect((await metrics(server)).state).toBe("open");
    const began = performance.now();
    let probes = 0;
    while (probes < 2) if ((await ask(server)).status === 502) probes++;
    expect(performance.now() - began).toBeGreaterThan(1_500);
    expect(issuer.asked).toBe(5);
    issuer.mood = "well";
    const { took, told } = await recovery(server);
    expect([...told]).toEqual(["unavailable 4103"]);
    expect(took).toBeLessThan(patience(REOPENS_MS));
    expect(issuer.asked).toBe(6);
    const { state, counts } = await metrics(server);
    expect(state).toBe("closed");
    expect(counts).toMatchObject({ open: 3, half_open: 3, closed: 1, failed: 4, ok: 1 });
    expect(counts["rejected"]).toBeGreaterThan(2);
  });

  it("is told 502 by an issuer that is gone, and lets people in a second after it is back", async () => {
    const server = await fresh();
    await issuer.stop();
    expect(new Set(await open(server))).toEqual(new Set([502]));
    await issuer.start();
    expect((await recovery(server)).took).toBeLessThan(patience(REOPENS_MS));
    expect(issuer.asked).toBe(1);
  });

  it("is told 504 by an issuer that hangs, then 503 at once also while a probe hangs, and recovers", async () => {
    const server = await fresh();
    issuer.mood = "hanging";
    const [upgrade, ...answers] = await Promise.all([enter(server), ask(server), ask(server), ask(server)]);
    expect(answers.map(({ status, code }) => `${status} ${code}`)).toEqual(Array(3).fill("504 upstream_timeout"));
    expect(upgrade).toBe("upstream_timeout 4105");
    const times = answers.map(({ took }) => took);
    expect(Math.min(...times)).toBeGreaterThan(4_000);
    // A request that waited for the first answer and then asked itself waits for both, and for no third.
    expect(Math.max(...times)).toBeLessThan(2.8 * Math.min(...times));
    // Those who waited asked too, one a second; the breaker opens with the third.
    await open(server);
    const before = issuer.asked;
    const probing: Promise<unknown>[] = [];
    await eventually(() => {
      probing.push(ask(server));
      expect(issuer.asked).toBe(before + 1);
    });
    let isProbing = true;
    const probed = Promise.all(probing).then(() => (isProbing = false));
    expect((await metrics(server)).state).toBe("half_open");
    for (let i = 0; i < 3; i++) {
      expect((await ask(server)).status).toBe(503);
      expect(isProbing).toBe(true);
    }
    await probed;
    expect(issuer.asked).toBe(before + 1);
    issuer.mood = "well";
    expect((await recovery(server)).took).toBeLessThan(patience(REOPENS_MS));
  });

  it("is not held up by a first question whose client went away", async () => {
    const server = await fresh();
    issuer.mood = "hanging";
    await enterAndVanish(server);
    issuer.mood = "well";
    const { took, told } = await recovery(server);
    expect([...told]).toEqual([]);
    expect(took).toBeLessThan(patience(REOPENS_MS));
  });

  it("is not shut for good by a probe whose client went away", async () => {
    const server = await fresh();
    issuer.mood = "failing";
    await open(server);
    issuer.mood = "hanging";
    const before = issuer.asked;
    // Nobody is asked before the breaker lets a probe through.
    await eventually(
      () => {
        if (issuer.asked === before) void enterAndVanish(server).catch(() => undefined);
        expect(issuer.asked).toBe(before + 1);
      },
      { everyMs: 200 },
    );
    issuer.mood = "well";
    const { took, told } = await recovery(server);
    expect([...told]).toEqual(["unavailable 4103"]);
    expect(took).toBeGreaterThan(3_000);
    expect(await enter(server)).toBe("welcome");
  });
});
