/** The client's session in virtual time: publishes and calls, on lines that break. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Json } from "../../src/client/client.ts";
import { dialled, joined, pub, publication, snapshot } from "../support/dialled.ts";
import { LIMITS, type Line } from "../support/line.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const turn = () => pass(0);
const nested = (levels: number) => JSON.parse("[".repeat(levels) + "]".repeat(levels)) as Json;

/** The code of the error that a promise ends with. */
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "settled",
    (error: { code: string }) => error.code,
  );

/** A room's side of publishes: its token bucket, then an ack and the publication. Counts what it refuses. */
function serve(line: Line, bucket = { tokens: LIMITS.burst }) {
  const counts = { refused: 0, offset: 0, messages: 0 };
  let at = performance.now();
  line.send = (text) => {
    line.sent.push(text);
    if (text === "ping") return;
    const now = performance.now();
    bucket.tokens = Math.min(LIMITS.burst, bucket.tokens + ((now - at) * LIMITS.rate) / 1_000);
    at = now;
    counts.messages++;
    const frames = [JSON.parse(text) as { type: string; ref: number; data: Json }].flat();
    const answers = frames.flatMap<object>(({ type, ref, data }) => {
      if (type === "publish" && bucket.tokens >= 1) {
        bucket.tokens--;
        const offset = ++counts.offset;
        return [
          { type: "ack", ref, offset, at: 0 },
          { type: "pub", from: offset, upto: offset, items: [publication(offset, data)] },
        ];
      }
      if (type !== "publish") return [];
      counts.refused++;
      return [{ type: "error", ref, code: "rate_limited", message: "", retryable: true, retryAfter: 500 }];
    });
    setTimeout(() => line.hears(...answers), 20);
  };
  return counts;
}

