/** The client's connection in virtual time: tokens, dead lines, waits, codes, and what it leaves behind. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { memoryStore, type RoomClient } from "../../src/client/client.ts";
import type { Fetch } from "../../src/client/session/token.ts";
import { dialled, joined, pub, snapshot } from "../support/dialled.ts";
import type { Line } from "../support/line.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const pings = (line: Line) => line.sent.filter((text) => text === "ping").length;

describe("a token", () => {
  it("a token is got before each attempt, and travels as a subprotocol", async () => {
    let asked = 0;
    const { all, line } = await joined({ token: () => `token ${++asked}` });
    line().cut();
    await pass(10);
    expect(all.map(({ protocols }) => protocols)).toEqual([
      ["edgerooms.v1", "bearer.token 1"],
      ["edgerooms.v1", "bearer.token 2"],
    ]);
  });

  it("a token is replaced a minute ahead of its end, again and again, on the same connection", async () => {
    const posts: string[] = [];
    const fetch: Fetch = (url, { headers, body }) => {
      posts.push(`${url} ${headers["authorization"]} ${body}`);
      return Promise.resolve({ ok: true, status: 200, json: async () => ({ expires: Date.now() + 600_000 }) });
    };
    let asked = 0;
    const { all, log } = await joined({ token: () => `t${++asked}`, fetch });
    // Heartbeats go on.
    const heartbeat = setInterval(() => all[0]?.hears({ type: "heartbeat", offset: 0, next: 30_000 }), 30_000);
    await pass(3_539_999);
    expect(posts).toEqual([]);
    await pass(1);
    const post = (n: number) => `http://edge.test/rooms/relay/one/session Bearer t${n} {"session":"s"}`;
    expect(posts).toEqual([post(2)]);
    await pass(540_000);
    expect(posts).toEqual([post(2), post(3)]);
    expect([all.length, log]).toEqual([1, []]);
    clearInterval(heartbeat);
  });

  it("a token that cannot be replaced is an error, and is tried again at half of what is left", async () => {
    const start = Date.now();
    let asked = 0;
    const tries: number[] = [];
    const token = () => {
      if (++asked === 1) return "t";
      tries.push(Date.now() - start);
      throw new Error("no network");
    };
    const { client, log, line, all } = dialled({ token });
    await pass(0);
    line().welcome({ expires: start + 8_000 }, snapshot);
    log.length = 0;
    await pass(7_900);
    expect(tries).toEqual([4_000, 6_000, 7_000]);
    expect(log).toEqual(Array(3).fill("error token_expired Error: no network"));
    expect([client.state.name, all.length]).toEqual(["open", 1]);
  });

  it("a new token that the room refuses is an error event", async () => {
    const fetch: Fetch = () => Promise.resolve({ ok: false, status: 403, json: async () => ({}) });
    const { log, line } = dialled({ fetch });
    await pass(0);
    line().welcome({ expires: Date.now() + 3_000 }, snapshot);
    await pass(1_500);
    expect(log.at(-1)).toBe("error token_expired Error: the room refused the new token: 403");
  });

  it("a token that runs out brings a new one at once, and the session goes on", async () => {
    const { line, log, all } = await joined();
    line().hears(pub(1, 1), { type: "bye", code: 4200, reason: "token_expired" });
    await pass(0);
    expect([log, all.length]).toEqual([["connecting"], 2]);
    expect(line().resume).toBe("session=s&epoch=e&offset=1");
  });

  it("a fixed token that runs out closes the client", async () => {
    const { line, log, all } = await joined({ token: "fixed" });
    line().hears({ type: "bye", code: 4200, reason: "token_expired" });
    await pass(1_000_000);
    expect([log, all.length]).toEqual([["closed token_expired"], 1]);
  });

  it("a token function that fails is called again later", async () => {
    let asked = 0;
    const token = () => (++asked < 3 ? Promise.reject(new Error("try later")) : Promise.resolve("t"));
    const { log, all } = dialled({ token });
    await pass(30);
    const why = "no token: Error: try later";
    expect(log).toEqual(["connecting", `reconnecting 10 ${why}`, "connecting", `reconnecting 20 ${why}`, "connecting"]);
    expect(all).toHaveLength(1);
  });

  it("a token function may take 30 s, and its late answer counts for nothing", async () => {
    const answers: ((token: string) => void)[] = [];
    const { log, all } = dialled({ token: () => new Promise((resolve) => answers.push(resolve)) });
    await pass(29_999);
    expect(log).toEqual(["connecting"]);
    await pass(1);
    expect(log.at(-1)).toBe("reconnecting 10 no token: too late");
    await pass(10);
    for (const answer of answers) answer("t");
    await pass(0);
    expect([answers.length, all.length]).toEqual([2, 1]);
  });

  it("a token that comes after close() opens no socket", async () => {
    const answers: ((token: string) => void)[] = [];
    const { client, log, all } = dialled({ token: () => new Promise((resolve) => answers.push(resolve)) });
    client.close();
    client.connect();
    client.close();
    answers[0]?.("t");
    await pass(0);
    expect(all).toEqual([]);
    client.connect();
    for (const answer of answers) answer("t");
    await pass(0);
    expect([answers.length, all.length]).toEqual([3, 1]);
    expect(log).toEqual(["connecting", "closed closed", "connecting", "closed closed", "connecting"]);
  });

  it("a renewal that ends after close() starts no timer", async () => {
    let answer: (response: Awaited<ReturnType<Fetch>>) => void = () => undefined;
    const fetch: Fetch = () => new Promise((resolve) => (answer = resolve));
    const { client, line } = dialled({ fetch });
    await pass(0);
    line().welcome({ expires: Date.now() + 2_000 }, snapshot);
    await pass(1_000);
    client.close();
    answer({ ok: true, status: 200, json: async () => ({ expires: Date.now() + 2_000 }) });
    await pass(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("a line", () => {
  it("a silent line is asked and given up, and the session resumes on the next", async () => {
    const { client, line, log, all } = await joined();
    line().hears(pub(1, 2));
    await pass(39_999);
    const before = pings(line());
    await pass(1);
    expect([pings(line()) - before, client.state.name]).toEqual([1, "open"]);
    await pass(10_000);
    expect(log).toEqual(["reconnecting 10 the line is dead"]);
    await pass(10);
    expect(all).toHaveLength(2);
    expect(line().url.searchParams.get("offset")).toBe("2");
    line().welcome({ resumed: true });
    expect(log.at(-1)).toBe("resumed at 2");
  });

  it("a line that dies under a publish is found in 15 s; the next takes it under the same ref", async () => {
    const { client, line } = await joined();
    await pass(3_000);
    const settled = client.publish("urgent");
    await pass(14_999);
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

  it("a line that dies under a call is found in 15 s", async () => {
    const { client } = await joined();
    const reply = client.call("add").catch((error: { code: string }) => error.code);
    await pass(15_000);
    expect(await reply).toBe("outcome_unknown");
  });

  it("a line is kept while a slow room answers pings, however late the ack", async () => {
    const { client, line, all } = await joined({ token: "t" });
    const settled = client.publish("slow");
    for (let i = 0; i < 12; i++) {
      await pass(5_000);
      line().says("message", { data: "pong" });
    }
    line().hears({ type: "ack", ref: 1, offset: 1, at: 0 });
    expect(await settled).toEqual({ ref: 1, offset: 1, at: 0 });
    expect(all).toHaveLength(1);
  });

  it("a line that has all its answers is left alone until the heartbeat is late", async () => {
    const { client, line } = await joined();
    void client.publish(1);
    void client.call("add");
    await pass(0);
    line().hears({ type: "ack", ref: 1, offset: 1, at: 0 }, { type: "reply", ref: 2 });
    const before = pings(line());
    await pass(39_999);
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
  vi.stubGlobal("window", target);
  const { client } = dialled();
  for (let i = 0; i < 2; i++) {
    client.connect();
    expect(listeners).toEqual(["online", "visibilitychange"]);
    client.close();
    expect(listeners).toEqual([]);
  }
});

describe("the room's last word", () => {
  it.each([
    [4400, "kicked"],
    [1000, "done"],
  ])("the final code %i closes the client and rejects what waits", async (code, reason) => {
    const { client, line, log, all } = await joined();
    const [sent, message] = [client.publish(1), "no more"];
    await pass(0);
    line().hears({ type: "bye", code, reason, message });
    await expect(sent).rejects.toMatchObject({ code: "outcome_unknown", retryable: false });
    await expect(client.publish(2)).rejects.toMatchObject({ code: "closed", retryable: false });
    await pass(1_000_000);
    expect([log, client.pending, all.length]).toEqual([[`closed ${reason}: no more`], 0, 1]);
    client.close();
    expect(client.state).toEqual({ name: "closed", reason: `${reason}: no more` });
    client.connect();
    await pass(0);
    expect(all).toHaveLength(2);
  });

  it("each attempt has the name of its client and the next number, and asks for credit", async () => {
    const first = await joined();
    const attempts = [first.line().url.searchParams.get("attempt")];
    first.line().cut();
    await pass(2_000);
    attempts.push(first.line().url.searchParams.get("attempt"));
    const [name = "", nth] = attempts[0]?.split(".") ?? [];
    expect(attempts).toEqual([`${name}.1`, `${name}.2`]);
    expect(name).toMatch(/^[\w-]{1,32}$/);
    expect(nth).toBe("1");
    expect(first.line().url.searchParams.get("credit")).toBe("1");
  });

  it("a replaced client takes a new session and leaves the stored one alone", async () => {
    const storage = memoryStore();
    const { line, log } = await joined({ storage });
    line().hears({ type: "bye", code: 4402, reason: "replaced" });
    await pass(10);
    expect(log).toEqual(["reconnecting 10 replaced", "connecting"]);
    expect(line().resume).toBe("");
    expect(storage.get("ws://edge.test/rooms/relay/one")).toContain('"session":"s"');
  });

  it("a draining room is left alone as long as it asks, with jitter on top", async () => {
    const { line, log } = await joined();
    line().hears({ type: "goaway", within: 20_000 });
    line().hears({ type: "bye", code: 4102, reason: "draining", retryAfter: 20_000 });
    expect(log).toEqual(["goaway 20000", "reconnecting 20010 draining"]);
  });
});

describe("close()", () => {
  const moments: [string, (client: RoomClient, line: () => Line) => Promise<unknown>][] = [
    ["before the token", async () => undefined],
    ["before the welcome", async () => pass(0)],
    ["in the room", async (_, line) => (await pass(0), line().welcome())],
    [
      "with everything under way",
      async (client, line) => {
        await pass(0);
        line().welcome();
        client.call("none").catch(() => undefined);
        for (let i = 0; i < 200; i++) client.publish(i).catch(() => undefined);
        await pass(100);
      },
    ],
    ["while reconnecting", async (_, line) => (await pass(0), line().cut())],
    ["while asked for a sign of life", async (_, line) => (await pass(0), line().welcome(), pass(45_000))],
  ];
  it.each(moments)("close() %s leaves no timer and no socket", async (_, moment) => {
    const { client, line, all } = dialled();
    await moment(client, line);
    client.close();
    expect(client.state).toEqual({ name: "closed", reason: "closed" });
    const dials = all.length;
    await pass(0);
    expect(vi.getTimerCount()).toBe(0);
    expect([all.length, all.every(({ readyState }) => readyState > 1)]).toEqual([dials, true]);
  });

  it("close() keeps the session for connect(), leave() ends and forgets it", async () => {
    const storage = memoryStore();
    const { client, line } = await joined({ storage });
    client.close();
    client.connect();
    await pass(0);
    expect(line().url.searchParams.get("session")).toBe("s");
    line().welcome({ resumed: true });
    const farewell = client.publish("farewell").catch((error: { code: string }) => error.code);
    const { frames } = line();
    client.leave();
    expect(
      line()
        .frames.slice(frames.length)
        .map(({ type }) => type),
    ).toEqual(["publish", "leave"]);
    expect(await farewell).toBe("outcome_unknown");
    expect([client.position, storage]).toEqual([undefined, new Map()]);
    client.connect();
    await pass(0);
    expect(line().resume).toBe("");
  });
});
