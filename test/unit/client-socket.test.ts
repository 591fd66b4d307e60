/** One connection, to the millisecond: the platform's socket, the clock and the timers are the test's. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { RoomSocket } from "../../src/client/connection/socket.ts";
import { lines, type Line } from "../support/line.ts";

beforeEach(() => vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => vi.useRealTimers());

const limits = { message: 2_048, batch: 4, rate: 50, burst: 100, refs: 256 };

function dial() {
  const log: string[] = [];
  const { Class, all } = lines();
  const to = { url: "ws://edge.test", token: "t", pingInterval: 25_000 };
  const socket = new RoomSocket(Class, to, {
    frames: (frames) => log.push(frames.map(({ type }) => type).join(" ")),
    lost: ({ next, code = "-", reason, retryAfter }) =>
      log.push(`lost ${next} ${code} ${reason}${retryAfter ? ` ${retryAfter}` : ""}`),
    latency: (ms) => log.push(`latency ${ms}`),
  });
  return { socket, line: all[0] as Line, log };
}

function open() {
  const dialled = dial();
  dialled.line.readyState = 1;
  dialled.line.hears({ type: "welcome", heartbeat: { next: 30_000 }, limits });
  dialled.line.says("message", { data: "pong" });
  dialled.log.length = 0;
  dialled.line.sent.length = 0;
  return dialled;
}

it("an upgrade that is not answered within 15 s is given up", () => {
  const { log } = dial();
  vi.advanceTimersByTime(14_999);
  expect(log).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(log).toEqual(["lost reconnect - the line is dead"]);
});

it("C2: a ping goes out every 25 s, and the line is dead after 9 s without a pong", () => {
  const { line, log } = open();
  vi.advanceTimersByTime(24_999);
  expect(line.sent).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(line.sent).toEqual(["ping"]);
  vi.advanceTimersByTime(8_999);
  expect(log).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(log).toEqual(["lost reconnect - the line is dead"]);
  expect(line.closed).toBe(1);
  expect(vi.getTimerCount()).toBe(0);
});

it("a line survives a room that never says anything, because pongs come", () => {
  const { line, log } = open();
  const answer = line.send.bind(line);
  line.send = (data) => {
    answer(data);
    setTimeout(() => line.says("message", { data: "pong" }), 50);
  };
  vi.advanceTimersByTime(250_050);
  expect(log.filter((entry) => !entry.startsWith("latency"))).toEqual([]);
  expect(line.sent).toHaveLength(10);
});

it("any message is a sign of life, even one that is not of the protocol", () => {
  const { line, log } = open();
  vi.advanceTimersByTime(33_999);
  line.says("message", { data: "nonsense" });
  vi.advanceTimersByTime(16_001 + 8_999);
  expect([log, line.sent]).toEqual([[], ["ping", "ping"]]);
  vi.advanceTimersByTime(1);
  expect(log).toEqual(["lost reconnect - the line is dead"]);
});

it("while the room owes an answer, 5 s of silence bring a ping", () => {
  const { socket, line, log } = open();
  socket.send('{"type":"call"}');
  socket.expectAnswer(true);
  vi.advanceTimersByTime(9_499);
  expect([line.sent.filter((text) => text === "ping"), log]).toEqual([["ping"], []]);
  vi.advanceTimersByTime(1);
  expect(log).toEqual(["lost reconnect - the line is dead"]);
});

it("a heartbeat is answered at once, and the round trip of the ping is reported", () => {
  const { line, log } = open();
  line.hears({ type: "heartbeat", offset: 0, next: 30_000 });
  expect(line.sent).toEqual(["ping"]);
  vi.advanceTimersByTime(42);
  // One answers that ping, and one nothing.
  for (let i = 0; i < 2; i++) line.says("message", { data: "pong" });
  expect(log).toEqual(["heartbeat", "latency 42"]);
});

it("pings are sent behind what came before, and each is measured by its own pong", () => {
  const { socket, line, log } = open();
  socket.send("1");
  socket.ping();
  vi.advanceTimersByTime(10);
  socket.ping();
  expect(line.sent).toEqual(["1", "ping", "ping"]);
  vi.advanceTimersByTime(5);
  line.says("message", { data: "pong" });
  vi.advanceTimersByTime(5);
  line.says("message", { data: "pong" });
  expect(log).toEqual(["latency 15", "latency 10"]);
});

it("C9: a probe gives the other side 3 s, any answer counts, and the owner is told", async () => {
  const { socket, line, log } = open();
  const alive = socket.probe();
  vi.advanceTimersByTime(2_999);
  line.hears({ type: "signal" });
  expect(await alive).toBe(true);
  vi.advanceTimersByTime(10_000);
  expect(log).toEqual(["signal"]);
  const dead = socket.probe();
  vi.advanceTimersByTime(3_000);
  expect(log).toEqual(["signal", "lost reconnect - the line is dead"]);
  expect([await dead, await socket.probe()]).toEqual([false, false]);
});

it("frames of one turn are one message, cut at the limits", async () => {
  const { socket, line } = open();
  for (const n of [1, 2, 3]) socket.send(String(n));
  expect(line.sent).toEqual([]);
  await Promise.resolve();
  expect(line.sent).toEqual(["[1,2,3]"]);
  for (const n of [1, 2, 3, 4, 5]) socket.send(String(n));
  const long = `"${"é".repeat(500)}"`;
  socket.send(long);
  socket.send(long);
  await Promise.resolve();
  expect(line.sent.slice(1)).toEqual(["[1,2,3,4]", `[5,${long}]`, long]);
});

it("a closed socket sends what came before, nothing after, and leaves no timer", async () => {
  const { socket, line, log } = open();
  socket.send('"last words"');
  socket.close();
  socket.close();
  expect(line.sent).toEqual(['"last words"']);
  expect(socket.send("1")).toBe(false);
  await Promise.resolve();
  line.readyState = 1;
  void socket.probe();
  line.hears({ type: "signal" });
  line.says("close", { code: 4401 });
  vi.advanceTimersByTime(1_000_000);
  expect(line.sent).toHaveLength(1);
  expect(log).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});

it("a socket is lost once: a bye counts, not the close or error after it", () => {
  const { line, log } = open();
  line.hears({ type: "ack" }, { type: "bye", code: 4100, reason: "rate_limited", retryAfter: 20 });
  line.says("error");
  line.says("close", { code: 1000, reason: "" });
  expect(log).toEqual(["ack bye", "lost later rate_limited rate_limited 20"]);
  expect(line.closed).toBe(1);
});

it.each([
  [{ code: 1012, reason: "" }, "lost reconnect - closed with 1012"],
  [{ code: 4403, reason: "forbidden" }, "lost stop forbidden forbidden"],
  [{ code: 4401, reason: "" }, "lost stop unauthorized closed with 4401"],
  [{ code: 4499, reason: "Not a word" }, "lost stop Not a word Not a word"],
  [{ code: 4299, reason: "" }, "lost renew - closed with 4299"],
  [{ code: 1011, reason: "" }, "lost later - closed with 1011"],
])("without a bye the close code decides: %o", (event, told) => {
  const { line, log } = open();
  line.says("close", event);
  expect(log).toEqual([told]);
});

it.each([
  [{ code: 1000, reason: "" }, "closed with 1000"],
  [{ code: 1005, reason: "" }, "closed with 1005"],
  [{}, "closed with 1006"],
])("C7: a close without a bye and without a code of the room is a loss, not the end: %o", (event, told) => {
  const { line, log } = open();
  line.says("close", event);
  expect(log).toEqual([`lost reconnect - ${told}`]);
  const early = dial();
  early.line.says("close", event);
  expect(early.log).toEqual([`lost later - ${told}`]);
});

it("C2: what talks and never says welcome is given up after 15 s, like what is silent", () => {
  const { line, log } = dial();
  line.readyState = 1;
  for (let second = 0; second < 15; second++) {
    expect(log).toEqual([]);
    line.says("message", { data: line.sent.at(-1) ?? "hello" });
    vi.advanceTimersByTime(1_000);
  }
  expect([log, vi.getTimerCount()]).toEqual([["lost reconnect - the line is dead"], 0]);
});

it("messages that are not of the protocol are ignored", () => {
  const { line, log } = open();
  for (const data of ["nonsense", "{}", "[1]", '[{"type":1}]', new ArrayBuffer(3), undefined])
    line.says("message", { data });
  expect(log).toEqual([]);
});
