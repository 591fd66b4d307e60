/** When a tick happens: at once in a quiet room, together with what arrives meanwhile in a busy one. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Scheduler } from "../../src/room/runtime/scheduler.ts";
import type { RoomEvent } from "../../src/room/core/event.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const event = { type: "command", command: { type: "members" } } as const satisfies RoomEvent;

const platform = {
  now: () => Date.now(),
  later(ms: number, run: () => void) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** A scheduler whose ticks write to so many sockets, and the sizes of those ticks. */
function scheduled(sockets: number) {
  const ticks: number[] = [];
  const box = new Scheduler((batch) => {
    ticks.push(batch.length);
    for (const { resolve } of batch) resolve?.({ ok: true, value: undefined });
    return { done: batch.length, sockets };
  }, platform);
  return { ticks, say: () => void box.submit(event) };
}

it("ticks at once when the room is quiet", () => {
  const { ticks, say } = scheduled(10);
  for (let i = 0; i < 3; i++) {
    say();
    vi.advanceTimersByTime(20);
  }
  expect(ticks).toEqual([1, 1, 1]);
});

it("lets in what arrives while the room is busy, and never waits longer than the spacing", () => {
  const { ticks, say } = scheduled(100);
  say();
  say();
  say();
  expect(ticks).toEqual([1]);
  vi.advanceTimersByTime(5);
  say();
  vi.advanceTimersByTime(1);
  expect(ticks).toEqual([1, 3]);
});

it("a large room is busy for as long as its fan-out takes: what arrives then does not tick alone", () => {
  const { ticks, say } = scheduled(1_000);
  say();
  // The runtime has been writing to a thousand sockets; only now the next frames are delivered, one by one.
  vi.advanceTimersByTime(40);
  say();
  say();
  expect(ticks).toEqual([1]);
  vi.advanceTimersByTime(10);
  expect(ticks).toEqual([1, 2]);
  vi.advanceTimersByTime(71);
  say();
  expect(ticks).toEqual([1, 2, 1]);
});

it("waits 50 ms at most, however many sockets there are", () => {
  const { ticks, say } = scheduled(30_000);
  say();
  vi.advanceTimersByTime(49);
  say();
  expect(ticks).toEqual([1]);
  vi.advanceTimersByTime(1);
  expect(ticks).toEqual([1, 1]);
});

it("does not let one wait for others who never come, and notices when they do", () => {
  const { ticks, say } = scheduled(100);
  const waits: boolean[] = [];
  for (let i = 0; i < 17; i++) {
    say();
    waits.push(ticks.length === i);
    vi.advanceTimersByTime(7);
  }
  // The first finds a quiet room; three wait in vain; from then on every fourth or fifth waits to find out.
  expect(waits.map(Number).join("")).toBe("01110001000010001");
  expect(ticks).toEqual(Array(17).fill(1));
  // Now somebody else speaks too: the next that waits is not alone, and so all wait again.
  for (let i = 0; i < 8; i++) {
    say();
    say();
    vi.advanceTimersByTime(7);
  }
  expect(ticks.slice(-4)).toEqual([2, 2, 2, 2]);
});

it.each([2, 3, 4, 5, 8, 9, 16])(
  "groups %i who speak in step, although one alone had taught it not to wait",
  (players) => {
    const { ticks, say } = scheduled(4);
    for (let i = 0; i < 6; i++) {
      say();
      vi.advanceTimersByTime(5);
    }
    vi.advanceTimersByTime(50);
    for (let burst = 0; burst < 40; burst++) {
      for (let i = 0; i < players; i++) say();
      vi.advanceTimersByTime(50);
    }
    // One for the first event, one for the rest.
    expect(ticks.slice(-10)).toEqual(Array.from({ length: 5 }, () => [1, players - 1]).flat());
  },
);

it("does not take a wait for what was left over as one in vain", () => {
  const { ticks, say } = scheduled(100);
  for (let i = 0; i < 2_500; i++) say();
  while (vi.getTimerCount() > 0) vi.advanceTimersToNextTimer();
  expect(ticks).toEqual([1, 512, 512, 512, 512, 451]);
  vi.advanceTimersByTime(4);
  say();
  expect(ticks).toHaveLength(6);
  vi.advanceTimersByTime(2);
  expect(ticks).toHaveLength(7);
});

