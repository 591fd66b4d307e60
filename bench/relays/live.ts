/** What only real sockets show, on plain workerd: that everybody gets everything, how late, and what a small room pays. */
import { windowOf } from "../scenarios/publish.ts";
import type { Reading } from "../load/jobs.ts";
import { startServer, withGroup, type Server } from "./server.ts";

/** Starts the rooms. */
export function startRooms(): Promise<Server> {
  return startServer("worker.ts", {
    ALONE: "AloneRoom",
    SMALL: "SmallRoom",
    SMALL_RELAY: "SmallRelay",
    FIVE: "FiveRoom",
    FIVE_RELAY: "FiveRelay",
    LARGE: "LargeRoom",
    LARGE_RELAY: "LargeRelay",
  });
}

const pathOf = (kind: string) => `/rooms/${kind}/{room}`;

/** What reached the sockets of one large room. */
export interface Crowded {
  readonly sockets: number;
  /** Sockets of each relay that has any. */
  readonly relays: readonly number[];
  readonly publications: number;
  readonly deliveries: number;
  /** CPU of the whole process for each, in us. */
  readonly cost: number;
}

/** So many sockets at relays of 2,000, or of 200. Rejects unless each gets every publication once and in order. */
export async function crowd(server: Server, kind: "large" | "five", sockets: number): Promise<Crowded> {
  const target = server.target(pathOf(kind));
  const room = `crowd${sockets}`;
  // The first is in the room, the others are at relays, and one of these publishes.
  return withGroup({ target, room, members: 1 }, () =>
    withGroup({ target, room, members: sockets, first: 1 }, async (load) => {
      const alone = await load.run({ type: "lone", publications: 5, gap: 50 });
      const full = await load.run({ type: "saturate", publishers: 5, window: windowOf(1), ms: 2_000 });
      const deliveries = alone.deliveries + full.deliveries;
      const counts = await (await fetch(`${server.url}/sockets/${kind}/${room}`)).json<number[]>();
      const publications = alone.publications + full.publications;
      if (deliveries !== publications * sockets) throw new Error(`${deliveries} deliveries of ${publications}`);
      const relays = counts.filter((count) => count > 0);
      const there = relays.reduce((total, n) => total + n, 0);
      if (there !== sockets) throw new Error(`${there} sockets are at relays, not ${sockets}`);
      return { sockets, relays, publications, deliveries, cost: ((alone.cpu + full.cpu) * 1_000) / deliveries };
    }),
  );
}

/** Where the members of a room are, and the one who publishes. */
export const WAYS = ["direct", "relayed", "relayed twice"] as const;
export type Way = (typeof WAYS)[number];

/** Latencies of single publications, in ms, and CPU of the whole process for each delivery, in us. */
export interface Late {
  readonly p50: number;
  readonly p99: number;
  readonly allP50: number;
  readonly cost: number;
}

/** Single publications in a room of so many, one after another. */
export async function late(server: Server, way: Way, members: number, publications: number): Promise<Late> {
  const room = `late${members}-${crypto.randomUUID()}`;
  const target = server.target(pathOf(way === "direct" ? "alone" : "five"));
  const measure = (first: number, concurrency: number) =>
    withGroup({ target, room, members, first, concurrency }, async (load) => {
      await load.run({ type: "lone", publications: 16, gap: 25 });
      return lateOf(await load.run({ type: "lone", publications, gap: 25 }));
    });
  if (way === "relayed twice") return withGroup({ target, room, members: 1 }, () => measure(1, 64));
  // One after another: the first, who publishes, is in the room, and only it.
  return measure(0, way === "relayed" ? 1 : 64);
}

function lateOf({ latency, everyone, cpu, deliveries }: Reading): Late {
  const { p50 = NaN, p99 = NaN } = latency ?? {};
  return { p50, p99, allP50: everyone?.p50 ?? NaN, cost: (cpu * 1_000) / deliveries };
}

/** What a small room costs: CPU of the process for each delivery, in us. */
export interface Small {
  readonly lone: number;
  readonly saturated: number;
}

/** Slices of a round. Two rooms take turns in them, so that what the machine does it does to both. */
const SLICES = 4;
const KINDS = ["alone", "small"] as const;

/** Two rooms of 100 in turns: without relays, and with relays that it does not use. */
export async function smallPair(server: Server, publications: number): Promise<Record<(typeof KINDS)[number], Small>> {
  const name = crypto.randomUUID();
  const group = (kind: string) => ({
    target: server.target(pathOf(kind)),
    room: `small-${kind}-${name}`,
    members: 100,
  });
  return withGroup(group("alone"), (alone) =>
    withGroup(group("small"), async (spread) => {
      const taken = { alone: new Taken(), small: new Taken() };
      const loads = { alone, small: spread };
      for (let slice = 0; slice <= SLICES; slice++) {
        for (const kind of slice % 2 === 0 ? KINDS : KINDS.toReversed()) {
          const lone = await loads[kind].run({ type: "lone", publications: Math.ceil(publications / SLICES), gap: 25 });
          const full = await loads[kind].run({ type: "saturate", publishers: 1, window: windowOf(1), ms: 400 });
          // In the first the code is compiled.
          if (slice > 0) taken[kind].add(lone, full);
        }
      }
      return { alone: taken.alone.small, small: taken.small.small };
    }),
  );
}

class Taken {
  readonly #lone = { cpu: 0, deliveries: 0 };
  readonly #full = { cpu: 0, deliveries: 0 };

  add(lone: Reading, full: Reading): void {
    for (const [sum, { cpu, deliveries }] of [
      [this.#lone, lone],
      [this.#full, full],
    ] as const) {
      sum.cpu += cpu;
      sum.deliveries += deliveries;
    }
  }

  get small(): Small {
    const each = ({ cpu, deliveries }: { cpu: number; deliveries: number }) => (cpu * 1_000) / deliveries;
    return { lone: each(this.#lone), saturated: each(this.#full) };
  }
}
