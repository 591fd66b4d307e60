import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Agenda } from "../../src/room/rules/agenda.ts";
import { missed, nextHeartbeat, sessionDeadline } from "../../src/room/rules/deadlines.ts";

const windows = { grace: 10, resumeWindow: 100 };

it("a connected session ends with its token, a dropped one with its grace, then its window", () => {
  expect(sessionDeadline({ droppedAt: null, present: true, expires: 50 }, windows)).toBe(50);
  expect(sessionDeadline({ droppedAt: 20, present: true, expires: 5 }, windows)).toBe(30);
  expect(sessionDeadline({ droppedAt: 20, present: false, expires: 5 }, windows)).toBe(120);
});

it("heartbeats come half as often each time nothing happened, down to a limit, and back at once", () => {
  const rule = { every: 30, idle: 240 };
  let interval = 30;
  const intervals = Array.from({ length: 5 }, () => (interval = nextHeartbeat(interval, false, rule, 0).interval));
  expect(intervals).toEqual([60, 120, 240, 240, 240]);
  expect(nextHeartbeat(240, true, rule, 1_000)).toEqual({ due: 1_030, interval: 30, sentAt: 1_000 });
});

it("a heartbeat is missed by a connection that was there for it and has not answered since", () => {
  const at = (since: number, answeredAt: number) => ({ since, answeredAt, sentAt: 100 });
  expect(missed(0, at(0, 99)), "answered before it").toBe(1);
  expect(missed(1, at(0, 0)), "never answered").toBe(2);
  expect(missed(2, at(0, 100)), "answered at once").toBe(0);
  expect(missed(0, at(100, 0)), "came with it").toBe(0);
});

describe("an agenda", () => {
  it("R18: says what is next and what is due as a plain list would, whatever is set, moved and deleted", () => {
    const key = fc.constantFrom("a", "b", "c", "d", "e", "f");
    const act = fc.oneof(
      fc.record({ do: fc.constant("set" as const), key, at: fc.integer({ min: 0, max: 20 }) }),
      fc.record({ do: fc.constant("delete" as const), key, at: fc.constant(0) }),
      fc.record({ do: fc.constant("due" as const), key, at: fc.integer({ min: 0, max: 20 }) }),
    );
    fc.assert(
      fc.property(fc.array(act, { maxLength: 80 }), (acts) => {
        const agenda = new Agenda("thing");
        const plain = new Map<string, number>();
        for (const { do: verb, key: name, at } of acts) {
          const held = new Map([[`thing:${name}`, 0]]);
          const listed = [...plain].map(([k, due]) => ({ key: k, at: due }));
          const ordered = listed.toSorted((x, y) => x.at - y.at || (x.key < y.key ? -1 : 1));
          if (verb === "set") {
            agenda.set(name, at);
            plain.set(name, at);
          } else if (verb === "delete") {
            agenda.delete(name);
            plain.delete(name);
          } else {
            expect(agenda.next()).toBe(ordered[0]?.at);
            expect(agenda.next(held)).toBe(ordered.find((d) => d.key !== name)?.at);
            expect(agenda.due(at, 3)).toEqual(ordered.filter((d) => d.at <= at).slice(0, 3));
            expect(agenda.due(at, 3, held)).toEqual(ordered.filter((d) => d.at <= at && d.key !== name).slice(0, 3));
          }
          expect(agenda.size).toBe(plain.size);
        }
      }),
      { numRuns: 300, seed: 20_261_127 },
    );
  });

  it("R6: holds 200,000 deadlines", () => {
    const agenda = new Agenda("timer");
    for (let i = 0; i < 200_000; i++) agenda.set(`t${i}`, 200_000 - i);
    expect(agenda.next()).toBe(1);
    expect(agenda.due(10, 1_000)).toHaveLength(10);
  });
});
