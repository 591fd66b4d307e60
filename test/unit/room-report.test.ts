/** Reports to the directory: a call that never ends must not pin the object, and no report may be kept away by another. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { RoomReport } from "../../src/room/telemetry/recorder.ts";

vi.mock("cloudflare:workers", () => ({
  tracing: undefined,
  DurableObject: class {
    readonly ctx: unknown;
    readonly env: unknown;
    constructor(ctx: unknown, env: unknown) {
      this.ctx = ctx;
      this.env = env;
    }
  },
}));

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const report: RoomReport = {
  listing: { kind: "chat", room: "one", connections: 1, members: 1, sessions: 1, offset: 0, ttl: 1 },
  counts: { connects: 1 },
  records: [],
};

it("R21: a directory call that hangs fails after a while, and the next one has a stub of its own", async () => {
  const { Room } = await import("../../src/room.ts");
  class Tested extends Room<object> {
    send(): Promise<void> {
      return this.sendReport(report);
    }
  }
  const calls: string[] = [];
  let stubs = 0;
  const directory = {
    getByName: () => {
      const stub = ++stubs;
      return {
        update: () => {
          calls.push(`stub ${stub}`);
          return stub === 1 ? new Promise(() => undefined) : Promise.resolve();
        },
      };
    },
  };
  const ctx = {
    id: { name: "one" },
    storage: { getAlarm: () => Promise.resolve(null) },
    setWebSocketAutoResponse: () => undefined,
    blockConcurrencyWhile: (run: () => Promise<void>) => run(),
  };
  vi.stubGlobal("WebSocketRequestResponsePair", Object);
  const room = new Tested(ctx as never, { EDGEROOMS_DIRECTORY: directory });
  let isOver = false;
  const first = room.send().finally(() => (isOver = true));
  first.catch(() => undefined);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(isOver).toBe(true);
  await expect(first).rejects.toThrow("the directory");
  await room.send();
  expect(calls).toEqual(["stub 1", "stub 2"]);
  expect(vi.getTimerCount()).toBe(0);
  vi.unstubAllGlobals();
});
