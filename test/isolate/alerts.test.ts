/** What is grave calls somebody, once; a flood is no flood of lines; and an observer cannot break what it observes. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Alert } from "../../src/ops/failures.ts";
import { texts } from "../../src/protocol/codes.ts";
import { Client } from "../support/client.ts";
import { door, expectProblem, plain } from "../support/door.ts";
import { Site } from "../support/issuer.ts";
import { eventually } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";
import { equip, Log, marked, scrape } from "../support/watching.ts";

let log: Log;
let minute = Math.ceil(Date.now() / 60_000) * 60_000;

beforeEach(() => {
  log = new Log();
  // What counts by the minute begins anew for every test.
  vi.useFakeTimers({ toFake: ["Date"], now: (minute += 120_000) });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const broken = () => Promise.reject(new Error("authorize broke"));
const ttl = "1d";

async function alerts(): Promise<{ sent: number; failed: number; suppressed: number }> {
  const reading = await scrape();
  const of = (result: string) => reading.of(`alerts_total{result="${result}"}`);
  return { sent: of("sent"), failed: of("failed"), suppressed: of("suppressed") };
}

/** A room whose disk fails when a client publishes "poison". */
async function poisoned() {
  const room = new TestedRoom();
  const { client, welcome } = await Client.join(room.path, { ttl });
  await room.sql(`CREATE TRIGGER poison BEFORE INSERT ON edgerooms_log WHEN NEW.items LIKE '%poison%'
    BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END`);
  const fail = async (ref: number) => {
    client.send({ type: "publish", ref, data: "poison" });
    expect(await client.next("error")).toMatchObject({ ref, code: "storage_failed" });
  };
  return { room, client, welcome, fail };
}

describe("onAlert", () => {
  it("of the Worker is told what happened to whom, at most once a minute", async () => {
    const told: Alert[] = [];
    const at = door({ authorize: broken, onAlert: (alert) => void told.push(alert) });
    const room = new TestedRoom();
    const { headers, ids } = marked();
    const before = await alerts();
    for (let n = 0; n < 3; n++) await expectProblem(await plain(at, `/rooms/${room.path}`, { headers }), "internal");
    expect(told).toEqual([
      {
        at: minute,
        code: "internal",
        source: "GET /rooms/:kind/:room",
        kind: "relay",
        room: room.name,
        user: "ann",
        ...ids,
        message: "Error: authorize broke",
        text: texts.internal,
      },
    ]);
    const { sent, suppressed, failed } = await alerts();
    expect([sent - before.sent, suppressed - before.suppressed, failed - before.failed]).toEqual([1, 2, 0]);
    vi.setSystemTime(minute + 59_999);
    await plain(at, `/rooms/${room.path}`);
    expect(told).toHaveLength(1);
    vi.setSystemTime(minute + 60_000);
    await plain(at, `/rooms/${room.path}`);
    expect(told).toHaveLength(2);
    // Every one of them is in the log.
    expect(log.of("internal")).toHaveLength(5);
  });

  it("of a room is told what happened to whom, at most once a minute", async () => {
    const told: Alert[] = [];
    const { room, client, welcome, fail } = await poisoned();
    await equip(room, { onAlert: (alert) => void told.push(alert) });
    for (let ref = 1; ref <= 3; ref++) await fail(ref);
    expect(told).toMatchObject([
      { code: "storage_failed", kind: "relay", room: room.name, session: welcome.session, user: "ann", source: "tick" },
    ]);
    vi.setSystemTime(minute + 60_000);
    await fail(4);
    expect(told).toHaveLength(2);
    await client.publish(5, "fine");
    expect(log.of("storage_failed")).toHaveLength(4);
  });

  it("is not called for what is less than grave", async () => {
    const told: Alert[] = [];
    const room = new TestedRoom("chat");
    await equip(room, { onAlert: (alert) => void told.push(alert) });
    const { client } = await Client.join(room.path, { ttl });
    client.send({ type: "publish", ref: 1, data: "throw" }, { type: "call", ref: 1, method: "none", data: null });
    await client.next("error");
    await client.next("reply");
    expect(log.lines.map(({ code }) => code)).toEqual(["hook_failed", "unknown_method"]);
    expect(told).toEqual([]);
  });

  it("breaks nothing when it throws, and that is counted", async () => {
    const before = await alerts();
    const throwing = () => {
      throw new Error("the pager is broken");
    };
    const { client, fail, room } = await poisoned();
    await equip(room, { onAlert: throwing });
    await fail(1);
    await client.publish(2, "fine");
    const at = door({ authorize: broken, onAlert: () => Promise.reject(new Error("the pager is down")) });
    await expectProblem(await plain(at, "/rooms/relay/r"), "internal");
    await eventually(async () => expect((await alerts()).failed - before.failed).toBe(2));
    expect((await alerts()).sent).toBe(before.sent);
    expect(log.texts.join()).not.toContain("pager");
  });

  it("is the webhook of the environment when nobody gives another", async () => {
    const site = new Site();
    const at = door({ authorize: broken }, { ALERT_WEBHOOK_URL: site.url });
    await plain(at, "/rooms/relay/r");
    await eventually(() => expect(site.asked).toBe(1));
    expect(await site.requests[0]?.json()).toMatchObject({ type: "edgerooms.alert", data: { code: "internal" } });
  });
});

