/** The streaming-tail Worker of ops/otlp in a real workerd, beside a Worker that does what invocations can do. */
import { once } from "node:events";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import type { Span } from "../../ops/otlp/payload.ts";
import { plain, Receiver } from "./otlp-receiver.ts";
import { Wrangler } from "./wrangler.ts";

const receiver = new Receiver();
const wrangler = new Wrangler();
beforeAll(async () => {
  await receiver.start();
  await wrangler.start("test/ops/traced/wrangler.toml", {
    OTLP_ENDPOINT: receiver.url,
    OTLP_HEADERS: "x-key=a%20key,x-other=2",
    SERVICE_NAME: "rooms-under-test",
  });
});
afterAll(async () => {
  await wrangler.stop();
  await receiver.stop();
});

let traces = 0;
/** A trace of the outside world, another each time. */
function outside() {
  const traceId = (++traces).toString(16).padStart(32, "a");
  return { traceId, spanId: "b7ad6b7169203331", traceparent: `00-${traceId}-b7ad6b7169203331-01` };
}
const inTrace = (traceId: string) => receiver.spans.filter((span) => span.traceId === traceId);
const named = (spans: readonly Span[], name: string) => spans.find((span) => span.name === name);
const children = ({ spanId }: Span) => receiver.spans.filter((span) => span.parentSpanId === spanId);
/** Every parent is a span that arrived, in the same trace, or the one that the caller gave. */
function orphans(spans: readonly Span[], given?: string) {
  return spans.filter(
    ({ traceId, parentSpanId }) =>
      parentSpanId !== undefined &&
      parentSpanId !== given &&
      !receiver.spans.some((span) => span.spanId === parentSpanId && span.traceId === traceId),
  );
}

async function connect(traceparent?: string) {
  const socket = new WebSocket(`${wrangler.url.replace("http", "ws")}/ws?secret=secret-query`, {
    headers: { ...(traceparent !== undefined && { traceparent }) },
  });
  await once(socket, "open");
  return socket;
}

it("tells of an upgrade at once, Worker and object, under the traceparent it came with", async () => {
  const { traceId, spanId, traceparent } = outside();
  const socket = await connect(traceparent);
  await receiver.until(() => inTrace(traceId).some(({ name }) => name === "admission"), "the object's part");
  await receiver.until(() => inTrace(traceId).some(({ name }) => name === "upgrade"), "the Worker's part");
  // What the runtime closes after the answer comes in a second request.
  await receiver.until(() => orphans(inTrace(traceId), spanId).length === 0, "every parent");
  const spans = inTrace(traceId);
  const [first] = spans.filter(({ parentSpanId }) => parentSpanId === spanId);
  if (!first) throw new Error("no span under the given parent");
  expect(first).toMatchObject({ name: "GET", kind: 2 });
  expect(plain(first)).toMatchObject({
    "http.request.method": "GET",
    "url.path": "/ws",
    "http.response.status_code": "101",
    "cloudflare.execution_model": "stateless",
  });
  // GET > upgrade > subrequest > fetch > GET of the object > admission > SQL
  let path = first;
  for (const name of [
    "upgrade",
    "durable_object_subrequest",
    "fetch",
    "GET",
    "admission",
    "durable_object_storage_exec",
  ]) {
    const child = children(path).find((span) => span.name === name);
    if (!child) throw new Error(`no ${name} below ${path.name}`);
    path = child;
  }
  expect(spans.filter((span) => BigInt(span.endTimeUnixNano) < BigInt(span.startTimeUnixNano))).toEqual([]);
  const now = BigInt(Date.now()) * 1_000_000n;
  expect(spans.filter(({ startTimeUnixNano }) => now - BigInt(startTimeUnixNano) > 60_000_000_000n)).toEqual([]);
  socket.close();
});

