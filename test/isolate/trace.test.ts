/** W3C trace context: from an upgrade into its answer and its failures, and from a publication to everyone who gets it. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Publication } from "../../src/protocol/frames.ts";
import { isTraceparent } from "../../src/protocol/trace.ts";
import { Client, sign, upgrade } from "../support/client.ts";
import { ask } from "../support/contract.ts";
import { ours, plain } from "../support/door.ts";
import { eventually } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";
import { Log, marked, watched } from "../support/watching.ts";

let log: Log;

beforeEach(() => {
  log = new Log();
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** What is no traceparent, though it nearly is. */
const malformed = [
  "",
  "00",
  "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
  "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
  "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
  "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
  "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what",
  '","code":"internal',
];

async function publishes(client: Client, ref: number, traceparent: string): Promise<void> {
  client.send({ type: "publish", ref, data: ref, traceparent });
  await client.next("ack");
}

describe("the trace of a request", () => {
  it("is the caller's, on what opens, what is refused in either manner, and what is answered", async () => {
    const room = new TestedRoom();
    const { headers, traceparent } = marked();
    const opened = await upgrade(room.path, { headers });
    expect(opened.status).toBe(101);
    opened.webSocket?.accept();
    const path = `/rooms/${room.path}`;
    const closed = await ours(watched, path, { token: null, headers });
    closed.webSocket?.accept();
    const answers = [
      opened,
      closed,
      await plain(watched, path, { token: null, headers }),
      await watched(new Request("http://edge.test/healthz", { headers })),
      await watched(new Request("http://edge.test/none", { headers })),
    ];
    expect(answers.map((answer) => answer.headers.get("traceparent"))).toEqual(Array(5).fill(traceparent));
    expect((await ask("GET", `${path}/members`, { headers })).headers.get("traceparent")).toBe(traceparent);
    expect((await ask("POST", `${path}/drain`, { headers, body: "x" })).headers.get("traceparent")).toBe(traceparent);
  });

  it("comes in the query from browsers, for upgrades and for nothing else", async () => {
    const { traceparent } = marked();
    const room = new TestedRoom();
    const opened = await ours(watched, `/rooms/${room.path}?traceparent=${traceparent}`);
    opened.webSocket?.accept();
    expect(opened.headers.get("traceparent")).toBe(traceparent);
    const { headers } = marked();
    const both = await ours(watched, `/rooms/${room.path}?traceparent=${traceparent}`, { headers });
    both.webSocket?.accept();
    expect(both.headers.get("traceparent")).toBe(headers.traceparent);
    const asked = await watched(new Request(`http://edge.test/healthz?traceparent=${traceparent}`));
    expect(isTraceparent(asked.headers.get("traceparent"))).toBe(true);
    expect(asked.headers.get("traceparent")).not.toBe(traceparent);
  });

  it("is made where there is none or one that is malformed, another for every request", async () => {
    const room = new TestedRoom();
    const made = new Set<string | null>();
    for (const given of [undefined, ...malformed]) {
      const headers: Record<string, string> = given === undefined ? {} : { traceparent: given };
      const query = given === undefined ? "" : `?traceparent=${encodeURIComponent(given)}`;
      for (const answer of [
        await ours(watched, `/rooms/${room.path}`, { headers }),
        await ours(watched, `/rooms/${room.path}${query}`),
        await watched(new Request("http://edge.test/healthz", { headers })),
      ]) {
        answer.webSocket?.accept();
        const traceparent = answer.headers.get("traceparent");
        expect(isTraceparent(traceparent), String(given)).toBe(true);
        expect(made.has(traceparent)).toBe(false);
        expect(malformed).not.toContain(traceparent);
        made.add(traceparent);
      }
    }
  });

  it("is in the log with what goes wrong on its connection, also after the room was out of memory", async () => {
    const room = new TestedRoom();
    const { headers, ids } = marked();
    const { client, welcome } = await Client.join(room.path, { headers });
    const about = { ...ids, session: welcome.session, user: "ann", room: room.name };
    for (let n = 1; n <= 3; n++) {
      client.send({ type: "call", ref: n, method: "none", data: null });
      await client.next("reply");
      await room.evict();
    }
    expect(log.of("unknown_method")).toEqual(Array(3).fill(expect.objectContaining(about)));
    // The next connection of the session belongs to another trace.
    const next = marked();
    const { session, epoch } = welcome;
    const { client: back } = await Client.join(room.path, { headers: next.headers, session, epoch, offset: 0 });
    await room.evict();
    back.send({ type: "call", ref: 9, method: "none", data: null });
    await back.next("reply");
    expect(log.of("unknown_method").at(-1)).toMatchObject({ ...next.ids, session });
  });

  it("gives way to the publication's own where that fails", async () => {
    const room = new TestedRoom("chat");
    const { headers, ids } = marked();
    const { client } = await Client.join(room.path, { headers });
    const { ids: other, traceparent } = marked();
    client.send({ type: "publish", ref: 1, data: "throw", traceparent });
    await client.next("error");
    expect(log.of("hook_failed")).toMatchObject([{ requestId: ids.requestId, traceId: other.traceId }]);
  });
});

