/** Webhooks as a receiver sees them that checks signatures with a library of its own: events of rooms, and alerts. */
import { Webhook } from "standardwebhooks";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Alert } from "../../src/ops/failures.ts";
import { sign } from "../../src/ops/signature.ts";
import { alertWebhook, webhook } from "../../src/ops/webhook.ts";
import { texts } from "../../src/protocol/codes.ts";
import { OutletRefused, type Batch } from "../../src/room/outlet.ts";
import { Site } from "../support/issuer.ts";

const TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const SECRET = `whsec_${new Uint8Array(32).map((_, i) => i * 7).toBase64()}`;
const AT = Date.UTC(2026, 0, 2, 3, 4, 5);
const batch: Batch = {
  id: "batch-1",
  kind: "chat",
  room: "lobby",
  at: AT,
  tries: 0,
  events: [
    { id: "e1", type: "join", at: AT, member: { id: "ann", name: "Ann \u{1f389}" } },
    { id: "e2", type: "publication", at: AT, publication: { offset: 7, by: "ann", at: AT, data: "h\u00e9" } },
    {
      id: "e3",
      type: "publication",
      at: AT,
      publication: { offset: 8, by: "ann", at: AT, data: 1, traceparent: TRACEPARENT },
    },
  ],
};

afterEach(() => vi.restoreAllMocks());

/** Takes what is signed with its secret and refuses anything else. */
class Receiver extends Site {
  readonly taken: { id: string | null; body: unknown }[] = [];

  constructor(secret = SECRET) {
    super();
    this.answer = async (request) => {
      try {
        const body = new Webhook(secret).verify(await request.text(), Object.fromEntries(request.headers));
        this.taken.push({ id: request.headers.get("webhook-id"), body });
        return new Response(null, { status: 202 });
      } catch (error) {
        return new Response(String(error), { status: 401 });
      }
    };
  }
}

describe("the webhook for events", () => {
  it("is taken by a receiver that checks its signature, with the batch's id and the first trace", async () => {
    const receiver = new Receiver();
    await webhook({ url: receiver.url, secret: SECRET })(batch, {});
    const { kind, room, events } = batch;
    const data = JSON.parse(JSON.stringify({ kind, room, events })) as unknown;
    expect(receiver.taken).toEqual([
      { id: "batch-1", body: { type: "room.events", timestamp: "2026-01-02T03:04:05.000Z", data } },
    ]);
    const { method, headers } = receiver.requests[0] ?? new Request("https://none.test");
    expect([method, headers.get("content-type")]).toEqual(["POST", "application/json"]);
    expect(headers.get("traceparent")).toBe(TRACEPARENT);
  });

  it("is the same message when it is sent again, with a signature of its own time", async () => {
    const receiver = new Receiver();
    const outlet = webhook({ url: receiver.url, secret: SECRET });
    await outlet(batch, {});
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 61_000 });
    await outlet({ ...batch, tries: 1 }, {}).finally(() => vi.useRealTimers());
    expect(receiver.taken[1]).toEqual(receiver.taken[0]);
    const [first, second] = receiver.requests.map(({ headers }) => headers.get("webhook-timestamp"));
    expect(Number(second) - Number(first)).toBeGreaterThanOrEqual(61);
  });

  it("finds its address and its secret in the environment", async () => {
    const receiver = new Receiver();
    const outlet = webhook<{ HOOK?: string; KEY?: string }>({ url: ({ HOOK }) => HOOK, secret: ({ KEY }) => KEY });
    await outlet(batch, { HOOK: receiver.url, KEY: SECRET });
    expect(receiver.taken.length).toBe(1);
    await expect(outlet(batch, { KEY: SECRET })).rejects.toThrow("the url of a webhook must be an https URL");
    await expect(outlet(batch, { HOOK: receiver.url }), "never unsigned").rejects.toThrow("a webhook needs a secret");
    expect(receiver.asked).toBe(1);
  });

  it("T22: needs no options where EVENTS_WEBHOOK_URL and EVENTS_WEBHOOK_SECRET are set", async () => {
    const receiver = new Receiver();
    await webhook()(batch, { EVENTS_WEBHOOK_URL: receiver.url, EVENTS_WEBHOOK_SECRET: SECRET });
    expect(receiver.taken.length).toBe(1);
    await expect(webhook()(batch, { EVENTS_WEBHOOK_URL: receiver.url })).rejects.toThrow(
      "EVENTS_WEBHOOK_SECRET is not set",
    );
  });

  it("E2: is taken by receivers that know the new secret or the previous one", async () => {
    const next = `whsec_${new Uint8Array(32).fill(9).toBase64()}`;
    for (const known of [SECRET, next]) {
      const receiver = new Receiver(known);
      const env = {
        EVENTS_WEBHOOK_URL: receiver.url,
        EVENTS_WEBHOOK_SECRET: next,
        EVENTS_WEBHOOK_SECRET_PREVIOUS: { get: async () => Promise.resolve(SECRET) },
      };
      await webhook()(batch, env);
      await webhook({ url: receiver.url, secret: [next, SECRET] })(batch, {});
      expect(receiver.taken.length).toBe(2);
    }
  });

  it("is refused for good by a receiver that knows another secret", async () => {
    const receiver = new Receiver(`whsec_${new Uint8Array(24).toBase64()}`);
    await expect(webhook({ url: receiver.url, secret: SECRET })(batch, {})).rejects.toThrow(OutletRefused);
    expect(receiver.taken).toEqual([]);
  });

  for (const status of [200, 201, 204]) {
    it(`is delivered when the answer is ${status}`, async () => {
      const site = new Site();
      site.answer = () => new Response(status === 204 ? null : "thanks", { status });
      await webhook({ url: site.url, secret: SECRET })(batch, {});
      expect(site.asked).toBe(1);
    });
  }

  for (const status of [400, 401, 403, 404, 405, 410, 413, 422]) {
    it(`is refused for good when the answer is ${status}`, async () => {
      const site = new Site();
      site.answer = () => new Response("no", { status });
      const refusal = new OutletRefused(`webhook answered ${status}`);
      await expect(webhook({ url: site.url, secret: SECRET })(batch, {})).rejects.toThrow(refusal);
    });
  }

  for (const status of [301, 307, 408, 409, 425, 429, 500, 503]) {
    it(`is for a later try when the answer is ${status}, and is not sent twice by itself`, async () => {
      const site = new Site();
      const headers = status < 400 ? { location: "https://elsewhere.test/" } : {};
      site.answer = () => new Response("later", { status, headers });
      const failure = await webhook({ url: site.url, secret: SECRET })(batch, {}).catch((error: unknown) => error);
      expect(failure).not.toBeInstanceOf(OutletRefused);
      expect(failure).toMatchObject({ code: "upstream_failed", message: `webhook answered ${status}` });
      expect(site.asked).toBe(1);
    });
  }

  it("is not configured with what is no URL or no secret, and says so without repeating it", () => {
    const short = `whsec_${new Uint8Array(23).toBase64()}`;
    const long = `whsec_${new Uint8Array(65).toBase64()}`;
    for (const secret of ["", "whsec_", "secret", "whsec_###", short, long, SECRET.slice(6)]) {
      expect(() => webhook({ url: "https://a.test", secret })).toThrow(
        new TypeError("the secret of a webhook is whsec_ and 24 to 64 bytes in base64"),
      );
    }
    for (const url of ["", "a.test/hook", "ftp://a.test", "https://", "http://a.test", "http://127.0.0.1.a.test"]) {
      expect(() => webhook({ url, secret: SECRET })).toThrow("the url of a webhook must be an https URL");
    }
  });
});

