/** Everyone is cut at the same instant: who comes back when. */
import { afterEach, expect, it, vi } from "vitest";
import { connect, type RoomClient } from "../../src/client/client.ts";
import { sign } from "../support/client.ts";
import { TestedRoom } from "../support/room.ts";
import { WorkerSocket } from "../support/worker-socket.ts";

const CLIENTS = 500;
const BUCKETS = 10;
/** The window of the first try, in ms. */
const WINDOW = 1_000;

const rooms: RoomClient[] = [];
afterEach(() => {
  for (const room of rooms.splice(0)) room.close();
});

it("500 clients that are cut at the same instant come back spread over the first second", async () => {
  /** When each upgrade was asked for. */
  let dials: number[] = [];
  class Socket extends WorkerSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      dials.push(performance.now());
    }
  }
  const tested = new TestedRoom("fast");
  // Of one user, the room would keep no more than a hundred dropped sessions.
  const tokens = await Promise.all(Array.from({ length: CLIENTS }, (_, i) => sign(`user ${i}`)));
  const areOpen = (isBack: () => boolean) =>
    vi.waitFor(
      () => {
        if (!isBack()) throw new Error("not everyone is back");
        expect(rooms.filter(({ state }) => state.name === "open")).toHaveLength(CLIENTS);
      },
      { timeout: 15_000, interval: 20 },
    );
  for (const token of tokens) {
    rooms.push(connect("http://edge.test", { room: tested.path, token: () => token, WebSocket: Socket }));
  }
  await areOpen(() => true);
  let resumed = 0;
  const delays: number[] = [];
  for (const room of rooms) {
    room.on("resumed", () => resumed++);
    room.on("state", (state) => state.name === "reconnecting" && delays.push(state.delay));
  }
  dials = [];
  const cut = performance.now();
  for (const socket of Array.from(WorkerSocket.all)) socket.cut();
  await areOpen(() => resumed === CLIENTS);

  // The plan, and what came of it on a machine that has other things to do, too.
  const planned = histogram(delays);
  const actual = histogram(dials.map((at) => at - cut));
  const bars = planned.map((n, i) => {
    const from = String((i * WINDOW) / BUCKETS).padStart(4);
    return `${from} ms | planned ${String(n).padStart(3)} ${"#".repeat(n).padEnd(90)} | dialled ${actual[i] ?? 0}${i === BUCKETS - 1 ? ", the last ones later" : ""}`;
  });
  console.log(`${CLIENTS} clients cut at once, tries per ${WINDOW / BUCKETS} ms:\n${bars.join("\n")}`);
  expect(delays).toHaveLength(CLIENTS);
  expect(dials).toHaveLength(CLIENTS);
  // The mean is 50 with a deviation of 6.7: twice the mean, or none at all, is no chance.
  const mean = CLIENTS / BUCKETS;
  expect(Math.max(...planned)).toBeLessThan(2 * mean);
  expect(Math.min(...planned)).toBeGreaterThan(mean / 4);
  // Chi-squared with 9 degrees of freedom: above 40 once in 130,000 runs.
  const chi = planned.reduce((sum, n) => sum + (n - mean) ** 2 / mean, 0);
  expect(chi).toBeLessThan(40);
  // Nobody comes before its time. After it, a machine that is busy elsewhere may let some wait.
  const [due, came] = [delays, dials.map((at) => at - cut)].map((times) => times.toSorted((a, b) => a - b));
  expect(came?.filter((at, i) => at < (due?.[i] ?? 0) - 2)).toEqual([]);
});

function histogram(times: readonly number[]): number[] {
  const counts = Array<number>(BUCKETS).fill(0);
  for (const ms of times) {
    const at = Math.min(BUCKETS - 1, Math.floor((ms * BUCKETS) / WINDOW));
    counts[at] = (counts[at] ?? 0) + 1;
  }
  return counts;
}