describe("a publish", () => {
  it("publishes wait for a connection, and those of one turn are one message, in order", async () => {
    const { client, line } = dialled();
    const acks = [1, 2, 3].map((n) => client.publish(n));
    await turn();
    line().welcome({}, snapshot);
    await turn();
    expect(line().sent.filter((text) => text !== "ping")).toEqual([
      JSON.stringify([
        { type: "publish", data: 1, ref: 1 },
        { type: "publish", data: 2, ref: 2, after: 1 },
        { type: "publish", data: 3, ref: 3, after: 2 },
      ]),
    ]);
    line().hears(...[1, 2, 3].map((ref) => ({ type: "ack", ref, offset: ref + 4, at: 0 })));
    expect(await Promise.all(acks)).toMatchObject([{ offset: 5 }, { offset: 6 }, { offset: 7 }]);
  });

  it("300 publishes at once go at the room's pace, in order, and none is refused", async () => {
    const { client, line, items, all } = await joined();
    const counts = serve(line());
    const start = performance.now();
    let end = 0;
    const acks = Promise.all(Array.from({ length: 300 }, (_, n) => client.publish(n)));
    void acks.then(() => (end = performance.now()));
    await pass(10_000);
    const order = Array.from({ length: 300 }, (_, n) => n);
    expect((await acks).map(({ offset }) => offset)).toEqual(order.map((n) => n + 1));
    expect([items, counts.refused, all.length]).toEqual([order, 0, 1]);
    // 210 more than nine tenths of the burst, at nine tenths of 50 a second.
    expect(end - start).toBeGreaterThan(210 / 0.045 - 50);
    expect(end - start).toBeLessThan(210 / 0.045 + 200);
  });

  it("rate-limited publishes are sent again when the room says so, in order", async () => {
    const { client, line, items } = await joined();
    // Something else has used the bucket up.
    const counts = serve(line(), { tokens: 3 });
    const acks = Promise.all(Array.from({ length: 30 }, (_, n) => client.publish(n)));
    await pass(5_000);
    await acks;
    expect(items).toEqual(Array.from({ length: 30 }, (_, n) => n));
    expect(counts.refused).toBe(27);
  });

  it("a publish above the outbox is refused at once, and one after an ack is taken", async () => {
    const { client, line } = await joined({ outbox: { count: 2, bytes: 100 } });
    void client.publish(1);
    void client.publish(2);
    await expect(client.publish(3)).rejects.toMatchObject({ code: "outbox_full", retryable: true });
    expect(client.pending).toBe(2);
    line().hears({ type: "ack", ref: 1, offset: 1, at: 0 });
    const taken = client.publish(4);
    await turn();
    line().hears({ type: "ack", ref: 3, offset: 3, at: 0 });
    expect(await taken).toEqual({ ref: 3, offset: 3, at: 0 });
    await expect(client.publish("x".repeat(100))).rejects.toMatchObject({ code: "outbox_full", retryable: false });
  });

  it("C13: the publication of a publish has the ref of its ack, and those of others have none", async () => {
    const { client, line } = await joined();
    const refs: (number | undefined)[] = [];
    client.on("publication", ({ ref }) => refs.push(ref));
    const acked = client.publish("mine");
    await turn();
    line().hears(
      { type: "ack", ref: 1, offset: 1, at: 0 },
      { type: "pub", from: 1, upto: 2, items: [publication(1, "mine"), publication(2)] },
    );
    expect([(await acked).ref, refs]).toEqual([1, [1, undefined]]);
  });

  it("C13: a publication that a resume replays is recognised as well, and one of another holder is not", async () => {
    const { client, line } = await joined();
    const refs: (number | undefined)[] = [];
    client.on("publication", ({ ref }) => refs.push(ref));
    void client.publish("mine");
    await turn();
    line().cut();
    client.connect();
    await turn();
    line().welcome({ resumed: true, ref: 9 });
    line().hears(
      { type: "ack", ref: 1, offset: 1, at: 0 },
      { type: "ack", ref: 9, offset: 2, at: 0 },
      { type: "pub", from: 1, upto: 2, items: [publication(1, "mine"), publication(2)] },
    );
    expect(refs).toEqual([1, undefined]);
  });

  it("a publish that the room refuses rejects with the room's error", async () => {
    const { client, line } = await joined();
    const refused = client.publish("rude");
    await turn();
    const words = { code: "rejected", message: "no such words here", retryable: false };
    line().hears({ type: "error", ref: 1, ...words });
    await expect(refused).rejects.toMatchObject({ name: "RoomError", ...words });
  });

  it("a publish lost with its connection is sent again under its ref, unless the session is new", async () => {
    const { client, line } = await joined();
    const sent = codeOf(client.publish("sent"));
    await turn();
    line().cut();
    const late = codeOf(client.publish("late"));
    await pass(10);
    line().welcome({ resumed: true });
    await turn();
    expect(line().of("publish")).toMatchObject([
      { ref: 1, data: "sent" },
      { ref: 2, data: "late" },
    ]);
    line().cut();
    const never = client.publish("never sent");
    await pass(20);
    line().welcome({ session: "another" }, snapshot);
    await turn();
    expect(await Promise.all([sent, late])).toEqual(["outcome_unknown", "outcome_unknown"]);
    expect(line().of("publish")).toMatchObject([{ ref: 1, data: "never sent" }]);
    line().hears({ type: "ack", ref: 1, offset: 9, at: 0 });
    expect(await never).toEqual({ ref: 1, offset: 9, at: 0 });
  });
});

