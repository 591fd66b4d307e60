/** When `edgerooms drain` believes that a room is empty, and that rooms stay closed until the last of them is. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { empty, everyRoom } from "../../src/cli/emptying.ts";
import type { Server } from "../../src/cli/http.ts";
import type { LiveRoom, RoomPage } from "../../src/protocol/api.ts";

vi.mock("node:timers/promises", () => ({
  setTimeout: (ms: number) => new Promise((resolve) => void setTimeout(resolve, ms)),
}));
beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const BODY = { within: 30_000, reopenAfter: 60_000 };

function live(room: string, more: Partial<LiveRoom> = {}): LiveRoom {
  return { kind: "chat", room, connections: 7, members: 7, sessions: 7, offset: 1, at: 0, ...more };
}

/** Drains every room of a server that answers each look with `pages`, and with the last of them from then on. */
async function drain(...pages: readonly RoomPage[]) {
  let looks = 0;
  const server = {
    rooms: () => Promise.resolve(pages[Math.min(looks++, pages.length - 1)]),
    ask: () => {
      const until = Date.now() + BODY.within;
      return Promise.resolve({ value: { until, reopens: until + BODY.reopenAfter, connections: 7 } });
    },
  };
  const done = empty(server as unknown as Server, everyRoom(server as unknown as Server), BODY);
  await vi.advanceTimersByTimeAsync(300_000);
  return done;
}

const both = { rooms: [live("a"), live("b")] };

it("E8: a room that is missing from a list without all parts is not taken for empty, and left at the deadline", async () => {
  const { left, incomplete, took } = await drain(both, both, { rooms: [live("b")], incomplete: [3] });
  expect(left).toEqual([{ name: "chat/a" }, { name: "chat/b", connections: 7 }]);
  expect(incomplete).toEqual([3]);
  expect(took).toBeGreaterThan(BODY.within);
});

it("E8: a part that answers again settles its rooms: they are empty, and nothing is missing", async () => {
  const missing = { rooms: [], incomplete: [3] };
  const { left, rooms, incomplete, reopened } = await drain(both, both, missing, missing, { rooms: [] });
  expect({ left, incomplete, reopened }).toEqual({ left: [], incomplete: [], reopened: [] });
  expect(rooms.map(({ name }) => name)).toEqual(["chat/a", "chat/b"]);
});

it("E8: a room that is seen open again after its deadline was empty, whatever is missing", async () => {
  const reopened = live("a", { at: Date.now() + 1e9 });
  const { left } = await drain({ rooms: [live("a")] }, { rooms: [live("a")] }, { rooms: [reopened], incomplete: [3] });
  expect(left).toEqual([]);
});

it("E8: parts that were missing when the rooms were asked stay named, for their rooms were never asked", async () => {
  const first = { rooms: [live("a")], incomplete: [5] };
  expect(await drain(first, first, { rooms: [] })).toMatchObject({ left: [], incomplete: [5] });
  const last = { rooms: [], incomplete: [3] };
  expect(await drain(first, first, last)).toMatchObject({ left: [{ name: "chat/a" }], incomplete: [3, 5] });
});

describe("E7: drain --all", () => {
  const ROOMS = 1_600;
  const SHORT = { within: 1_000, reopenAfter: 30_000 };

  /** Drains rooms whose server takes so long for a request. Every room is empty at its deadline, and opens in its time. */
  async function drainMany(body: typeof SHORT, latency: (request: number) => number) {
    const names = Array.from({ length: ROOMS }, (_, n) => `r${n}`);
    const wait = (ms: number) => new Promise((resolve) => void setTimeout(resolve, ms));
    const closedUntil = new Map<string, number>();
    const closedFor: number[] = [];
    let requests = 0;
    const server = {
      rooms: async () => {
        await wait(16 * latency(requests));
        const isLive = (name: string) => !(Date.now() < (closedUntil.get(name) ?? 0));
        return { rooms: names.filter(isLive).map((name) => live(name, { at: Date.now() })) };
      },
      ask: async (_what: string, { path }: { path: string }, { body: wanted }: { body: typeof SHORT }) => {
        const reopens = Date.now() + wanted.within + wanted.reopenAfter;
        closedUntil.set(path.split("/").at(-1) ?? "", reopens);
        closedFor.push(wanted.reopenAfter);
        await wait(latency(requests++));
        return { value: { until: reopens - wanted.reopenAfter, reopens, connections: 1 } };
      },
    };
    const done = empty(server as unknown as Server, everyRoom(server as unknown as Server), body);
    await vi.advanceTimersByTimeAsync(900_000);
    return { ...(await done), closedFor };
  }

  it.each([20, 300, 2_000])("keeps all rooms closed until the last is empty, at %s ms a request", async (ms) => {
    const { all, left, reopened, closedFor, took } = await drainMany(SHORT, () => ms);
    expect({ all, left, reopened }).toEqual({ all: ROOMS, left: [], reopened: [] });
    // Each stays closed for as long as was said at least, and for not much longer than it took.
    expect(Math.min(...closedFor)).toBeGreaterThanOrEqual(SHORT.reopenAfter);
    expect(closedFor.at(-1)).toBeLessThan(closedFor[0] ?? 0);
    expect(Math.max(...closedFor)).toBeLessThan(SHORT.reopenAfter + Math.max(2 * took, 2 * ROOMS * 10));
  });

  it("counts rooms as open where it took much longer than expected", async () => {
    const { reopened, closedFor } = await drainMany(SHORT, (request) =>
      request < 800 || request === ROOMS ? 20 : 6_000,
    );
    expect(reopened.length).toBeGreaterThan(700);
    expect(reopened).toContain("chat/r0");
    expect(closedFor).toHaveLength(ROOMS);
  });

  it("lets rooms reopen at once where that was said, and asks for no more than a room takes", async () => {
    const atOnce = await drainMany({ within: 0, reopenAfter: 0 }, () => 300);
    expect(new Set(atOnce.closedFor)).toEqual(new Set([0]));
    const longest = await drainMany({ within: 0, reopenAfter: 3_600_000 }, () => 300);
    expect(new Set(longest.closedFor)).toEqual(new Set([3_600_000]));
  });
});
