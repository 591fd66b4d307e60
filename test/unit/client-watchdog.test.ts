/** When a line counts as dead, to the millisecond, in virtual time. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Watchdog } from "../../src/client/connection/watchdog.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A watchdog of a line that was opened and has answered just now, and what it has done, with the time in ms. */
function watch(every = 25_000) {
  const log: string[] = [];
  const start = performance.now();
  const note = (what: string) => log.push(`${what} ${performance.now() - start}`);
  const watchdog = new Watchdog(15_000, every, {
    ask: () => note("ask"),
    giveUp: () => {
      note("give up");
      watchdog.stop();
    },
  });
  watchdog.ask();
  watchdog.heard();
  log.length = 0;
  return { watchdog, log, at: (ms: number) => vi.advanceTimersByTime(start + ms - performance.now()) };
}

it("a line on which nothing ever came is given up without asking", () => {
  const log: string[] = [];
  void new Watchdog(15_000, 25_000, { ask: () => log.push("ask"), giveUp: () => log.push("give up") });
  vi.advanceTimersByTime(14_999);
  expect(log).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(log).toEqual(["give up"]);
});

describe("a line that owes nothing", () => {
  it("C2: a line is asked every 25 s, and is dead when nothing comes within 9 s", () => {
    const { log, at } = watch();
    at(1_000_000);
    expect(log).toEqual(["ask 25000", "give up 34000"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("C2: a line that answers is asked every 25 s, and so is one on which much comes", () => {
    const { watchdog, log, at } = watch();
    for (let ms = 500; ms <= 76_000; ms += 1_000) {
      at(ms);
      watchdog.heard();
    }
    expect(log).toEqual(["ask 25000", "ask 50000", "ask 75000"]);
  });

  it("a question of the owner counts: the next one comes 25 s after it", () => {
    const { watchdog, log, at } = watch();
    at(20_000);
    watchdog.ask();
    watchdog.heard();
    at(44_999);
    expect(log).toEqual(["ask 20000"]);
    at(45_000);
    expect(log).toEqual(["ask 20000", "ask 45000"]);
  });
});

describe("an answer that is due", () => {
  it("C2: an answer that is due is asked for after 5 s, and the line is dead 4.5 s later", () => {
    const { watchdog, log, at } = watch();
    at(7_000);
    watchdog.expectAnswer(true);
    at(9_000);
    watchdog.expectAnswer(true);
    at(1_000_000);
    expect(log).toEqual(["ask 12000", "give up 16500"]);
  });

  it("an answer that is due is not asked for while other things come", () => {
    const { watchdog, log, at } = watch();
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
    const { watchdog, log, at } = watch();
    watchdog.expectAnswer(true);
    for (const ms of [5_001, 10_002, 15_003]) {
      at(ms);
      watchdog.heard();
    }
    expect(log).toEqual(["ask 5000", "ask 10001", "ask 15002"]);
  });

  it("once the answer has come the line may be silent until the next ping", () => {
    const { watchdog, log, at } = watch();
    watchdog.expectAnswer(true);
    at(3_000);
    watchdog.heard();
    watchdog.expectAnswer(false);
    at(24_999);
    expect(log).toEqual([]);
    at(25_000);
    expect(log).toEqual(["ask 25000"]);
  });
});

describe("a question of its owner", () => {
  it("a question of the owner has its own time, and anything that comes answers it", () => {
    const { watchdog, log, at } = watch(1_000_000);
    watchdog.ask(3_000);
    at(2_999);
    watchdog.heard();
    at(100_000);
    watchdog.ask(3_000);
    at(103_000);
    expect(log).toEqual(["ask 0", "ask 100000", "give up 103000"]);
  });

  it("a second question does not extend the time of the first", () => {
    const { watchdog, log, at } = watch();
    watchdog.ask(3_000);
    at(2_000);
    watchdog.ask(3_000);
    at(3_000);
    expect(log).toEqual(["ask 0", "ask 2000", "give up 3000"]);
  });
});

describe("sleep", () => {
  /** The device sleeps: the wall clock goes on, timers and the monotonic clock stand still. */
  const suspend = (ms: number) => vi.setSystemTime(Date.now() + ms);

  it("C2: a timer that rings late by the wall clock asks at once and gives the answer 3 s", () => {
    const { log, at } = watch();
    at(12_000);
    suspend(3_600_000);
    at(60_000);
    expect(log).toEqual(["ask 15000", "give up 18000"]);
  });

  it("C2: a question from before the sleep is asked again before the line is given up", () => {
    const { watchdog, log, at } = watch();
    at(25_000);
    suspend(3_600_000);
    at(30_000);
    // The answer was there all the time, and is read now.
    watchdog.heard();
    at(50_000);
    expect(log).toEqual(["ask 25000", "ask 30000"]);
  });

  it("C2: a program whose timers are always late gives a dead line up at the second one", () => {
    const { log, at } = watch();
    for (let ms = 5_000; ms <= 60_000; ms += 5_000) {
      suspend(60_000);
      at(ms);
    }
    expect(log).toEqual(["ask 5000", "give up 8000"]);
  });

  it("a line that is not open yet is not asked, and has the time that it had", () => {
    const log: string[] = [];
    void new Watchdog(15_000, 25_000, { ask: () => log.push("ask"), giveUp: () => log.push("give up") });
    suspend(3_600_000);
    vi.advanceTimersByTime(14_999);
    expect(log).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(log).toEqual(["give up"]);
  });

  it("a wall clock that is put back changes nothing", () => {
    const { log, at } = watch();
    suspend(-3_600_000);
    at(24_999);
    expect(log).toEqual([]);
    at(34_000);
    expect(log).toEqual(["ask 25000", "give up 34000"]);
  });
});

it("a stopped watchdog does nothing", () => {
  const { watchdog, log, at } = watch();
  watchdog.stop();
  at(1_000_000);
  expect([log, vi.getTimerCount()]).toEqual([[], 0]);
});
