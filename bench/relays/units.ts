/** Runs small instances on the real runtime and counts what each thing uses, in all objects of a room together. */
import type { Load } from "../load/load.ts";
import { between } from "../cost/metered.ts";
import type { Use } from "../cost/meter.ts";
import { sum } from "../cost/prices.ts";
import { median } from "../measure/stats.ts";
import { startServer, withGroup, type Server } from "./server.ts";

/** What one way of writing large rooms uses. */
export interface Units {
  /** One connection, and an object's first: its tables. */
  readonly join: Use;
  readonly open: Use;
  /** One publication: a part of it once, one for each object that has sockets, one for each socket. */
  readonly once: Use;
  readonly perObject: Use;
  readonly perSocket: Use;
}

/** Ours has more. */
export interface RelayUnits extends Units {
  /** A connection lost for good while others stay: one after another, and one of fifty at once. */
  readonly leave: Use;
  readonly leaveTogether: Use;
  /** A heartbeat of the room, and one of a relay. */
  readonly heartbeatOfRoom: Use;
  readonly heartbeatOfRelay: Use;
}

/** What a small room uses: connections of 100, and then publications, one at a time. */
export interface SmallUse {
  readonly joins: Use;
  readonly publications: Use;
}

/** Objects with sockets, and sockets of each. */
type Layout = readonly [objects: number, each: number];

const PUBLICATIONS = 60;
/** A pause after each, in ms. */
const GAP_MS = 25;
const HEARTBEATS_MS = 10_500;
const LEAVE_MS = 4_000;
const LEAVES = 3;
const REPEATS = 3;
const nothing = sum([]);
const per = (use: Use, times: number) => sum([[1 / times, use]]);
const minus = (a: Use, b: Use) =>
  sum([
    [1, a],
    [-1, b],
  ]);

/** The median of each number. */
function middle(uses: readonly Use[]): Use {
  const names = Object.keys(nothing) as (keyof Use)[];
  return Object.fromEntries(names.map((name) => [name, median(uses.map((use) => use[name]))])) as unknown as Use;
}

/** The metered rooms. */
export function startMeteredRooms(): Promise<Server> {
  const spread = ["Small", "Few", "More", "Heartbeat", "Leave"];
  const objects = spread.flatMap((name) => [
    [name.toUpperCase(), `${name}Room`],
    [`${name.toUpperCase()}_RELAY`, `${name}Relay`],
  ]);
  return startServer("metered-worker.ts", { ALONE: "AloneRoom", ...Object.fromEntries(objects) });
}

/** The metered meshes. */
export function startMeshes(): Promise<Server> {
  return startServer("mesh-worker.ts", { NODE: "Node" });
}

/** Every object of a room: its own name is in theirs. */
async function usesOf(server: Server, room: string): Promise<readonly (readonly [name: string, use: Use])[]> {
  const all = await (await fetch(server.url)).json<Record<string, Use>>();
  return Object.entries(all).filter(([name]) => name === room || new RegExp(`[/-]${room}[/#]`).test(name));
}

async function useOf(server: Server, room: string): Promise<Use> {
  return sum((await usesOf(server, room)).map(([, use]) => [1, use] as const));
}

/** What 100 connections and some publications use in a room without relays, or with relays that it does not need. */
export async function countSmall(server: Server, kind: "alone" | "small"): Promise<SmallUse> {
  const room = `rows${kind}`;
  return withGroup(
    { target: server.target(`/rooms/${kind}/{room}`), room, members: 100, concurrency: 1 },
    async (load) => {
      const joins = await useOf(server, room);
      await load.run({ type: "lone", publications: PUBLICATIONS, gap: GAP_MS });
      return { joins, publications: between(joins, await useOf(server, room)) };
    },
  );
}

/** What one instance used: all joins, and one publication. */
interface Run {
  readonly joins: Use;
  readonly one: Use;
}

/** What a way uses for each thing, from three sizes. Each is run several times: only active time differs much. */
async function count(run: (layout: Layout, nth: number) => Promise<Run>): Promise<Units> {
  const several = async (layout: Layout): Promise<Run> => {
    const runs: Run[] = [];
    while (runs.length < REPEATS) runs.push(await run(layout, runs.length));
    return { joins: middle(runs.map(({ joins }) => joins)), one: middle(runs.map(({ one }) => one)) };
  };
  const [two, four, more] = [await several([2, 50]), await several([4, 50]), await several([2, 150])];
  const join = per(minus(more.joins, two.joins), 2 * 100);
  const perSocket = per(minus(more.one, two.one), 2 * 100);
  const perObject = minus(per(minus(four.one, two.one), 2), sum([[50, perSocket]]));
  const once = sum([
    [1, two.one],
    [-2, perObject],
    [-100, perSocket],
  ]);
  const open = per(minus(two.joins, sum([[100, join]])), 2);
  return { join, open, once, perObject, perSocket };
}