describe("when more waits than a tick takes", () => {
  const frame = (session: string): RoomEvent => ({
    type: "frame",
    session,
    generation: 1,
    frame: { type: "signal", data: null },
  });

  it("promise 14: what keeps the room alive does not stand behind frames", () => {
    const order: string[][] = [];
    const scheduler = new Scheduler((batch) => {
      order.push(batch.map((each) => each.event.type));
      for (const { resolve } of batch) resolve?.({ ok: true, value: undefined });
      return { done: batch.length, sockets: 0 };
    }, platform);
    void scheduler.submit(event);
    for (let i = 0; i < 30; i++)
      void scheduler.submitFrames(
        Array.from({ length: 256 }, () => frame(`s${i}`)),
        1,
      );
    void scheduler.submit({ type: "drop", session: "s1", generation: 1 });
    void scheduler.submit({ type: "drainOver" });
    vi.runAllTimers();
    expect(order[1]?.slice(0, 2)).toEqual(["drop", "drainOver"]);
    expect(order.flat().filter((type) => type === "frame")).toHaveLength(30 * 256);
  });

  it("keeps the order of arrival while one tick takes all of it", () => {
    const order: string[][] = [];
    const scheduler = new Scheduler((batch) => {
      order.push(batch.map((each) => each.event.type));
      return { done: batch.length, sockets: 0 };
    }, platform);
    void scheduler.submit(event);
    void scheduler.submitFrames([frame("a"), frame("a")], 1);
    void scheduler.submit({ type: "drop", session: "a", generation: 1 });
    vi.runAllTimers();
    expect(order[1]).toEqual(["frame", "frame", "drop"]);
  });

  it("is overloaded past a bound of frames, and of the length of their messages", async () => {
    const resolves: (() => void)[] = [];
    const scheduler = new Scheduler((batch) => {
      for (const { resolve } of batch) resolves.push(() => resolve?.({ ok: true, value: undefined }));
      return { done: batch.length, sockets: 0 };
    }, platform);
    void scheduler.submit(event);
    for (let i = 0; i < 32; i++)
      void scheduler.submitFrames(
        Array.from({ length: 256 }, () => frame("a")),
        1,
      );
    expect(scheduler.isOverloadedFor("a")).toBe(true);
    expect(scheduler.isOverloadedFor("honest"), "who did not cause it is let in").toBe(false);
    vi.runAllTimers();
    expect(scheduler.isOverloadedFor("a")).toBe(false);
    const through = scheduler.submitFrames([frame("a")], 2 * 33_554_432);
    expect(scheduler.isOverloadedFor("a")).toBe(true);
    vi.runAllTimers();
    for (const resolve of resolves) resolve();
    await through;
    expect(scheduler.isOverloadedFor("a")).toBe(false);
  });
});

describe("lanes", () => {
  const frame: RoomEvent = { type: "frame", session: "s", generation: 1, frame: { type: "signal", data: null } };
  const publish: RoomEvent = { type: "command", command: { type: "publish", data: null } };
  const due: RoomEvent = { type: "drainOver" };
  const drop: RoomEvent = { type: "drop", session: "s", generation: 1 };
  const credentials = { user: "ann", grants: [], issued: 0, expires: 0 };
  const admission = { kind: "k", room: "r", credentials, requestId: "q", receivedAt: 0, credit: false };
  const connect: RoomEvent = { type: "connect", id: "i", admission };

  /** Submits events at once, while the room is busy; returns what each tick did. `size`: after so many a tick ends. */
  function played(size: number, ...events: [RoomEvent, number][]): string[][] {
    const ticks: string[][] = [];
    const scheduler = new Scheduler((batch) => {
      const done = batch.slice(0, size);
      ticks.push(done.map(({ event: { type } }) => type));
      for (const { resolve } of done) resolve?.({ ok: true, value: undefined });
      return { done: done.length, sockets: 0 };
    }, platform);
    void scheduler.submit(due);
    for (const [each, times] of events) for (let i = 0; i < times; i++) void scheduler.submit(each);
    vi.runAllTimers();
    const [, ...rest] = ticks;
    return rest;
  }

  it("R19: what callers publish waits its turn among the frames of members, and holds back no alarm", () => {
    const [first, second] = played(512, [publish, 500], [frame, 1], [publish, 1_000], [due, 1]);
    expect(first?.[0]).toBe("drainOver");
    expect(first?.indexOf("frame"), "neither before nor after its turn").toBe(501);
    expect(new Set(second)).toEqual(new Set(["command"]));
  });

  it("R19: a storm of connects leaves frames their share of every tick, also of one that ends early", () => {
    const ticks = played(16, [connect, 900], [frame, 20], [drop, 1]);
    expect(ticks[0]?.filter((type) => type === "frame").length).toBeGreaterThanOrEqual(4);
    expect(
      ticks
        .slice(0, 3)
        .flat()
        .filter((type) => type === "frame"),
    ).toHaveLength(20);
    expect(ticks[0]?.[0], "and a drop goes first").toBe("drop");
    expect(ticks.flat()).toHaveLength(921);
  });

  it.each([
    ["frames hold back neither drops nor connects", frame],
    ["connects hold back neither drops nor frames", connect],
  ])("R19: %s when fewer wait than a tick takes, but a tick ends early", (_, much) => {
    const other = much === frame ? connect : frame;
    const ticks = played(16, [much, 400], [drop, 1], [other, 1]);
    expect(new Set(ticks.slice(0, 2).flat())).toEqual(new Set(["frame", "connect", "drop"]));
  });

  it("R19: everyone has a turn when each event fills its tick", () => {
    const ticks = played(1, [due, 60], [connect, 60], [frame, 60]);
    for (let i = 0; i < 90; i += 3) {
      expect(new Set(ticks.slice(i, i + 3).flat())).toEqual(new Set(["drainOver", "connect", "frame"]));
    }
  });

  it("counts load and connects each for themselves, until they are through", () => {
    const scheduler = new Scheduler((batch) => ({ done: batch.length, sockets: 0 }), platform);
    void scheduler.submit(due);
    for (let i = 0; i < 8_192; i++) void scheduler.submit(connect);
    expect([scheduler.isCrowded, scheduler.isFull]).toEqual([true, false]);
    for (let i = 0; i < 8_192; i++) void scheduler.submit(publish);
    expect([scheduler.isCrowded, scheduler.isFull]).toEqual([true, true]);
    vi.runAllTimers();
    expect([scheduler.isCrowded, scheduler.isFull]).toEqual([false, false]);
    void scheduler.submit(publish, 33_554_432);
    void scheduler.submit(publish, 33_554_432);
    expect(scheduler.isFull).toBe(true);
    vi.runAllTimers();
    expect(scheduler.isFull).toBe(false);
  });
});