describe("the log", () => {
  it("has thirty lines of a code and minute, and then says how many were left out", async () => {
    const room = new TestedRoom("fast");
    const { client } = await Client.join(room.path, { ttl });
    const calls = (n: number, from: number) =>
      Array.from({ length: n }, (_, i) => ({ type: "call", ref: from + i, method: "none", data: null }) as const);
    for (let from = 1; from < 500; from += 100) client.send(...calls(100, from));
    await client.until(() => client.of("reply").length === 500);
    expect(log.of("unknown_method")).toHaveLength(30);
    // Another code has lines of its own.
    client.socket.send("nonsense");
    await client.next("error");
    expect(log.of("bad_frame")).toHaveLength(1);
    vi.setSystemTime(minute + 60_000);
    client.send(...calls(2, 501));
    await client.until(() => client.of("reply").length === 502);
    expect(
      log
        .of("unknown_method")
        .map((line) => line["leftOut"])
        .slice(29),
    ).toEqual([undefined, 470, undefined]);
  });

  it("cuts what was thrown, and takes tokens and line ends out of it", async () => {
    const room = new TestedRoom("chat");
    const { client } = await Client.join(room.path, { ttl });
    const token = `eyJhbGciOiJIUzI1NiJ9.${"p".repeat(200)}.${"s".repeat(43)}`;
    const thrown = [
      "x".repeat(10_000),
      `bad ${token} here`,
      'line\n{"level":"alert"}\r\u2028\u202e\u001b[31m',
      `${token} `.repeat(20),
      token.repeat(20),
    ];
    for (const [i, text] of thrown.entries()) client.send({ type: "publish", ref: i + 1, data: `throw ${text}` });
    await client.until(() => client.of("error").length === thrown.length);
    const messages = log.of("hook_failed").map((line) => String(line["message"]));
    expect(messages[0]).toBe(`Error: ${"x".repeat(293)}`);
    expect(messages[1]).toBe("Error: bad [token] here");
    expect(messages[2]).toBe('Error: line\uFFFD{"level":"alert"}\uFFFD\uFFFD\uFFFD\uFFFD[31m');
    for (const text of log.texts) {
      expect(text).not.toMatch(/[\p{Cc}\u2028\u202e]|ppp|sss/u);
      expect(text.length).toBeLessThan(800);
    }
    expect(log.texts).toHaveLength(thrown.length);
  });

  it("that a subclass breaks breaks nothing else: answers, counts and what follows", async () => {
    const room = new TestedRoom("small");
    const series = 'errors_total{kind="small",code="unknown_method"}';
    const before = (await scrape()).of(series);
    const report = () => {
      throw new Error("report broke");
    };
    await equip(room, { report });
    const { client } = await Client.join(room.path, { ttl });
    client.send({ type: "call", ref: 1, method: "none", data: null });
    expect((await client.next("reply")).error?.code).toBe("unknown_method");
    await client.publish(1, "fine");
    await client.close();
    await eventually(async () => expect((await scrape()).of(series) - before).toBe(1));
  });
});

describe("what a client learns of an internal failure", () => {
  it("is what was thrown in development, and nothing of it elsewhere", async () => {
    for (const [environment, detail] of [
      ["development", "Error: authorize broke"],
      ["production", undefined],
      ["", undefined],
      [undefined, undefined],
    ]) {
      const at = door({ authorize: broken }, { ENVIRONMENT: environment });
      const problem = await expectProblem(await plain(at, "/rooms/relay/r"), "internal");
      expect(problem.detail).toBe(detail);
      expect(JSON.stringify(problem)).not.toContain(".ts:");
    }
  });
});
