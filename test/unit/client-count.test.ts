/** How many members a client sees, in rooms that list them, tell their number, or do neither. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { dialled, snapshot } from "../support/dialled.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("T13: memberCount follows the room, and each change is an event", async () => {
  const { client, line } = dialled();
  const told: unknown[] = [];
  client.on("members", (members) => told.push([members.length, client.memberCount]));
  await vi.advanceTimersByTimeAsync(0);
  expect(client.memberCount).toBeUndefined();
  line().welcome({ members: [], count: 4_211 }, snapshot);
  line().hears({ type: "presence", count: 4_212 });
  line().hears({ type: "presence", count: 9 });
  expect(told).toEqual([
    [0, 4_211],
    [0, 4_212],
    [0, 9],
  ]);
  // The room is deployed anew, as one that lists its members, and later as one that says nothing of them.
  line().cut();
  await vi.advanceTimersByTimeAsync(1_000);
  line().welcome({ resumed: true, members: [{ id: "ann" }, { id: "bob" }] });
  expect(client.memberCount).toBe(2);
  line().hears({ type: "presence", leave: ["bob"] });
  expect(client.memberCount).toBe(1);
  line().cut();
  await vi.advanceTimersByTimeAsync(1_000);
  line().welcome({ resumed: true, members: [] });
  expect(client.memberCount).toBeUndefined();
  client.close();
});
