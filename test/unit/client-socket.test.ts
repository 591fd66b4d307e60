/** One connection's clockwork, to the millisecond: the platform's socket, clock and timers are the test's. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Wire, type Socket } from "../../src/client/connection/socket.ts";

beforeEach(() => vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => vi.useRealTimers());

/** A platform's socket that a test plays the other end of. */
class Line implements Socket {
  static last: Line;
  readyState = 0;
  readonly sent: string[] = [];
  closed = 0;
  readonly #target = new Map<string, (event: object) => void>();

  constructor() {
    Line.last = this;
  }
  send(data: string): void {
    this.sent.push(data);
  }
  close(): void {
    this.closed++;
    this.readyState = 2;
  }
  addEventListener(type: string, listener: (event: object) => void): void {
    this.#target.set(type, listener);
  }
  says(type: string, event: object = {}): void {
    this.#target.get(type)?.(event);
  }
  hears(...frames: object[]): void {
    this.says("message", { data: JSON.stringify(frames) });
  }
}

const limits = { message: 2_048, batch: 4, rate: 50, burst: 100, refs: 256 };

function dial() {
  const log: string[] = [];
  const wire: Wire = new Wire(Line, "ws://edge.test", "t", {
    frames: (frames) => log.push(frames.map(({ type }) => type).join(" ")),
    lost: (next, reason, retryAfter) => log.push(`lost ${next} ${reason}${retryAfter ? ` ${retryAfter}` : ""}`),
    latency: (ms) => log.push(`latency ${ms}`),
  });
  return { wire, line: Line.last, log };
}

function open(next = 30_000) {
  const dialled = dial();
  dialled.line.readyState = 1;
  dialled.line.hears({ type: "welcome", heartbeat: { next }, limits });
  dialled.log.length = 0;
  dialled.line.sent.length = 0;
  return dialled;
}

it("gives up an upgrade that nobody answers after 15 s", () => {
  const { log } = dial();
  vi.advanceTimersByTime(14_999);
  expect(log).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(log).toEqual(["lost reconnect the line is dead"]);
});

it("notices a silent line 10 s after the heartbeat was due, also when something came shortly before", () => {
  const { line, log } = open(30_000);
  vi.advanceTimersByTime(29_000);
  line.hears({ type: "signal" });
  vi.advanceTimersByTime(10_999);
  expect(log).toEqual(["signal"]);
  vi.advanceTimersByTime(1);
  expect(log).toEqual(["signal", "lost reconnect the line is dead"]);
  expect(line.closed).toBe(1);
  expect(vi.getTimerCount()).toBe(0);
});

it("gives 10 s more for whatever it hears while the heartbeat is late", () => {
  const { line, log } = open(1_000);
  vi.advanceTimersByTime(10_000);
  line.says("message", { data: "pong" });
  log.length = 0;
  vi.advanceTimersByTime(9_999);
  expect(log).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(log).toHaveLength(1);
});

it("waits no longer than the last heartbeat said, although the one before said longer", () => {
  const { line, log } = open(240_000);
  vi.advanceTimersByTime(30_000);
  line.hears({ type: "heartbeat", offset: 0, next: 5_000 });
  vi.advanceTimersByTime(14_999);
  expect(log).toEqual(["heartbeat"]);
  vi.advanceTimersByTime(1);
  expect(log).toEqual(["heartbeat", "lost reconnect the line is dead"]);
});

it("answers heartbeats at once and tells how long the answer to a ping took", () => {
  const { line, log } = open();
  line.hears({ type: "heartbeat", offset: 0, next: 30_000 });
  expect(line.sent).toEqual(["ping"]);
  vi.advanceTimersByTime(42);
  line.says("message", { data: "pong" });
  line.says("message", { data: "pong" });
  expect(log).toEqual(["heartbeat", "latency 42"]);
});

it("gives a probe 3 s, and any answer counts", () => {
  const { wire, line, log } = open(240_000);
  wire.probe();
  vi.advanceTimersByTime(2_999);
  line.hears({ type: "signal" });
  vi.advanceTimersByTime(100_000);
  expect(log).toEqual(["signal"]);
  wire.probe();
  vi.advanceTimersByTime(3_000);
  expect(log).toEqual(["signal", "lost reconnect the line is dead"]);
});

it("sends what one turn says as one message, cut where the limits are", async () => {
  const { wire, line } = open();
  for (const n of [1, 2, 3]) wire.send(String(n));
  expect(line.sent).toEqual([]);
  await Promise.resolve();
  expect(line.sent).toEqual(["[1,2,3]"]);
  for (const n of [1, 2, 3, 4, 5]) wire.send(String(n));
  const long = `"${"é".repeat(500)}"`;
  wire.send(long);
  wire.send(long);
  await Promise.resolve();
  expect(line.sent.slice(1)).toEqual(["[1,2,3,4]", `[5,${long}]`, long]);
});

it("sends what was said before it is closed, and nothing after, and leaves no timer", async () => {
  const { wire, line, log } = open();
  wire.send('"last words"');
  wire.close();
  wire.close();
  expect(line.sent).toEqual(['"last words"']);
  expect(wire.send("1")).toBe(false);
  await Promise.resolve();
  line.readyState = 1;
  wire.probe();
  line.hears({ type: "signal" });
  line.says("close", { code: 4401 });
  vi.advanceTimersByTime(1_000_000);
  expect(line.sent).toHaveLength(1);
  expect(log).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});

it("is lost once: a bye counts, and neither the close nor the error that follow it", () => {
  const { line, log } = open();
  line.hears({ type: "ack" }, { type: "bye", code: 4100, reason: "rate_limited", retryAfter: 20 });
  line.says("error");
  line.says("close", { code: 1000, reason: "" });
  expect(log).toEqual(["ack bye", "lost later rate_limited 20"]);
  expect(line.closed).toBe(1);
});

it.each([
  [{ code: 1012, reason: "" }, "lost reconnect closed with 1012"],
  [{ code: 4401, reason: "unauthorized" }, "lost stop unauthorized"],
  [{ code: 4299, reason: "" }, "lost renew closed with 4299"],
  [{}, "lost later closed with 1006"],
])("without a bye the close code counts: %o", (event, told) => {
  const { line, log } = open();
  line.says("close", event);
  expect(log).toEqual([told]);
});

it("takes no notice of what is not ours", () => {
  const { line, log } = open();
  for (const data of ["nonsense", "{}", "[1]", '[{"type":1}]', new ArrayBuffer(3), undefined])
    line.says("message", { data });
  expect(log).toEqual([]);
});