it("a signature is the one that the library makes, for the shortest secret and the longest", async () => {
  for (const length of [24, 64]) {
    const secret = `whsec_${crypto.getRandomValues(new Uint8Array(length)).toBase64()}`;
    const headers = await sign([secret], "msg_1", AT, '{"a":"\u{1f389}"}');
    expect(headers["webhook-signature"]).toBe(new Webhook(secret).sign("msg_1", new Date(AT), '{"a":"\u{1f389}"}'));
    expect(headers["webhook-timestamp"]).toBe(String(AT / 1_000));
  }
});

describe("the webhook for alerts", () => {
  const data = { code: "internal", source: "tick", kind: "chat", room: "lobby", requestId: "r1", message: "it broke" };
  const alert: Alert = { ...data, code: "internal", at: AT, text: texts.internal, user: "ann", session: "s" };

  it("does not exist without an address", () => {
    expect(alertWebhook({})).toBeUndefined();
    expect(alertWebhook({ ALERT_WEBHOOK_URL: "" })).toBeUndefined();
  });

  it("posts what happened, signed where there is a secret", async () => {
    const receiver = new Receiver();
    await alertWebhook({ ALERT_WEBHOOK_URL: receiver.url, ALERT_WEBHOOK_SECRET: SECRET })?.(alert);
    const timestamp = "2026-01-02T03:04:05.000Z";
    expect(receiver.taken).toEqual([
      { id: expect.stringMatching(/^alert_/) as string, body: { type: "edgerooms.alert", timestamp, data } },
    ]);
  });

  it("E4: is signed with a secret of the Secrets Store, and never unsigned where one is set", async () => {
    const receiver = new Receiver();
    const bound = { get: async () => Promise.resolve(SECRET) };
    await alertWebhook({ ALERT_WEBHOOK_URL: receiver.url, ALERT_WEBHOOK_SECRET: bound })?.(alert);
    expect(receiver.taken.length).toBe(1);
    for (const secret of ["", { secret: SECRET }, 5]) {
      const sending = alertWebhook({ ALERT_WEBHOOK_URL: receiver.url, ALERT_WEBHOOK_SECRET: secret })?.(alert);
      await expect(sending).rejects.toThrow("ALERT_WEBHOOK_SECRET");
    }
    expect(receiver.asked).toBe(1);
  });

  it("posts unsigned where there is none, and only what an alert is made of", async () => {
    const site = new Site();
    const more = { ...alert, traceId: "t", token: "a token", payload: "a payload" };
    await alertWebhook({ ALERT_WEBHOOK_URL: site.url })?.(more);
    const [request] = site.requests;
    const { data: sent } = (await request?.json<{ data: unknown }>()) ?? {};
    expect(sent, "nobody's name either").toEqual({ ...data, traceId: "t" });
    expect(request?.headers.has("webhook-signature")).toBe(false);
  });

  it("is tried twice, and fails when nobody takes it", async () => {
    const site = new Site();
    site.answer = () => new Response(null, { status: 503 });
    const sending = alertWebhook({ ALERT_WEBHOOK_URL: site.url })?.(alert);
    await expect(sending).rejects.toMatchObject({ code: "upstream_failed" });
    expect(site.asked).toBe(2);
    site.answer = () => new Response(null, { status: 403 });
    const refused = alertWebhook({ ALERT_WEBHOOK_URL: site.url })?.(alert);
    await expect(refused).rejects.toMatchObject({ message: "alert answered 403" });
  });
});