describe("the trace of a publication", () => {
  it("reaches others as it is made, after a resume, from the log, and in the snapshot", async () => {
    const room = new TestedRoom();
    const { client: ann } = await Client.join(room.path, { user: "ann" });
    const { client: bob, welcome } = await Client.join(room.path, { user: "bob" });
    const traces = [marked(), marked(), marked()].map(({ traceparent }) => traceparent);
    const [live = "", missed = "", api = ""] = traces;
    await publishes(ann, 1, live);
    await bob.until(() => bob.items.length === 1);
    expect(bob.items[0]?.traceparent).toBe(live);
    expect(ann.items[0]?.traceparent).toBe(live);
    await bob.close();
    await room.dropped(welcome.session);
    await publishes(ann, 2, missed);
    await ask("POST", `/rooms/${room.path}/publish`, { body: { data: 3, traceparent: api } });
    // One without is without, wherever it is read.
    await ann.publish(4, 4);
    await room.evict();
    const { session, epoch } = welcome;
    const { client: back } = await Client.join(room.path, { user: "bob", session, epoch, offset: 1 });
    await back.until(() => back.items.length === 3);
    expect(back.items.map((item) => item.traceparent)).toEqual([missed, api, undefined]);
    const stored = (await ask<{ items: Publication[] }>("GET", `/rooms/${room.path}/log`)).body;
    expect(stored.items.map((item) => item.traceparent)).toEqual([live, missed, api, undefined]);
    const { client: cat } = await Client.join(room.path, { user: "cat" });
    const { data } = await cat.next("snapshot");
    expect((data as unknown as Publication[]).map((item) => item.traceparent)).toEqual([live, missed, api, undefined]);
    ann.send({ type: "sync", offset: 0 });
    await ann.until(() => ann.items.length === 8);
    expect(ann.items.slice(4).map((item) => item.traceparent)).toEqual([live, missed, api, undefined]);
  });

  it("goes out with its event", async () => {
    const room = new TestedRoom("events");
    const { client } = await Client.join(room.path);
    const { traceparent } = marked();
    await publishes(client, 1, traceparent);
    const published = () => room.receiver.events.find(({ type }) => type === "publication");
    await eventually(() => expect(published()?.publication).toMatchObject({ traceparent }));
  });

  it("is refused with its ref when it is malformed, and nothing of it took effect", async () => {
    const room = new TestedRoom("fast");
    const { client } = await Client.join(room.path);
    for (const [i, given] of [...malformed, 7, null, {}].entries()) {
      client.send({ type: "publish", ref: i + 1, data: "x", traceparent: given as string });
      expect(await client.next("error")).toMatchObject({ code: "bad_frame", ref: i + 1 });
      const posted = await ask("POST", `/rooms/${room.path}/publish`, { body: { data: "x", traceparent: given } });
      expect({ status: posted.status, code: posted.body.code }).toEqual({ status: 400, code: "bad_request" });
    }
    await client.publish(100, "fine");
    expect(client.items.map(({ offset, data }) => [offset, data])).toEqual([[1, "fine"]]);
  });
});

it("one trace is followed from an upgrade through a publication to what another client gets", async () => {
  const room = new TestedRoom();
  const { headers, ids, traceparent } = marked();
  const opened = await upgrade(room.path, { token: await sign("ann"), headers });
  const inHand = opened.headers.get("traceparent") ?? "";
  expect(inHand).toBe(traceparent);
  const ann = new Client(opened.webSocket as WebSocket);
  await ann.next("welcome");
  const { client: bob } = await Client.join(room.path, { user: "bob" });
  await room.evict();
  await publishes(ann, 1, inHand);
  await bob.until(() => bob.items.length === 1);
  expect(bob.items[0]).toMatchObject({ by: "ann", traceparent });
  ann.send({ type: "publish", ref: 1_000, data: "x".repeat(70_000), traceparent });
  await ann.next("bye");
  expect(log.of("too_large")).toMatchObject([{ traceId: ids.traceId, requestId: ids.requestId, room: room.name }]);
});
