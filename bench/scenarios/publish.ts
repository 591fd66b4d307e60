/** Scenarios that publish: alone, saturated, in many rooms, and the echo of one socket. */
import { publishing, type Sample } from "../sample.ts";
import { oneRoom, withCrowd, type Mode, type Scenario } from "./scenario.ts";

/**
 * Publications that each publisher keeps in flight, for every rival: 64 for one publisher, 16 for each of twenty. With
 * 64 each, a bare room of 1,000 sockets would need a quarter of a minute for what is in flight at any moment.
 */
export const windowOf = (publishers: number) => (publishers === 1 ? 64 : 16);
/** Ms after which a room of a hundred is quiet again. */
const PAUSE = 25;
/**
 * Lone publications that are measured. They need no ack: one in 640 costs as much as 60 deliveries, far less than rounds
 * differ.
 */
const LONE = 128;

const COLUMNS = ["cost", "rate", "perMessage", "p50", "p99", "generator", "late"];
const LONE_COLUMNS = ["cost", "p50", "p99", "allP50", "allP99", "generator", "late"];

const commas = (n: number) => n.toLocaleString("en-US");

/** One publication at a time. */
export function lone(sockets: number, modes: readonly Mode[]): Scenario {
  return {
    id: `lone-${sockets}`,
    title: `One publication at a time, ${commas(sockets)} sockets`,
    key: "cost",
    base: "durable",
    columns: LONE_COLUMNS,
    modes,
    run: (running, room, timing) =>
      withCrowd(running, oneRoom(room, sockets), async (load) => {
        // With few publications a second the server's code would stay cold for minutes.
        await load.run({ type: "saturate", publishers: 1, window: 16, ms: timing.warm });
        await load.run({ type: "lone", publications: 8, gap: PAUSE });
        return publishing(await load.run({ type: "lone", publications: LONE, gap: PAUSE }));
      }),
  };
}

/** As much as the windows of all publishers allow. */
export function saturated(publishers: number, sockets: number, modes: readonly Mode[]): Scenario {
  const who = publishers === 1 ? "1 publisher" : `${publishers} publishers`;
  return {
    id: `saturated-${publishers}-${sockets}`,
    title: `Saturated by ${who}, ${commas(sockets)} sockets`,
    key: "cost",
    base: "bare",
    columns: COLUMNS,
    modes,
    // The short run has only the rival that the budget compares with: a bare room is slow enough.
    takes: ({ id }, mode) => mode !== "quick" || id !== "durable",
    run: (running, room, timing) =>
      withCrowd(running, oneRoom(room, sockets), async (load, opened) => {
        await load.run({ type: "saturate", publishers, window: windowOf(publishers), ms: timing.warm });
        const reading = await load.run({
          type: "saturate",
          publishers,
          window: windowOf(publishers),
          ms: timing.measure,
        });
        return { ...publishing(reading), ...(timing.first && { memory: memoryPerSocket(opened.rss, sockets) }) };
      }),
  };
}

/** Bytes of memory that each socket has added. */
export function memoryPerSocket([before, after]: readonly [number, number], sockets: number): number {
  return (after - before) / sockets;
}

/** Many rooms of five, with one publisher in each: it publishes again when its publication has come back. */
function manyRooms(id: string, rooms: number, modes: readonly Mode[]): Scenario {
  const members = 5;
  return {
    id,
    title: `${commas(rooms)} ${rooms === 1 ? "room" : "rooms"} of 5, one publication in flight in each`,
    key: "cost",
    base: "durable",
    columns: COLUMNS,
    modes,
    run: (running, room, timing) =>
      withCrowd(running, { room, rooms, members, concurrency: 64 }, async (load) => {
        await load.run({ type: "saturate", publishers: 1, window: 1, ms: timing.warm });
        return publishing(await load.run({ type: "saturate", publishers: 1, window: 1, ms: timing.measure }));
      }),
  };
}

const echo: Scenario = {
  id: "echo",
  title: "Echo of one socket: back to back, and after a pause of 25 ms (slow)",
  key: "p50",
  base: "durable",
  columns: ["p50", "p99", "slowP50", "slowP99", "cost"],
  modes: ["full"],
  run: (running, room) =>
    withCrowd(running, oneRoom(room, 1), async (load): Promise<Sample> => {
      await load.run({ type: "lone", publications: 1_000, gap: 0 });
      const fast = publishing(await load.run({ type: "lone", publications: 8 * LONE, gap: 0 }));
      const slow = publishing(await load.run({ type: "lone", publications: 50, gap: PAUSE }));
      return { ...fast, slowP50: slow["p50"] ?? NaN, slowP99: slow["p99"] ?? NaN };
    }),
};

/** The scenarios that publish. */
export const publishScenarios: readonly Scenario[] = [
  lone(100, ["full", "quick"]),
  lone(1_000, ["full"]),
  saturated(1, 100, ["full", "quick"]),
  saturated(20, 100, ["full", "quick"]),
  saturated(1, 1_000, ["full", "quick"]),
  saturated(20, 1_000, ["full"]),
  manyRooms("rooms-200", 200, ["full"]),
  echo,
  ...[10, 100, 1_000, 5_000].map((sockets) => ({
    ...saturated(1, sockets, ["growth"]),
    id: `grow-sockets-${sockets}`,
    columns: [...COLUMNS, "memory"],
  })),
  ...[1, 10, 100, 1_000].map((rooms) => manyRooms(`grow-rooms-${rooms}`, rooms, ["growth"])),
];