it("tells of a message under the traceparent that it carries, and links to the upgrade", async () => {
  const [upgrade, publish] = [outside(), outside()];
  const socket = await connect(upgrade.traceparent);
  socket.send(publish.traceparent);
  await receiver.until(() => named(inTrace(publish.traceId), "fan-out") !== undefined, "the message");
  await receiver.until(() => named(inTrace(upgrade.traceId), "admission") !== undefined, "the upgrade");
  const root = named(inTrace(publish.traceId), "Thing message");
  expect(root).toMatchObject({ parentSpanId: publish.spanId, kind: 2 });
  const [link] = root?.links ?? [];
  expect(link?.traceId).toBe(upgrade.traceId);
  expect(inTrace(upgrade.traceId).map((span) => span.spanId)).toContain(link?.spanId);
  const tick = named(inTrace(publish.traceId), "tick");
  expect(tick?.parentSpanId).toBe(root?.spanId);
  expect(named(inTrace(publish.traceId), "fan-out")?.parentSpanId).toBe(tick?.spanId);
  socket.close();
});

it("follows one trace id from an upgrade through a publish to the delivery", async () => {
  const { traceId, spanId, traceparent } = outside();
  const socket = await connect(traceparent);
  socket.send(traceparent);
  await receiver.until(
    () => ["upgrade", "admission", "tick", "fan-out"].every((name) => named(inTrace(traceId), name)),
    "all",
  );
  await receiver.until(() => orphans(inTrace(traceId), spanId).length === 0, "every parent");
  socket.close();
});

it("makes a trace of its own of a message without a traceparent", async () => {
  const upgrade = outside();
  const socket = await connect(upgrade.traceparent);
  const before = receiver.spans.length;
  const told = () => named(receiver.spans.slice(before), "tick");
  socket.send("plain");
  await receiver.until(() => told() !== undefined, "the message");
  expect(told()?.traceId).not.toBe(upgrade.traceId);
  expect(orphans(inTrace(told()?.traceId ?? ""))).toEqual([]);
  socket.close();
  await receiver.until(() => named(receiver.spans.slice(before), "Thing close") !== undefined, "the close");
});

it("tells of calls, alarms and log lines, these with their known fields only", async () => {
  const { traceId, spanId, traceparent } = outside();
  await (await fetch(`${wrangler.url}/work?secret=secret-query`, { headers: { traceparent } })).text();
  await receiver.until(() => named(receiver.spans, "Thing alarm") !== undefined, "the alarm");
  await receiver.until(() => named(inTrace(traceId), "GET") !== undefined, "the request");
  const call = named(inTrace(traceId), "Thing jsrpc work");
  if (!call) throw new Error(`no call in ${JSON.stringify(inTrace(traceId))}`);
  expect(orphans(inTrace(traceId), spanId)).toEqual([]);
  const alarm = named(receiver.spans, "Thing alarm");
  expect(alarm?.kind).toBe(1);
  expect(alarm && children(alarm).map(({ name }) => name)).toContain("edgerooms.alarm");
  await receiver.until(() => receiver.records.length >= 2, "the lines");
  const records = receiver.records.filter((record) => record.traceId === traceId);
  expect(records[0]).toMatchObject({ severityNumber: 19, severityText: "alert", body: { stringValue: "internal" } });
  expect(records[0] && plain(records[0])).toEqual({
    "edgerooms.code": "internal",
    "edgerooms.source": "hook",
    "edgerooms.room": "a",
  });
  expect(records[1]).toMatchObject({ severityNumber: 13, severityText: "warn" });
  expect(records[1]?.body).toEqual({ stringValue: expect.stringContaining('two {"parts":2}') as string });
  // The lines stand under the method that wrote them.
  const method = children(call).find(({ name }) => name === "jsRpcCall");
  expect(records.map((record) => record.spanId)).toEqual([method?.spanId, method?.spanId]);
});

