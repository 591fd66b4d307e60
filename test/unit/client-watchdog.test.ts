/** When a line counts as dead, to the millisecond, in virtual time. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Watchdog } from "../../src/client/connection/watchdog.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A watchdog of a line that was welcomed just now, and what it has done, with the time in ms. */
function watch(heartbeat = 30_000) {
  const log: string[] = [];
  const start = performance.now();
  const note = (what: string) => log.push(`${what} ${performance.now() - start}`);
  const watchdog = new Watchdog(15_000, {
    ask: () => note("ask"),
    giveUp: () => {
      note("give up");
      watchdog.stop();
    },
  });
  watchdog.heard();
  watchdog.expectHeartbeat(heartbeat);
  return { watchdog, log, at: (ms: number) => vi.advanceTimersByTime(start + ms - performance.now()) };
}

it("a line on which nothing ever came is given up without asking", () => {
  const log: string[] = [];
  void new Watchdog(15_000, { ask: () => log.push("ask"), giveUp: () => log.push("give up") });
  vi.advanceTimersByTime(14_999);
  expect(log).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(log).toEqual(["give up"]);
});

describe("a heartbeat that is late", () => {
  it("a late heartbeat is asked for after 10 s, and the line is dead after 10 s more", () => {
    const { log, at } = watch(30_000);
    at(1_000_000);
    expect(log).toEqual(["ask 40000", "give up 50000"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("a heartbeat that is a minute late costs no connection while answers come", () => {
    const { watchdog, log, at } = watch(30_000);
    for (const asked of [40_000, 50_050, 60_100, 70_150, 80_200]) {
      at(asked + 50);
      watchdog.heard();
    }
    at(90_000);
    watchdog.heard();
    watchdog.expectHeartbeat(30_000);
    at(129_999);
    expect(log).toEqual(["ask 40000", "ask 50050", "ask 60100", "ask 70150", "ask 80200"]);
  });

  it("anything that comes while the heartbeat is late is good for 10 s", () => {
    const { watchdog, log, at } = watch(30_000);
    at(39_000);
    watchdog.heard();
    at(48_999);
    expect(log).toEqual([]);
    at(49_000);
    expect(log).toEqual(["ask 49000"]);
  });

  it("a heartbeat is not due later because something came before it", () => {
    const { watchdog, log, at } = watch(30_000);
    at(29_000);
    watchdog.heard();
    at(40_000);
    expect(log).toEqual(["ask 40000"]);
  });

  it("the last heartbeat says when the next is due, even sooner than the one before said", () => {
    const { watchdog, log, at } = watch(240_000);
    at(30_000);
    watchdog.heard();
    watchdog.expectHeartbeat(5_000);
    at(60_000);
    expect(log).toEqual(["ask 45000", "give up 55000"]);
  });
});

describe("an answer that is due", () => {
  it("an answer that is due is asked for after 5 s, and the line is dead 10 s later", () => {
    const { watchdog, log, at } = watch(240_000);
    at(7_000);
    watchdog.expectAnswer(true);
    at(9_000);
    watchdog.expectAnswer(true);
    at(1_000_000);
    expect(log).toEqual(["ask 12000", "give up 22000"]);
  });

  it("an answer that is due is not asked for while other things come", () => {
    const { watchdog, log, at } = watch(240_000);
    watchdog.expectAnswer(true);
    for (const ms of [4_000, 8_000, 12_000]) {
      at(ms);
      watchdog.heard();
    }
    expect(log).toEqual([]);
    at(17_000);
    expect(log).toEqual(["ask 17000"]);
  });

  it("a slow room is asked every 5 s while it owes an answer", () => {
    const { watchdog, log, at } = watch(240_000);
    watchdog.expectAnswer(true);
    for (const ms of [5_001, 10_002, 15_003]) {
      at(ms);
      watchdog.heard();
    }
    expect(log).toEqual(["ask 5000", "ask 10001", "ask 15002"]);
  });

  it("once the answer has come the line may be silent until the heartbeat", () => {
    const { watchdog, log, at } = watch(240_000);
    watchdog.expectAnswer(true);
    at(3_000);
    watchdog.heard();
    watchdog.expectAnswer(false);
    at(249_999);
    expect(log).toEqual([]);
    at(250_000);
    expect(log).toEqual(["ask 250000"]);
  });
});

describe("a question of its owner", () => {
  it("a question of the owner has its own time, and anything that comes answers it", () => {
    const { watchdog, log, at } = watch(240_000);
    watchdog.ask(3_000);
    at(2_999);
    watchdog.heard();
    at(100_000);
    watchdog.ask(3_000);
    at(103_000);
    expect(log).toEqual(["ask 0", "ask 100000", "give up 103000"]);
  });

  it("a second question does not extend the time of the first", () => {
    const { watchdog, log, at } = watch(240_000);
    watchdog.ask(3_000);
    at(2_000);
    watchdog.ask(3_000);
    at(3_000);
    expect(log).toEqual(["ask 0", "ask 2000", "give up 3000"]);
  });
});

it("a stopped watchdog does nothing", () => {
  const { watchdog, log, at } = watch();
  watchdog.stop();
  at(1_000_000);
  expect([log, vi.getTimerCount()]).toEqual([[], 0]);
});
