/** The rooms themselves, traced: one trace id from an upgrade through a publish to what another client is delivered. */
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Span } from "../../ops/otlp/payload.ts";
import { Peer } from "../e2e/peer.ts";
import { plain, Receiver } from "./otlp-receiver.ts";
import { Wrangler } from "./wrangler.ts";

const receiver = new Receiver();
const wrangler = new Wrangler();
const tokens: string[] = [];

beforeAll(async () => {
  await receiver.start();
  await wrangler.start("test/ops/rooms/wrangler.toml", { OTLP_ENDPOINT: receiver.url });
});
afterAll(async () => {
  await wrangler.stop();
  await receiver.stop();
});

async function token(sub: string, rooms?: Record<string, string[]>): Promise<string> {
  const response = await fetch(`${wrangler.url}/dev/token`, { method: "POST", body: JSON.stringify({ sub, rooms }) });
  const body = await response.json<{ token: string }>();
  tokens.push(body.token);
  return body.token;
}

const inTrace = (traceId: string) => receiver.spans.filter((span) => span.traceId === traceId);
const names = (traceId: string) => inTrace(traceId).map(({ name }) => name);
const under = ({ parentSpanId }: Span, what: string) =>
  receiver.spans.some(({ spanId, name }) => spanId === parentSpanId && name.endsWith(what));
/** Waits until every span's parent has arrived or was given from outside. The Worker hands its counts on for 10 s. */
async function whole(traceId: string, given?: string): Promise<void> {
  await receiver.until(() => {
    const ids = new Set([given, undefined, ...inTrace(traceId).map(({ spanId }) => spanId)]);
    return inTrace(traceId).every(({ parentSpanId }) => ids.has(parentSpanId));
  }, `all parents in ${traceId}`);
}

it("one trace id leads from an upgrade through a publish to the delivery to somebody else", async () => {
  const [traceId, spanId] = ["c0ffee00000000000000000000000001", "00000000000000aa"];
  const traceparent = `00-${traceId}-${spanId}-01`;
  const bob = new Peer(wrangler.url, "traced", await token("bob"));
  await bob.next("welcome");
  const ann = new Peer(wrangler.url, "traced", await token("ann"), { traceparent });
  await ann.next("welcome");
  ann.send({ type: "publish", ref: 1, data: "secret-payload", traceparent });
  await bob.until(() => bob.items.length === 1, "the delivery");
  expect(bob.items[0]).toMatchObject({ data: "secret-payload", traceparent });
  const wanted = ["verify", "admission", "tick", "fan-out"].map((name) => `edgerooms.${name}`);
  const tick = () => inTrace(traceId).find((span) => "edgerooms.events" in plain(span) && under(span, "message"));
  await receiver.until(() => wanted.every((name) => names(traceId).includes(name)) && !!tick(), wanted.join());
  await whole(traceId, spanId);
  const told = tick();
  expect(told && plain(told)).toMatchObject({
    "edgerooms.room": expect.stringContaining("traced") as string,
    "edgerooms.events": "1",
    "edgerooms.traceparent": traceparent,
  });
  ann.socket.close();
  bob.socket.close();
});

it("a publish over HTTP belongs to the trace of its request", async () => {
  const [traceId, spanId] = ["c0ffee00000000000000000000000002", "00000000000000bb"];
  const bearer = await token("op", { "*/traced": ["publish"] });
  const response = await fetch(`${wrangler.url}/rooms/traced/publish`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${bearer}`,
      "content-type": "application/json",
      traceparent: `00-${traceId}-${spanId}-01`,
    },
    body: JSON.stringify({ data: "secret-payload" }),
  });
  expect(response.status).toBe(201);
  await response.text();
  await receiver.until(
    () => names(traceId).includes("POST") && names(traceId).includes("edgerooms.tick"),
    "both parts",
  );
  await whole(traceId, spanId);
});

it("a trace that the Worker began holds together", async () => {
  const before = receiver.spans.length;
  const carl = new Peer(wrangler.url, "begun", await token("carl"));
  await carl.next("welcome");
  const found = () => receiver.spans.slice(before).find(({ name }) => name === "edgerooms.admission");
  await receiver.until(() => found() !== undefined, "the admission");
  const traceId = found()?.traceId ?? "";
  await receiver.until(() => names(traceId).includes("edgerooms.verify"), "the Worker's part");
  await whole(traceId);
  carl.socket.close();
});

it("a refusal is told as a log line of its trace", async () => {
  const traceId = "c0ffee00000000000000000000000003";
  const response = await fetch(`${wrangler.url}/rooms/traced/members?secret=secret-query`, {
    headers: { authorization: "Bearer secret-token", traceparent: `00-${traceId}-00000000000000cc-01` },
  });
  expect(response.status).toBe(401);
  await response.text();
  await receiver.until(() => receiver.records.some((record) => record.traceId === traceId), "the line");
  const record = receiver.records.find((line) => line.traceId === traceId);
  expect(record).toMatchObject({ severityText: "warn", severityNumber: 13 });
  expect(record && plain(record)).toMatchObject({ "edgerooms.code": "unauthorized" });
});

it("every request is valid, and none has a token, a query or a payload in it", () => {
  expect(receiver.problems).toEqual([]);
  const leaks = receiver.taken.filter(({ text }) => [...tokens, "secret-"].some((secret) => text.includes(secret)));
  expect(leaks.map(({ text }) => text)).toEqual([]);
});

it("a collector that refuses changes nothing for the rooms", async () => {
  receiver.refuse = 503;
  const peer = new Peer(wrangler.url, "untold", await token("dan"));
  await peer.next("welcome");
  peer.send({ type: "publish", ref: 1, data: 1 });
  await peer.next("ack");
  await receiver.until(() => receiver.refused > 0, "a refused request");
  await wrangler.says('"why":"HTTP 503"');
  peer.socket.close();
});
