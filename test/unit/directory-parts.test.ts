/** The directory while a part of it fails or hangs: lists, failures and metrics are of the other parts, and say so. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Listed } from "../../src/ops/directory.ts";
import type { KindTotals } from "../../src/ops/totals.ts";
import type { FailureList, RoomPage } from "../../src/protocol/api.ts";

vi.mock("cloudflare:workers", () => ({
  DurableObject: Object,
  tracing: { enterSpan, getActiveSpan: () => undefined },
}));
const enterSpan = <T>(_name: string, run: (span: { isTraced: boolean }) => T) => run({ isTraced: false });

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const PARTS = 16;
/** Prometheus waits 10 s for a scrape, people less. */
const BOUND_MS = 10_000;

/** How a part is while it does not answer as it should. */
const TROUBLES = {
  hangs: () => new Promise<never>(() => undefined),
  fails: () => Promise.reject(Object.assign(new Error("overloaded"), { overloaded: true })),
} as const;
type Trouble = keyof typeof TROUBLES;

/** A directory whose parts have one room and one failure each; those with trouble do not answer. */
function directoryOf(trouble: Trouble | undefined, ...troubled: readonly number[]) {
  const asked: string[] = [];
  const partOf = (name: string) => {
    const n = Number(name);
    const answer = <T>(method: string, value: T): Promise<T> => {
      asked.push(method);
      return trouble !== undefined && troubled.includes(n) ? TROUBLES[trouble]() : Promise.resolve(value);
    };
    const totals: Record<string, KindTotals> = {
      chat: {
        rooms: 1,
        connections: 2,
        members: 2,
        sessions: 2,
        undelivered_rooms: 0,
        dead_letters: 0,
        counts: { publications: 10, "tick_events|1": 3, tick_events_sum: 3 },
      },
    };
    const failures = [{ at: n, code: "internal", source: "tick" }];
    const room = { kind: "chat", room: `r${n}`, connections: 1, members: 1, sessions: 1, offset: 0, at: 1 };
    return {
      totals: () => answer("totals", totals),
      failures: () => answer("failures", { failures, ends: [] }),
      list: () => answer<Listed>("list", { rooms: [room] }),
      count: () => answer("count", undefined),
    };
  };
  return { directory: { getByName: partOf }, asked };
}

/** What the app answers an operator of all rooms, and how long that took. */
async function get(path: string, directory: object): Promise<{ status: number; text: string; ms: number }> {
  const { createApp } = await import("../../src/http/app.ts");
  const auth = {
    tokenInUrl: false,
    verify: () => Promise.resolve({ user: "op", issued: 0, expires: Infinity, claims: { rooms: { "*": ["admin"] } } }),
  };
  const app = createApp<{ ROOMS: never }>({ rooms: { chat: "ROOMS" }, auth });
  const began = Date.now();
  const state = { took: -1 };
  const answer = Promise.resolve(app.request(path, {}, { EDGEROOMS_DIRECTORY: directory })).then(async (response) => {
    state.took = Date.now() - began;
    return { status: response.status, text: await response.text() };
  });
  // In small steps: hashing and the like take turns of the loop that no timer counts.
  for (let i = 0; i < 400 && state.took < 0; i++) {
    await new Promise((resolve) => void setImmediateOf(resolve));
    await vi.advanceTimersByTimeAsync(100);
  }
  return { ...(await answer), ms: state.took };
}
const setImmediateOf = setImmediate;

/** A cursor of a part, as the list gives it. */
async function cursorOf(shard: number): Promise<string> {
  const { writeCursor } = await import("../../src/http/api/cursor.ts");
  return writeCursor({ shard });
}