describe("a call", () => {
  it("calls get their replies and refusals in whatever order they come", async () => {
    const { client, line } = await joined();
    const calls = [client.call("add", [1]), client.call("add", [2]), client.call("none")];
    await turn();
    line().hears(
      { type: "reply", ref: 2, data: 2 },
      { type: "reply", ref: 3, error: { code: "unknown_method", message: "", retryable: false } },
      { type: "reply", ref: 1 },
    );
    await expect(calls[2]).rejects.toMatchObject({ code: "unknown_method" });
    expect(await Promise.all(calls.slice(0, 2))).toEqual([null, 2]);
  });

  it("a call needs a connection, and one lost with its connection is never sent twice", async () => {
    const { client, line, all } = dialled();
    await expect(client.call("add")).rejects.toMatchObject({ code: "not_connected", retryable: true });
    await turn();
    line().welcome({}, snapshot);
    const crossing = codeOf(client.call("add"));
    await turn();
    line().cut();
    expect(await crossing).toBe("outcome_unknown");
    await pass(10);
    line().welcome({ resumed: true });
    await pass(1_000);
    expect(all.map((one) => one.of("call").length)).toEqual([1, 0]);
  });

  it("an error for a call rejects the call and no publish", async () => {
    const { client, line } = await joined();
    const publishes = [client.publish("one"), client.publish("two")];
    const call = client.call("fail");
    await turn();
    line().hears({ type: "error", ref: 3, code: "hook_failed", message: "", retryable: true });
    await expect(call).rejects.toMatchObject({ code: "hook_failed" });
    line().hears({ type: "ack", ref: 1, offset: 1, at: 0 }, { type: "ack", ref: 2, offset: 2, at: 0 });
    expect(await Promise.all(publishes)).toMatchObject([{ offset: 1 }, { offset: 2 }]);
  });
});

it("signals go out with their scope, and with none where none was asked for", async () => {
  const { client, line } = await joined();
  client.signal(1);
  client.signal(2, { to: ["bob"], scope: "near" });
  client.signal(3, { scope: undefined });
  await turn();
  expect(line().frames).toEqual([
    { type: "signal", data: 1 },
    { type: "signal", to: ["bob"], scope: "near", data: 2 },
    { type: "signal", data: 3 },
  ]);
});

it("frames that are too large or too deep are refused unsent, and nothing else with them", async () => {
  const { client, line, log } = await joined();
  const refused = [client.publish("x".repeat(2_048)), client.publish(nested(31))];
  refused.push(client.call("x", "x".repeat(3_000)) as never, client.call("x", nested(40)) as never);
  expect(await Promise.all(refused.map(codeOf))).toEqual(["too_large", "bad_data", "too_large", "bad_data"]);
  expect(() => client.signal("x".repeat(3_000))).toThrow(expect.objectContaining({ code: "too_large" }));
  expect(() => client.setPresence(nested(40))).toThrow(expect.objectContaining({ code: "bad_data" }));
  expect(() => client.setPresence("x".repeat(2_047))).toThrow(expect.objectContaining({ code: "too_large" }));
  expect(log).toEqual([]);
  void client.publish("fits");
  await turn();
  expect(line().frames).toMatchObject([{ type: "publish", data: "fits" }]);
});

it("frames of unknown types are ignored, and the other frames of their message are not", async () => {
  const { line, items } = await joined();
  line().hears(
    { type: "hologram" },
    { type: "constructor" },
    { type: "hasOwnProperty" },
    { type: "__proto__" },
    pub(1, 1),
  );
  expect(items).toEqual([1]);
});

it("a gap is filled by one sync, and items that come twice are handed over once", async () => {
  const { line, items } = await joined();
  line().hears(pub(3, 3));
  line().hears(pub(4, 5));
  await turn();
  expect(line().of("sync")).toEqual([{ type: "sync", offset: 0 }]);
  line().hears(pub(1, 4));
  line().hears(pub(2, 5));
  expect(items).toEqual([1, 2, 3, 4, 5]);
});

it("a sync that the room refused is sent again for a later message, but not before the room takes frames again", async () => {
  const { line, log } = await joined();
  line().hears(pub(3, 3));
  line().hears({
    type: "error",
    frame: "sync",
    code: "rate_limited",
    message: "no",
    retryable: true,
    retryAfter: 2_000,
  });
  expect(log).toEqual(["error rate_limited no"]);
  for (let offset = 4; offset < 20; offset++) {
    await pass(100);
    line().hears(pub(offset, offset));
  }
  expect(line().of("sync").length).toBe(1);
  await pass(1_000);
  line().hears(pub(20, 20));
  line().hears(pub(21, 21));
  await turn();
  expect(line().of("sync")).toEqual([
    { type: "sync", offset: 0 },
    { type: "sync", offset: 0 },
  ]);
});
