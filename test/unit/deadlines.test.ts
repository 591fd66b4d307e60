import { expect, it } from "vitest";
import { missed, nextBeat, nextDeadline, sessionDeadline } from "../../src/room/rules/deadlines.ts";

const windows = { grace: 10, resumeWindow: 100 };

it("a connected session ends with its token, a dropped one with its grace, then its window", () => {
  expect(sessionDeadline({ droppedAt: null, present: true, expires: 50 }, windows)).toBe(50);
  expect(sessionDeadline({ droppedAt: 20, present: true, expires: 5 }, windows)).toBe(30);
  expect(sessionDeadline({ droppedAt: 20, present: false, expires: 5 }, windows)).toBe(120);
});

it("the alarm is for the nearest of all, or not at all", () => {
  const sessions = [
    { droppedAt: null, present: true, expires: 50 },
    { droppedAt: 20, present: true, expires: 500 },
  ];
  expect(nextDeadline(sessions, windows, [])).toBe(30);
  expect(nextDeadline(sessions, windows, [undefined, 29, 31])).toBe(29);
  expect(nextDeadline([], windows, [undefined])).toBeUndefined();
});

it("beats come half as often each time nothing happened, down to a limit, and back at once", () => {
  const rule = { every: 30, idle: 240 };
  let interval = 30;
  const intervals = Array.from({ length: 5 }, () => (interval = nextBeat(interval, false, rule, 0).interval));
  expect(intervals).toEqual([60, 120, 240, 240, 240]);
  expect(nextBeat(240, true, rule, 1_000)).toEqual({ due: 1_030, interval: 30 });
});

it("a beat is missed by who was there for it and has not answered since", () => {
  expect(missed(0, 0, 99, 100), "answered before it").toBe(1);
  expect(missed(1, 0, 0, 100), "never answered").toBe(2);
  expect(missed(2, 0, 100, 100), "answered at once").toBe(0);
  expect(missed(0, 100, 0, 100), "came with it").toBe(0);
});
