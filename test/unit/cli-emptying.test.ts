/** When `edgerooms drain` believes that a room is empty, though parts of the list of rooms do not answer. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
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
