/** How long a program waits for a publish or a call: what was not sent by then never is. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { dialled, joined, snapshot } from "../support/dialled.ts";
import { LIMITS } from "../support/line.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

/** How long programs wait here, in virtual ms. */
const SOON = 1_000;

/** The code that a promise ends with. */
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "settled",
    (error: { code: string; retryable: boolean }) => `${error.code} ${error.retryable}`,
  );

describe("a publish", () => {
  it("C13: one that was not sent in time is taken out, and the others go", async () => {
    const { client, line } = dialled();
    const late = codeOf(client.publish("late", { timeout: SOON }));
    void client.publish("patient", { timeout: 2 * SOON });
    await pass(SOON - 1);
    expect(client.pending).toBe(2);
    await pass(1);
    expect([await late, client.pending]).toEqual(["timeout true", 1]);
    line().welcome({}, snapshot);
    await pass(0);
    expect(line().of("publish")).toMatchObject([{ ref: 1, data: "patient" }]);
    line().hears({ type: "ack", ref: 1, offset: 1, at: 0 });
    await pass(0);
    expect(client.pending).toBe(0);
  });

  it("C13: one that is under way has an unknown outcome, and takes effect once", async () => {
    const { client, line } = await joined();
    const sent = codeOf(client.publish("sent", { timeout: SOON }));
    await pass(SOON);
    expect([await sent, client.pending]).toEqual(["outcome_unknown false", 1]);
    line().cut();
    await pass(10);
    line().welcome({ resumed: true });
    await pass(0);
    // Under its ref, which the room may know.
    expect(line().of("publish")).toMatchObject([{ ref: 1, data: "sent" }]);
    line().hears({ type: "ack", ref: 1, offset: 1, at: 0 });
    await pass(0);
    expect(client.pending).toBe(0);
  });

  it("C13: one that was under way when the line broke is not taken out: the room may have it", async () => {
    const { client, line } = await joined();
    const sent = codeOf(client.publish("sent", { timeout: SOON }));
    await pass(0);
    line().cut();
    await pass(SOON);
    expect([await sent, client.pending]).toEqual(["outcome_unknown false", 1]);
    client.close();
  });

  it("C13: one that the room has refused for now is taken out, and what follows it goes", async () => {
    const { client, line } = await joined();
    const controller = new AbortController();
    const refused = codeOf(client.publish("refused", { signal: controller.signal }));
    client.publish("next").catch(() => undefined);
    await pass(0);
    const error = { type: "error", code: "rate_limited", message: "", retryable: true, retryAfter: 500 };
    line().hears({ ...error, ref: 1 }, { ...error, ref: 2 });
    controller.abort();
    await pass(SOON);
    expect([await refused, client.pending]).toEqual(["aborted false", 1]);
    expect(line().of("publish").slice(2)).toEqual([{ type: "publish", data: "next", ref: 2 }]);
    client.close();
  });

  it("C13: an AbortSignal ends the wait: before it, while it waits, and while it is under way", async () => {
    const { client, line } = await joined();
    const controllers = [1, 2, 3].map(() => new AbortController());
    const [before, waits, sent] = controllers;
    before?.abort();
    const ends = [codeOf(client.publish("never", { signal: AbortSignal.abort() }))];
    ends.push(codeOf(client.publish("sent", sent && { signal: sent.signal })));
    for (let n = 0; n < 100; n++) client.publish(n).catch(() => undefined);
    ends.push(codeOf(client.publish("waits", waits && { signal: waits.signal })));
    await pass(0);
    for (const { abort } of [sent, waits].flatMap((one) => (one ? [{ abort: () => one.abort() }] : []))) abort();
    expect(await Promise.all(ends)).toEqual(["aborted false", "outcome_unknown false", "aborted false"]);
    line().hears(
      ...line()
        .of("publish")
        .map(({ ref }) => ({ type: "ack", ref, offset: ref, at: 0 })),
    );
    await pass(5_000);
    const sentData = line()
      .of("publish")
      .map(({ data }) => data);
    expect(sentData).toEqual(["sent", ...Array.from({ length: 100 }, (_, n) => n)]);
    client.close();
  });

  it("a publish that is refused because the outbox is full takes no other out", async () => {
    const { client } = dialled({ outbox: { count: 1, bytes: 100 } });
    void codeOf(client.publish("kept"));
    const controller = new AbortController();
    const refused = codeOf(client.publish("one too many", { signal: controller.signal }));
    controller.abort();
    expect([await refused, client.pending]).toEqual(["outbox_full true", 1]);
    client.close();
  });

  it("a publish that has settled is not given up, and leaves no timer and no listener", async () => {
    const { client, line } = await joined();
    const timers = vi.getTimerCount();
    const listeners = new Set<() => void>();
    const signal = {
      aborted: false,
      addEventListener: (_: "abort", listener: () => void) => void listeners.add(listener),
      removeEventListener: (_: "abort", listener: () => void) => void listeners.delete(listener),
    };
    const settled = client.publish("quick", { timeout: 60 * SOON, signal });
    await pass(0);
    expect(listeners.size).toBe(1);
    line().hears({ type: "ack", ref: 1, offset: 7, at: 8 });
    expect(await settled).toEqual({ ref: 1, offset: 7, at: 8 });
    expect([listeners.size, vi.getTimerCount()]).toEqual([0, timers]);
  });

  it("a timeout longer than a timer can be is none", async () => {
    const { client, line } = dialled();
    const settled = client.publish("patient", { timeout: Infinity });
    await pass(10_000);
    line().welcome({}, snapshot);
    await pass(0);
    line().hears({ type: "ack", ref: 1, offset: 1, at: 0 });
    expect(await settled).toMatchObject({ offset: 1 });
  });
});

describe("a call", () => {
  it("C13: one that waits is taken out, and one that is under way has an unknown outcome", async () => {
    const { client, line } = await joined();
    const sent = codeOf(client.call("echo", "sent", { timeout: SOON }));
    for (let n = 0; n < LIMITS.burst; n++) client.call("echo", n).catch(() => undefined);
    const waits = codeOf(client.call("echo", "waits", { timeout: SOON }));
    const controller = new AbortController();
    const aborted = codeOf(client.call("echo", "aborted", { signal: controller.signal }));
    controller.abort();
    await pass(SOON);
    expect(await Promise.all([sent, waits, aborted])).toEqual([
      "outcome_unknown true",
      "timeout true",
      "aborted false",
    ]);
    // Its late reply changes nothing, and lets others go.
    const before = line().of("call").length;
    line().hears({ type: "reply", ref: 1, data: "late" });
    await pass(SOON);
    const calls = line().of("call");
    expect(calls.length).toBeGreaterThan(before);
    expect(calls.map(({ data }) => data)).not.toContain("waits");
    client.close();
  });
});