it("keeps a trace that the Worker made from the runtime's own in one piece", async () => {
  const before = receiver.spans.length;
  await (await fetch(`${wrangler.url}/own`)).text();
  await receiver.until(() => named(receiver.spans.slice(before), "own") !== undefined, "the span");
  const traceId = named(receiver.spans.slice(before), "own")?.traceId ?? "";
  expect(named(inTrace(traceId), "GET")?.parentSpanId).toBeUndefined();
  expect(orphans(inTrace(traceId))).toEqual([]);
});

it("marks what failed: an exception's name and place, a status of 500 and more", async () => {
  const { traceId, traceparent } = outside();
  await (await fetch(`${wrangler.url}/fail`, { headers: { traceparent } })).text();
  await receiver.until(() => named(inTrace(traceId), "GET") !== undefined, "the request");
  expect(named(inTrace(traceId), "GET")?.status).toEqual({ code: 2, message: "HTTP 503" });
  const socket = await connect();
  socket.send("bad json secret-payload");
  await receiver.until(
    () => receiver.records.some(({ body }) => "stringValue" in body && body.stringValue === "SyntaxError"),
    "the exception",
  );
  await receiver.until(() => receiver.spans.some(({ status }) => status?.message === "SyntaxError"), "the span");
  const record = receiver.records.find(({ body }) => "stringValue" in body && body.stringValue === "SyntaxError");
  expect(record && plain(record)["exception.stacktrace"]).toMatch(/^ {4}at .*webSocketMessage/m);
  socket.terminate();
});

it("lets no header, query, statement or payload out", async () => {
  const { traceId, traceparent } = outside();
  const to = encodeURIComponent(wrangler.url);
  const headers = { traceparent, authorization: "secret-header", cookie: "secret-cookie" };
  // To itself, once: the inner request fails for want of an address.
  await (await fetch(`${wrangler.url}/out?to=${to}&secret=secret-query`, { headers })).text();
  await receiver.until(() => named(inTrace(traceId), "fetch") !== undefined, "the request");
  const out = named(inTrace(traceId), "fetch");
  expect(out).toMatchObject({ kind: 3 });
  expect(out && plain(out)).toMatchObject({ "url.path": "/", "server.address": new URL(wrangler.url).host });
  expect(named(inTrace(traceId), "GET") ?? {}).toMatchObject({ kind: 2 });
  expect(receiver.taken.filter(({ text }) => /secret-/.test(text)).map(({ text }) => text)).toEqual([]);
});

it("sends valid requests with the resource and the headers it was given", () => {
  expect(receiver.problems).toEqual([]);
  expect(receiver.taken.length).toBeGreaterThan(10);
  for (const { headers, body } of receiver.taken) {
    expect(headers).toMatchObject({ "x-key": "a key", "x-other": "2" });
    const { resource } = body.resourceSpans?.[0] ?? body.resourceLogs?.[0] ?? {};
    expect(resource && plain(resource)).toMatchObject({ "service.name": "rooms-under-test" });
  }
  const ids = receiver.spans.map(({ spanId }) => spanId);
  expect(new Set(ids).size).toBe(ids.length);
});

it("is not hurt by a collector that fails, and says so once a minute", async () => {
  receiver.refuse = "hang up";
  for (let i = 0; i < 5; i++) await (await fetch(`${wrangler.url}/work`)).text();
  await receiver.until(() => receiver.refused >= 10, "ten refused requests");
  receiver.refuse = 503;
  await (await fetch(`${wrangler.url}/work`)).text();
  await receiver.until(() => receiver.refused >= 12, "two more");
  receiver.refuse = undefined;
  const { traceId, traceparent } = outside();
  await (await fetch(`${wrangler.url}/work`, { headers: { traceparent } })).text();
  await receiver.until(() => named(inTrace(traceId), "GET") !== undefined, "the next one");
  const lines = [...wrangler.output.matchAll(/\{.*"source":"otlp".*\}/g)].map(([line]) => JSON.parse(line) as object);
  expect(lines).toEqual([
    expect.objectContaining({ level: "error", code: "upstream_failed", failures: 1, why: "Error" }),
  ]);
});
