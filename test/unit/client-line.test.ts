/** The client's line in virtual time: how soon a dead one is noticed, and how it comes back. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { dialled, joined, pub } from "../support/dialled.ts";
import type { Line } from "../support/line.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const pings = (line: Line) => line.sent.filter((text) => text === "ping").length;

describe("a line", () => {
  it("a silent line is asked and given up, and the session resumes on the next", async () => {
    const { client, line, log, all } = await joined();
    line().hears(pub(1, 2));
    await pass(24_999);
    const before = pings(line());
    await pass(1);
    expect([pings(line()) - before, client.state.name]).toEqual([1, "open"]);
    await pass(9_000);
    expect(log).toEqual(["reconnecting 10 the line is dead"]);
    await pass(10);
    expect(all).toHaveLength(2);
    expect(line().url.searchParams.get("offset")).toBe("2");
    line().welcome({ resumed: true });
    expect(log.at(-1)).toBe("resumed at 2");
  });

  it("a line that dies under a publish is found in 10 s; the next takes it under the same ref", async () => {
    const { client, line } = await joined();
    await pass(3_000);
    const settled = client.publish("urgent");
    await pass(9_499);
    expect(client.state.name).toBe("open");
    const { frames } = line();
    await pass(1);
    expect(client.state).toMatchObject({ name: "reconnecting", reason: "the line is dead" });
    await pass(10);
    line().welcome({ resumed: true });
    await pass(0);
    expect(line().of("publish")).toEqual(frames.filter(({ type }) => type === "publish"));
    line().hears({ type: "ack", ref: 1, offset: 1, at: 7 });
    expect(await settled).toEqual({ ref: 1, offset: 1, at: 7 });
  });

  it("a line that dies under a call is found in 10 s", async () => {
    const { client } = await joined();
    const reply = client.call("add").catch((error: { code: string }) => error.code);
    await pass(10_000);
    expect(await reply).toBe("outcome_unknown");
  });

  it("a line is kept while a slow room answers pings, however late the ack", async () => {
    const { client, line, all } = await joined({ token: "t" });
    const settled = client.publish("slow");
    for (let i = 0; i < 12; i++) {
      await pass(5_000);
      line().pongs();
    }
    line().hears({ type: "ack", ref: 1, offset: 1, at: 0 });
    expect(await settled).toEqual({ ref: 1, offset: 1, at: 0 });
    expect(all).toHaveLength(1);
  });

  it("a line that has all its answers is left alone until the next ping", async () => {
    const { client, line } = await joined();
    void client.publish(1);
    void client.call("add");
    await pass(0);
    line().hears({ type: "ack", ref: 1, offset: 1, at: 0 }, { type: "reply", ref: 2 });
    const before = pings(line());
    await pass(24_999);
    expect(pings(line())).toBe(before);
  });

  it("after 10 s in the room the next loss is the first again", async () => {
    const { line, log } = await joined();
    line().cut();
    await pass(10);
    line().welcome({ resumed: true });
    await pass(9_999);
    line().cut();
    await pass(20);
    line().welcome({ resumed: true });
    await pass(10_000);
    line().cut();
    const waits = log.filter((entry) => entry.startsWith("reconnecting")).map((entry) => entry.split(" ")[1]);
    expect(waits).toEqual(["10", "20", "10"]);
  });

  it("after five failed tries the client is suspended, until connect()", async () => {
    let isUp = false;
    const { client, log, line } = dialled({ random: () => 0 }, (opened) => {
      if (!isUp) queueMicrotask(() => opened.says("error"));
    });
    await pass(1_000);
    expect(client.state).toEqual({ name: "suspended", suspensions: 1, delay: 30_000, reason: "the connection failed" });
    expect(log.filter((entry) => entry.startsWith("reconnecting"))).toHaveLength(5);
    isUp = true;
    client.connect();
    await pass(0);
    line().welcome();
    expect(client.state.name).toBe("open");
  });
});

describe("a page that becomes visible", () => {
  const visible = () => {
    const page = Object.assign(new EventTarget(), { visibilityState: "visible" });
    vi.stubGlobal("document", page);
    return () => page.dispatchEvent(new Event("visibilitychange"));
  };

  it("T8: a wait longer than any timer of the platform is not none", async () => {
    const { all, line, client } = await joined({ lostAfter: Infinity });
    const lost: number[] = [];
    client.on("lost", ({ since }) => lost.push(since));
    line().hears({ type: "bye", code: 4102, reason: "draining", retryAfter: 3_000_000_000 });
    await pass(3_600_000);
    expect([all.length, lost]).toEqual([1, []]);
    client.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("a page that becomes visible asks an open line and gives the answer 3 s", async () => {
    const look = visible();
    const { client } = await joined();
    look();
    await pass(2_999);
    expect(client.state.name).toBe("open");
    await pass(1);
    expect(client.state.name).toBe("reconnecting");
  });

  it("a page that becomes visible ends a wait, unless the room asked for it", async () => {
    const look = visible();
    const { line, client } = await joined({ random: () => 1 });
    line().hears({ type: "bye", code: 4100, reason: "draining", retryAfter: 60_000 });
    await pass(59_999);
    look();
    expect(client.state).toMatchObject({ name: "reconnecting", delay: 61_000 });
    await pass(1);
    look();
    expect(client.state.name).toBe("connecting");
  });
});

it("a page is watched once, and no longer than until the client is closed", async () => {
  const listeners: string[] = [];
  const target = {
    visibilityState: "visible",
    addEventListener: (type: string) => listeners.push(type),
    removeEventListener: (type: string) => listeners.splice(listeners.indexOf(type), 1),
  };
  vi.stubGlobal("document", target);
  vi.stubGlobal("addEventListener", target.addEventListener);
  vi.stubGlobal("removeEventListener", target.removeEventListener);
  const { client } = dialled();
  for (let i = 0; i < 2; i++) {
    client.connect();
    expect(listeners).toEqual(["online", "offline", "visibilitychange"]);
    client.close();
    expect(listeners).toEqual([]);
  }
});
