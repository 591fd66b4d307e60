/** The real `npm start`, scraped by a real Prometheus: every expression of the dashboard is asked after a small load. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { SUBPROTOCOL } from "../../src/protocol/frames.ts";
import { Peer } from "../e2e/peer.ts";
import { Server } from "../e2e/server.ts";
import { expressions } from "./dashboard.ts";
import { Prometheus } from "./prometheus.ts";

const SCRAPE_TOKEN = "scrape-token-for-tests";
const server = new Server(["--var", `METRICS_TOKEN:${SCRAPE_TOKEN}`]);
const prometheus = new Prometheus();
let admin = "";

beforeAll(async () => {
  await server.start();
  admin = await server.token("op", { "*": ["admin"] });
  await prometheus.start(server.url, SCRAPE_TOKEN);
  await load(0);
});
afterAll(async () => {
  await prometheus.stop();
  await server.stop();
});

/** What this load does not feed, by the metric, and why. */
const EMPTY: Readonly<Record<string, string>> = {
  edgerooms_breaker_state: "npm start checks tokens with a secret: there is no upstream",
  edgerooms_breaker_transitions_total: "no upstream",
  edgerooms_upstream_requests_total: "no upstream",
  edgerooms_events_out_total: "the default room has no outlet",
  edgerooms_alerts_total: "nothing goes wrong that somebody must be told of",
  edgerooms_heartbeats_missed_total: "a heartbeat is half a minute: nobody is silent for so long here",
  'edgerooms_closes_total{kind=~".*",code="heartbeat_lost"}': "the same",
};
const isEmpty = (expr: string) => Object.keys(EMPTY).some((metric) => expr.includes(metric));

const scrape = async () => fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${SCRAPE_TOKEN}` } });

/** Opens a socket that will be refused: with a status, or with a close code that a browser can read. */
async function refused(path: string, token: string): Promise<void> {
  const socket = new WebSocket(server.url.replace("http", "ws") + path, [SUBPROTOCOL, `bearer.${token}`]);
  socket.on("error", () => undefined);
  await once(socket, "close");
}

async function post(path: string, body: object): Promise<number> {
  const headers = { authorization: `Bearer ${admin}`, "content-type": "application/json" };
  const response = await fetch(server.url + path, { method: "POST", headers, body: JSON.stringify(body) });
  await response.text();
  return response.status;
}

/** Two rooms of six: publications, a signal, a repeat, a resume, two resets, a kick, refusals; then everybody leaves. */
async function load(round: number): Promise<void> {
  const users = Array.from({ length: 12 }, (_, i) => ({ room: `load-${i % 2}-${round}`, user: `u${i}` }));
  const peers = await Promise.all(
    users.map(async ({ room, user }) => new Peer(server.url, room, await server.token(user))),
  );
  const welcomes = await Promise.all(peers.map(async (peer) => peer.next("welcome")));
  for (const peer of peers) {
    for (let ref = 1; ref <= 3; ref++) peer.send({ type: "publish", ref, data: ref });
    peer.send({ type: "publish", ref: 3, data: 3 });
    peer.send({ type: "signal", data: "here" });
  }
  await Promise.all(peers.map(async (peer) => peer.until(() => peer.items.length === 18, "18 publications")));
  const [first, welcome, user] = [peers[0], welcomes[0], users[0]];
  if (!first || !welcome || !user) throw new Error("nobody is there");
  first.socket.terminate();
  const token = await server.token(user.user);
  const { session, epoch } = welcome;
  const back = new Peer(server.url, user.room, token, { session, epoch, offset: 3 });
  expect(await back.next("welcome")).toMatchObject({ resumed: true });
  const lost = new Peer(server.url, user.room, token, { session: "0".repeat(session.length), epoch, offset: 3 });
  expect(await lost.next("welcome")).toMatchObject({ resumed: false });
  await refused(`/rooms/${user.room}`, "no-token");
  await refused("/rooms/not%20a%20room", token);
  expect(await post(`/rooms/${user.room}/kick`, { user: "u2" })).toBe(200);
  await peers[2]?.until(() => peers[2]?.closed !== undefined, "the kick");
  for (const peer of [...peers, back, lost]) peer.socket.close();
  await Promise.all([...peers, back, lost].map(async (peer) => peer.until(() => peer.closed !== undefined, "the end")));
}

it("promtool finds nothing to blame in the page", async () => {
  const response = await scrape();
  expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
  // Exits with an error, and prints to stderr, for everything that it would have otherwise.
  execFileSync("promtool", ["check", "metrics"], { input: await response.text(), stdio: "pipe" });
  expect((await fetch(`${server.url}/metrics`)).status).toBe(401);
});

it("every expression of the dashboard has data after a load, but for those that it rightly does not feed", async () => {
  // Somebody stays, so that there is something now; somebody waits for a heartbeat, half a minute, so that an alarm rings.
  const stays = new Peer(server.url, "stays", await server.token("ann"));
  const waits = new Peer(server.url, "waits", await server.token("bob"));
  await stays.next("welcome");
  await prometheus.until("sum(edgerooms_publications_total)", (n) => n >= 36);
  // A rate needs what was there before to have grown.
  await load(1);
  await prometheus.until("sum(edgerooms_publications_total)", (n) => n >= 72);
  while (!waits.frames.some(({ type }) => type === "heartbeat")) await once(waits.socket, "message");
  waits.socket.close();
  await prometheus.until("sum(edgerooms_connections)", (n) => n === 1);
  await prometheus.until("sum(count_over_time(edgerooms_alarms_total[1m]))", (n) => n >= 2);
  const answers = await Promise.all(
    expressions().map(async (expr) => ({ expr, samples: await prometheus.query(expr) })),
  );
  const dry = answers.filter(({ samples }) => !samples.some(({ value }) => Number.isFinite(value)));
  expect(dry.map(({ expr }) => expr).filter((expr) => !isEmpty(expr))).toEqual([]);
  const fed = answers.filter(({ samples }) => samples.some(({ value }) => value > 0));
  expect(fed.map(({ expr }) => expr).filter(isEmpty)).toEqual([]);
  const total = async (expr: string) => (await prometheus.query(expr)).reduce((sum, { value }) => sum + value, 0);
  expect(await total("edgerooms_publications_total")).toBe(72);
  expect(await total("edgerooms_deliveries_total")).toBe(72 * 6);
  expect(await total("edgerooms_dedupe_hits_total")).toBe(24);
  expect(await total('edgerooms_resumes_total{result="resumed"}')).toBe(2);
  expect(await total('edgerooms_resumes_total{reason="session_unknown"}')).toBe(2);
  expect(await total('edgerooms_closes_total{code="kicked"}')).toBe(2);
  expect(await total('edgerooms_upgrades_total{result="refused",code="unauthorized"}')).toBe(2);
  expect(await total('edgerooms_http_requests_total{status="200",method="POST"}')).toBeGreaterThanOrEqual(2);
  stays.socket.close();
}, 180_000);