it.each(["hangs", "fails"] as const)(
  "E8: one part that %s leaves the numbers of the others in a scrape",
  async (trouble) => {
    vi.spyOn(console, "error").mockReturnValue();
    const { status, text, ms } = await get("/metrics", directoryOf(trouble, 7).directory);
    expect(status).toBe(200);
    expect(ms).toBeLessThan(BOUND_MS);
    expect(text).toContain("\nedgerooms_directory_parts_missing 1\n");
    expect(text).toContain('\nedgerooms_rooms{kind="chat"} 15\n');
    // A smaller sum would be read as a restart, and the whole one after it as a burst.
    expect(text).not.toMatch(/^edgerooms_\w+_(?:total|bucket|sum|count)[{ ]/m);
  },
);

/** A directory of which one part is of the version before: it tells less, and some of it in another shape. */
function withOlderPart(n: number, more: object = {}) {
  const { directory } = directoryOf(undefined);
  const totals = { chat: { rooms: 1, connections: 2, members: 2, sessions: 2, counts: { publications: 10 } } };
  const older = {
    totals: () => Promise.resolve(totals),
    failures: () => Promise.resolve([{ at: 1, code: "internal", where: "tick" }]),
    ...more,
  };
  return { getByName: (name: string) => (name === String(n) ? older : directory.getByName(name)) };
}

it("E8: a part of the version before counts for what it knows of, and no number of a scrape is none", async () => {
  const { status, text } = await get("/metrics", withOlderPart(3));
  expect(status).toBe(200);
  expect(text).not.toContain("NaN");
  expect(text).toContain('\nedgerooms_rooms{kind="chat"} 16\n');
  expect(text).toContain('\nedgerooms_dead_letters{kind="chat"} 0\n');
  expect(text).toContain('\nedgerooms_publications_total{kind="chat"} 160\n');
  expect(text).toContain("\nedgerooms_directory_parts_missing 0\n");
});

it.each(["totals", "failures"] as const)("E8: a part whose %s have another shape is missing", async (method) => {
  const inside = [{ chat: null }, { chat: { rooms: "1" } }, { chat: { counts: { publications: NaN } } }, { chat: 5 }];
  for (const answer of [undefined, null, [], "none", ...inside]) {
    const directory = withOlderPart(3, { [method]: () => Promise.resolve(answer) });
    const { status, text } = await get(method === "totals" ? "/metrics" : "/failures", directory);
    expect(status, JSON.stringify(answer)).toBe(200);
    if (method === "totals") expect(text).toContain("\nedgerooms_directory_parts_missing 1\n");
    else expect(JSON.parse(text)).toMatchObject({ incomplete: [3] });
  }
  const { failures } = JSON.parse((await get("/failures", withOlderPart(3))).text) as FailureList;
  expect(failures).toHaveLength(PARTS - 1);
});

it("E8: a scrape of all parts has counters, and says that none is missing", async () => {
  const { text } = await get("/metrics", directoryOf(undefined).directory);
  expect(text).toContain("\nedgerooms_directory_parts_missing 0\n");
  expect(text).toContain('\nedgerooms_publications_total{kind="chat"} 160\n');
  expect(text).toContain('\nedgerooms_tick_events_count{kind="chat"} 48\n');
});

it.each(["hangs", "fails"] as const)("E8: failures without the part that %s are marked incomplete", async (trouble) => {
  vi.spyOn(console, "error").mockReturnValue();
  const whole = JSON.parse((await get("/failures", directoryOf(undefined).directory)).text) as FailureList;
  expect(whole.failures).toHaveLength(PARTS);
  expect(whole).not.toHaveProperty("incomplete");
  const { status, text, ms } = await get("/failures", directoryOf(trouble, 3, 7).directory);
  const list = JSON.parse(text) as FailureList;
  expect(status).toBe(200);
  expect(ms).toBeLessThan(BOUND_MS);
  expect(list.incomplete).toEqual([3, 7]);
  expect(list.failures).toHaveLength(PARTS - 2);
});

it.each(["hangs", "fails"] as const)("E8: a list of rooms goes on behind the part that %s", async (trouble) => {
  const { directory } = directoryOf(trouble, 7);
  const { status, text, ms } = await get(`/rooms?cursor=${await cursorOf(7)}`, directory);
  expect(status).toBe(200);
  expect(ms).toBeLessThan(BOUND_MS);
  const page = JSON.parse(text) as RoomPage;
  expect(page).toEqual({ rooms: [], next: await cursorOf(8), incomplete: [7] });
  const rest = JSON.parse((await get(`/rooms?cursor=${page.next ?? ""}`, directory)).text) as RoomPage;
  expect(rest).toMatchObject({ rooms: [{ room: "r8" }], next: await cursorOf(9) });
});

it("E8: when no part answers, that is said, and in bounded time", async () => {
  vi.spyOn(console, "error").mockReturnValue();
  const all = Array.from({ length: PARTS }, (_, n) => n);
  for (const path of ["/metrics", "/failures"]) {
    const { status, ms } = await get(path, directoryOf("hangs", ...all).directory);
    expect([path, status]).toEqual([path, 504]);
    expect(ms).toBeLessThan(BOUND_MS);
  }
});

it("E12: a scrape is 17 requests to the directory: one report of this isolate, and one to each of the 16 parts", async () => {
  const { directory, asked } = directoryOf(undefined);
  // A request has been counted that nobody has reported yet: that is so with every scrape, because of the one before.
  await get("/healthz", directory);
  asked.length = 0;
  await get("/metrics", directory);
  expect(asked).toEqual(["count", ...Array.from({ length: PARTS }, () => "totals")]);
  const doc = readFileSync(join(import.meta.dirname, "../../docs/guides/operate.md"), "utf8").replaceAll(/\s+/g, " ");
  expect(doc.includes(`A scrape is ${asked.length} requests to the directory`)).toBe(true);
});

it("E8: a page of rooms from a directory of an earlier version, which knows no filter, shows nothing", async () => {
  const leak = [{ kind: "chat", room: "secret", connections: 1, members: 1, sessions: 1, offset: 0, at: 1 }];
  const { text } = await get("/rooms", { getByName: () => ({ list: () => Promise.resolve(leak) }) });
  expect(JSON.parse(text)).toEqual({ rooms: [], next: await cursorOf(1), incomplete: [0] });
});

it("E8: a part whose page of rooms has another shape is missing, and the list goes on behind it", async () => {
  const room = { kind: "chat", room: "a", connections: 1, members: 1, sessions: 1, offset: 0, at: 1 };
  const answers = [undefined, null, "none", { rooms: "r" }, { rooms: [null] }, { rooms: [room], after: "chat/secret" }];
  for (const answer of [...answers, { rooms: [room], after: 7 }]) {
    const { status, text } = await get("/rooms", { getByName: () => ({ list: () => Promise.resolve(answer) }) });
    expect([status, JSON.parse(text)]).toEqual([200, { rooms: [], next: await cursorOf(1), incomplete: [0] }]);
  }
});

it("E8: a failure that a later version has recorded is left out, and the others are shown", async () => {
  const known = { at: 9, code: "internal", source: "tick" };
  const records = [known, { at: 1, code: "of_tomorrow", source: "x" }, null, { code: "internal" }, "text"];
  const failures = () => Promise.resolve({ failures: records, ends: [{ at: 1, code: "constructor", source: "x" }] });
  const { status, text } = await get("/failures", withOlderPart(3, { failures }));
  expect(status).toBe(200);
  const list = JSON.parse(text) as FailureList;
  expect(list.failures).toHaveLength(PARTS);
  expect(list.ends).toEqual([]);
});
