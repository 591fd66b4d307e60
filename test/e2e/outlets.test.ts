/** Events out of a real workerd: to a receiver over real HTTP that checks signatures, and into a real queue. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Batch, OutEvent } from "../../src/room/outlet.ts";
import { eventually } from "../support/patience.ts";
import { Server } from "./server.ts";

const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const AT = Date.UTC(2026, 0, 2);
/** What the receiver took, and how it answers. */
const taken: { id: unknown; traceparent: unknown; body: unknown }[] = [];
let answer: (response: ServerResponse) => void;
const receiver = createServer((request, response) => void receive(request, response));
let worker: Server;

async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  const { "webhook-id": id, traceparent } = request.headers;
  try {
    const body = new Webhook(SECRET).verify(text, request.headers as Record<string, string>);
    taken.push({ id, traceparent, body });
    answer(response);
  } catch {
    response.writeHead(401).end();
  }
}

beforeAll(async () => {
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  const { port } = receiver.address() as AddressInfo;
  const vars = [`HOOK_URL:http://127.0.0.1:${port}/hook`, `HOOK_SECRET:${SECRET}`];
  worker = new Server([
    "--config",
    join(import.meta.dirname, "outlets.toml"),
    ...vars.flatMap((value) => ["--var", value]),
  ]);
  await worker.start();
});

beforeEach(() => {
  taken.length = 0;
  answer = (response) => response.writeHead(204).end();
});

afterAll(async () => {
  await worker.stop();
  receiver.closeAllConnections();
  receiver.close();
});

function batchOf(events: readonly OutEvent[], id: string = crypto.randomUUID()): Batch {
  return { id, kind: "chat", room: "lobby", at: AT, tries: 0, events };
}

function said(offset: number, data: string): OutEvent {
  return { id: `e${offset}`, type: "publication", at: AT, publication: { offset, by: "ann", at: AT, data } };
}

async function hand(to: "webhook" | "queue", batch: Batch): Promise<string> {
  const response = await fetch(`${worker.url}/${to}`, { method: "POST", body: JSON.stringify(batch) });
  return response.text();
}

describe("the webhook", () => {
  const batch = batchOf([
    { id: "e0", type: "join", at: AT, member: { id: "ann", name: "Ann \u{1f389}" } },
    { ...said(1, "h\u00e9"), publication: { offset: 1, by: "ann", at: AT, data: "h\u00e9", traceparent: TRACEPARENT } },
  ]);

  it("delivers to a receiver that checks the signature, again under the same id", async () => {
    expect(await hand("webhook", batch)).toBe("delivered");
    expect(await hand("webhook", batch)).toBe("delivered");
    const data = { kind: "chat", room: "lobby", events: batch.events };
    const body = { type: "room.events", timestamp: "2026-01-02T00:00:00.000Z", data };
    const message = { id: batch.id, traceparent: TRACEPARENT, body };
    expect(taken).toEqual([message, message]);
  });

  it("does not follow a redirect with what is signed for one receiver only", async () => {
    answer = (response) => response.writeHead(307, { location: "/elsewhere" }).end();
    expect(await hand("webhook", batch)).toBe("upstream_failed");
    expect(taken.length).toBe(1);
  });

  it("is refused once and for all by a 410, and fails for now where a connection breaks", async () => {
    answer = (response) => response.writeHead(410).end("gone");
    expect(await hand("webhook", batch)).toBe("refused");
    answer = (response) => response.destroy();
    expect(await hand("webhook", batch)).toBe("upstream_failed");
    expect(taken.length).toBe(2);
  });
});

describe("the queue", () => {
  /** Hands over a batch, and reads what the consumer got of it. */
  async function through(batch: Batch, count: number): Promise<{ id: string; data: { events: OutEvent[] } }[]> {
    expect(await hand("queue", batch)).toBe("delivered");
    const got: { id: string; data: { events: OutEvent[] } }[] = [];
    await eventually(async () => {
      const response = await fetch(`${worker.url}/consumed`);
      got.push(...(await response.json<typeof got>()));
      expect(got.length).toBe(count);
    });
    return got;
  }

  it("carries a batch that fits as one message", async () => {
    const batch = batchOf([said(1, "one"), { id: "e2", type: "leave", at: AT, user: "ann" }]);
    const [message] = await through(batch, 1);
    const data = { kind: "chat", room: "lobby", events: batch.events };
    expect(message).toEqual({ id: batch.id, type: "room.events", timestamp: "2026-01-02T00:00:00.000Z", data });
  });

  it("carries as much as a message may hold in one, and a byte more in several", async () => {
    const { kind, room, events } = batchOf([said(1, ""), said(2, "")]);
    const around = { id: "b", type: "room.events", timestamp: new Date(AT), data: { kind, room, events } };
    const left = 127_900 - JSON.stringify(around).length;
    expect((await through(batchOf([said(1, "x".repeat(left)), said(2, "")], "b"), 1))[0]?.id).toBe("b");
    const split = await through(batchOf([said(1, "x".repeat(left)), said(2, "x")], "b"), 2);
    expect(split.map(({ id }) => id)).toEqual(["e1", "e2"]);
  });

  it("carries a batch that does not fit event by event, all and in order, past the limits of one call", async () => {
    const many = batchOf(Array.from({ length: 250 }, (_, i) => said(i + 1, "x".repeat(600))));
    expect((await through(many, 250)).map(({ data }) => data.events)).toEqual(many.events.map((event) => [event]));
    const large = batchOf(Array.from({ length: 5 }, (_, i) => said(i + 1, "\u00e9".repeat(60_000))));
    expect((await through(large, 5)).map(({ id }) => id)).toEqual(["e1", "e2", "e3", "e4", "e5"]);
  });

  it("carries an event that is too large without its data, and says so", async () => {
    const [before, large, after] = await through(
      batchOf([said(1, "a"), said(2, "x".repeat(130_000)), said(3, "b")]),
      3,
    );
    expect(large).toMatchObject({
      id: "e2",
      data: {
        events: [{ id: "e2", type: "publication", at: AT, publication: { offset: 2, by: "ann" }, omitted: true }],
      },
    });
    expect(large?.data.events[0]?.publication).not.toHaveProperty("data");
    expect([before?.data.events[0]?.publication?.data, after?.data.events[0]?.publication?.data]).toEqual(["a", "b"]);
  });
});