/** Counts rooms with relays. */
export async function countRelays(server: Server): Promise<RelayUnits> {
  const [leave, leaveTogether, heartbeats] = await Promise.all([
    countLeaves(server, 1),
    countLeaves(server, 45),
    countHeartbeats(server),
  ]);
  const units = await count(async ([relays, each], nth) => {
    const kind = each === 50 ? "few" : "more";
    const room = `${kind}${relays}x${nth}`;
    return filled(server, { kind, room, members: relays * each }, async (load, before) => {
      const found = (await usesOf(server, room)).filter(([name, { requests }]) => name !== room && requests > 0);
      if (found.length !== relays) throw new Error(`${room} has ${found.length} relays instead of ${relays}`);
      return measured(server, { room, before }, load);
    });
  });
  return { ...units, leave, leaveTogether, ...heartbeats };
}

/** Counts a mesh, or objects that all store. */
export function countMesh(server: Server, way: "mesh" | "stored"): Promise<Units> {
  return count(async ([objects, each], nth) => {
    const room = `${objects}x${each}x${nth}`;
    const members = objects * each;
    const target = server.target(`/rooms/${way}-${objects}-{room}`, "obvious");
    return withGroup({ target, room: `${way}${room}`, members }, (load) =>
      measured(server, { room: `${way}${room}`, before: nothing }, load),
    );
  });
}

interface Filled {
  readonly kind: string;
  readonly room: string;
  readonly members: number;
}

/** The first member is in the room, and the others are at relays. */
function filled<T>(server: Server, { kind, room, members }: Filled, work: (load: Load, before: Use) => Promise<T>) {
  const target = server.target(`/rooms/${kind}/{room}`);
  return withGroup({ target, room, members: 1 }, async () => {
    const before = await useOf(server, room);
    return withGroup({ target, room, members, first: 1 }, (load) => work(load, before));
  });
}

async function measured(server: Server, { room, before }: { readonly room: string; readonly before: Use }, load: Load) {
  const opened = await useOf(server, room);
  await load.run({ type: "lone", publications: PUBLICATIONS, gap: GAP_MS });
  const used = between(opened, await useOf(server, room));
  return { joins: between(before, opened), one: per(used, PUBLICATIONS) };
}

/** What a leave uses, at a relay: so many at the same moment share their alarms. */
function countLeaves(server: Server, together: number): Promise<Use> {
  const room = `leaves${together}`;
  return filled(server, { kind: "leave", room, members: 1 }, async () => {
    const uses: Use[] = [];
    for (let i = 0; i < LEAVES; i++) {
      const target = server.target("/rooms/leave/{room}");
      const leaving = { target, room, members: together, first: 10 + i * together };
      const joined = await withGroup(leaving, () => useOf(server, room));
      await new Promise((resolve) => setTimeout(resolve, LEAVE_MS));
      uses.push(between(joined, await useOf(server, room)));
    }
    return per(sum(uses.map((use) => [1, use] as const)), LEAVES * together);
  });
}

/** Nothing happens but heartbeats. A relay's are those of itself and of what it asks of the room for them. */
function countHeartbeats(server: Server) {
  const room = "heartbeats";
  return filled(server, { kind: "heartbeat", room, members: 50 }, async (load) => {
    const before = new Map(await usesOf(server, room));
    await load.run({ type: "idle", ms: HEARTBEATS_MS });
    const uses = (await usesOf(server, room)).map(
      ([name, use]) => [name, between(before.get(name) ?? nothing, use)] as const,
    );
    const ownOf = (isRoom: boolean) => {
      const use = uses.find(([name, { alarms }]) => (name === room) === isRoom && alarms > 1)?.[1];
      if (!use) throw new Error("there were no heartbeats");
      return per(use, use.alarms);
    };
    return { heartbeatOfRoom: ownOf(true), heartbeatOfRelay: ownOf(false) };
  });
}
