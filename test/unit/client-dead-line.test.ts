/** C2: how soon the client notices that its line is dead, and what a ping keeps open: in virtual time, as a table. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { joined, type Dialled } from "../support/dialled.ts";
import type { Line } from "../support/line.ts";

/** A global object with events, as browsers and workers have it. */
let platform: EventTarget;

beforeEach(() => {
  vi.useFakeTimers();
  platform = new EventTarget();
  vi.stubGlobal("addEventListener", platform.addEventListener.bind(platform));
  vi.stubGlobal("removeEventListener", platform.removeEventListener.bind(platform));
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
/** How long a pong takes on a line that lives. */
const TRIP_MS = 50;

/** What is between client and room. */
interface Between {
  isDead: boolean;
  /** When something last came through, either way. */
  usedAt: number;
}

/** A network that carries pings and pongs until it dies. */
function through(line: Line): Between {
  const between = { isDead: false, usedAt: performance.now() };
  const send = line.send.bind(line);
  line.send = (data) => {
    send(data);
    if (between.isDead) return;
    between.usedAt = performance.now();
    if (data !== "ping") return;
    setTimeout(() => {
      if (between.isDead) return;
      between.usedAt = performance.now();
      line.pongs();
    }, TRIP_MS);
  };
  return between;
}

/** A client in a quiet room whose heartbeats are four minutes apart, on a line that lives. */
async function quiet(): Promise<Dialled & { between: Between }> {
  const made = await joined();
  return { ...made, between: through(made.line()) };
}

/** How long it takes the client from here on to give its line up. */
async function noticedAfter({ client }: Dialled, mostMs: number): Promise<number> {
  const start = performance.now();
  while (client.state.name === "open" && performance.now() - start < mostMs) await pass(10);
  return performance.now() - start;
}

describe("C2: a dead line is noticed", () => {
  const table: [what: string, boundMs: number, happens: (made: Dialled) => unknown][] = [
    ["half-open, and nothing is due", 35_000, () => undefined],
    ["half-open under a publish", 10_000, ({ client }) => void client.publish("urgent").catch(() => undefined)],
    ["half-open under a call", 10_000, ({ client }) => void client.call("add").catch(() => undefined)],
    ["after an hour of sleep, in which timers stood still", 10_000, () => vi.setSystemTime(Date.now() + 3_600_000)],
    ["when the network is gone", 10_000, () => platform.dispatchEvent(new Event("offline"))],
    ["when the network is another one", 10_000, () => platform.dispatchEvent(new Event("online"))],
    ["when the program asks", 10_000, ({ client }) => void client.check()],
  ];

  // The line may die at any moment between two pings.
  const moments = [0, 1, 4_999, 12_345, 24_900, 24_999, 25_000, 25_049, 25_051, 30_000];
  it.for(table)("%s: within %d ms", async ([, bound, happens], { annotate }) => {
    const times: number[] = [];
    for (const moment of moments) {
      const made = await quiet();
      await pass(moment);
      made.between.isDead = true;
      happens(made);
      times.push(await noticedAfter(made, 300_000));
      expect(made.client.state).toMatchObject({ reason: "the line is dead" });
      made.client.close();
    }
    expect(Math.max(...times)).toBeLessThanOrEqual(bound);
    await annotate(`noticed after ${Math.min(...times)} to ${Math.max(...times)} ms of virtual time`);
  });
});

it("C2: a line through a proxy that ends what is idle for 60 s lives on in a quiet room", async () => {
  const made = await quiet();
  let longest = 0;
  for (let ms = 0; ms < 3_600_000; ms += 1_000) {
    await pass(1_000);
    longest = Math.max(longest, performance.now() - made.between.usedAt);
  }
  expect([made.client.state.name, made.all.length]).toEqual(["open", 1]);
  expect(longest).toBeLessThan(30_000);
});

it("C2: pingInterval is the program's, for proxies that have less patience", async () => {
  const made = await joined({ pingInterval: 5_000 });
  const between = through(made.line());
  let pings = 0;
  made.client.on("latency", () => pings++);
  await pass(60_000 + TRIP_MS);
  expect(pings).toBe(12);
  between.isDead = true;
  expect(await noticedAfter(made, 300_000)).toBeLessThan(15_000);
});

it("C9: offline costs a line nothing that lives all the same", async () => {
  const made = await quiet();
  platform.dispatchEvent(new Event("offline"));
  await pass(20_000);
  expect([made.client.state.name, made.all.length, await alive(made)]).toEqual(["open", 1, true]);
});

/** What `check()` says. */
async function alive({ client }: Dialled): Promise<boolean> {
  const asked = client.check();
  await pass(5_000);
  return asked;
}

describe("C9: online", () => {
  const online = () => platform.dispatchEvent(new Event("online"));

  it("while connecting begins anew at once, with a token of its own", async () => {
    let asked = 0;
    const made = await joined({ token: () => `t${++asked}` });
    made.line().cut();
    await pass(10);
    expect(made.client.state.name).toBe("connecting");
    online();
    await pass(0);
    expect([made.all.length, made.all[1]?.closed, asked]).toEqual([3, 1, 3]);
    made.line().welcome({ resumed: true });
    expect(made.client.state.name).toBe("open");
  });

  it("while reconnecting dials at once, unless the room asked to wait", async () => {
    const made = await joined({ random: () => 1 });
    made.line().cut();
    online();
    await pass(0);
    expect(made.all).toHaveLength(2);
    made.line().hears({ type: "bye", code: 4102, reason: "draining", retryAfter: 20_000 });
    online();
    await pass(19_000);
    expect(made.all).toHaveLength(2);
  });
});

describe("C13: check()", () => {
  it("is false without a line, and ends a wait", async () => {
    const made = await joined({ random: () => 1 });
    made.line().cut();
    expect([await made.client.check(), made.client.state.name]).toEqual([false, "connecting"]);
    expect([await made.client.check(), made.client.state.name]).toEqual([false, "connecting"]);
    made.client.close();
    expect([await made.client.check(), made.client.state.name]).toEqual([false, "closed"]);
  });

  it("is false on a dead line, which is then replaced", async () => {
    const made = await quiet();
    made.between.isDead = true;
    expect(await alive(made)).toBe(false);
    expect(made.all).toHaveLength(2);
  });

  it("is false when the client is closed before there is an answer", async () => {
    const { client } = await quiet();
    const asked = client.check();
    client.close();
    expect(await asked).toBe(false);
  });
});

describe("C13: lost and restored", () => {
  async function watched(options = {}) {
    const made = await joined(options);
    const told: unknown[] = [];
    made.client.on("lost", ({ since }) => told.push(["lost", since]));
    made.client.on("restored", ({ since, lasted }) => told.push(["restored", since, lasted]));
    return { ...made, told };
  }

  it("tell of a line that is gone for more than 3 s, since when, and how long", async () => {
    const { line, told } = await watched({ random: () => 0 });
    const since = Date.now();
    line().cut();
    await pass(2_999);
    expect(told).toEqual([]);
    await pass(1);
    expect(told).toEqual([["lost", since]]);
    await pass(4_000);
    line().welcome({ resumed: true });
    expect(told.slice(1)).toEqual([["restored", since, 7_000]]);
  });

  it("say nothing of a blink, of a first connect, or of a client that is closed", async () => {
    const { client, line, told } = await watched({ random: () => 0 });
    for (let i = 0; i < 5; i++) {
      line().cut();
      await pass(2_500);
      line().welcome({ resumed: true });
    }
    line().cut();
    client.close();
    client.connect();
    await pass(10_000);
    line().welcome({ resumed: true });
    expect(told).toEqual([]);
  });

  it("come after the seconds that the program says", async () => {
    const { line, told } = await watched({ random: () => 1, lostAfter: 500 });
    line().cut();
    await pass(500);
    expect(told).toHaveLength(1);
  });
});

describe("T8: a line that is cut 4 s after each open", () => {
  it("comes back within 5 s each time, for an hour, and dials no more than once in 4 s", async () => {
    const { all, client, line } = await joined({ random: () => 0.5 });
    const out: number[] = [];
    const start = performance.now();
    while (performance.now() - start < 3_600_000) {
      await pass(4_000);
      line().cut();
      const at = performance.now();
      const before = all.length;
      while (all.length === before) await pass(10);
      out.push(performance.now() - at);
      line().welcome({ resumed: true });
    }
    expect(Math.max(...out)).toBeLessThanOrEqual(5_000);
    expect(all.length).toBeLessThan(3_600 / 4);
    expect(client.state).toMatchObject({ failures: 0, suspensions: 0 });
  });
});
