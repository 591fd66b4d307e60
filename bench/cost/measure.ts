/** Runs the workloads on the real runtime and counts: what a join, a beat, and one of what happens cost in each. */
import { Load } from "../load/load.ts";
import { oneRoom } from "../scenarios/scenario.ts";
import { windowOf } from "../scenarios/publish.ts";
import { between, startMetered, type Metered, type Way } from "./metered.ts";
import type { Use } from "./meter.ts";
import { sum } from "./prices.ts";
import { manyRooms, workloads, type Workload } from "./workloads.ts";

/** What one thing costs, by the name of what was run. */
export interface Counted {
  /** One connection, by workload. */
  readonly join: Readonly<Record<string, Use>>;
  /** One connection lost for good, while others stay: told after the grace, forgotten after the resume window. */
  readonly leave: Use;
  /** One beat or ping of a room that sleeps in between, by its number of members. */
  readonly beat: Readonly<Record<number, Use>>;
  /** One publication or signal, by workload; and `saturated`. */
  readonly one: Readonly<Record<string, Use>>;
  /** How many of each were run. */
  readonly runs: Readonly<Record<string, number>>;
}

/** Three beats of 12 s each, and a moment. */
const BEATS_MS = 37_500;
/** Grace and resume window of the room for it are one and two seconds. */
const LEAVE_MS = 3_500;
const LEAVES = 4;
const per = (use: Use, times: number) => sum([[1 / times, use]]);

/** Counts one way of writing rooms. */
export async function count(way: Way, tell: (what: string) => void): Promise<Counted> {
  const server = await startMetered(way);
  try {
    const sizes = [...new Set([...workloads.map(({ members }) => members), manyRooms.members])];
    // Before the workloads: all objects share a thread, and a handler that waits is billed for it.
    tell(`${way}: beats and leaves`);
    const [leave, ...beats] = await Promise.all([
      countLeave(server),
      ...sizes.map(async (members) => [members, await countBeat(server, members)] as const),
    ]);
    const join: Record<string, Use> = {};
    const one: Record<string, Use> = {};
    const runs: Record<string, number> = {};
    for (const workload of workloads) {
      tell(`${way}: ${workload.title}`);
      const counted = await countRun(server, workload);
      join[workload.id] = counted.join;
      if (counted.one) one[workload.id] = counted.one;
      runs[workload.id] = counted.times;
    }
    tell(`${way}: saturated by 20, 100 sockets`);
    const saturated = await countSaturated(server);
    one["saturated"] = saturated.one;
    runs["saturated"] = saturated.times;
    return { join, leave, beat: Object.fromEntries(beats), one, runs };
  } finally {
    await server.stop();
  }
}

async function countBeat(server: Metered, members: number): Promise<Use> {
  const load = new Load();
  const room = `beat${members}`;
  try {
    await load.run({ type: "open", target: server.target("beat"), crowd: oneRoom(room, members) });
    const before = await server.use("beat", room);
    await load.run({ type: "idle", ms: BEATS_MS });
    const used = between(before, await server.use("beat", room));
    if (used.alarms < 2 || used.built < 2) throw new Error(`${room}: ${used.alarms} beats, built ${used.built} times`);
    return per(used, used.alarms);
  } finally {
    await load.stop();
  }
}

/** One after another, as in life: leaves at the same moment would share their alarms. */
async function countLeave(server: Metered): Promise<Use> {
  const stays = new Load();
  const room = "leave";
  const target = server.target("leave");
  try {
    await stays.run({ type: "open", target, crowd: oneRoom(room, 1) });
    const uses: Use[] = [];
    for (let i = 0; i < LEAVES; i++) {
      const goes = new Load();
      await goes.run({ type: "open", target, crowd: { ...oneRoom(room, 1), first: i + 1 } });
      const before = await server.use("leave", room);
      await goes.stop();
      await stays.run({ type: "idle", ms: LEAVE_MS });
      uses.push(between(before, await server.use("leave", room)));
    }
    return per(sum(uses.map((use) => [1, use] as const)), LEAVES);
  } finally {
    await stays.stop();
  }
}

async function countRun(server: Metered, { id, members, run }: Workload) {
  const load = new Load();
  try {
    await load.run({ type: "open", target: server.target("room"), crowd: oneRoom(id, members) });
    const opened = await server.use("room", id);
    const join = per(opened, members);
    if (!run) return { join, times: 0 };
    await load.run({ type: "pace", ...run });
    const used = between(opened, await server.use("room", id));
    return { join, one: per(used, used.messages), times: used.messages };
  } finally {
    await load.stop();
  }
}

async function countSaturated(server: Metered) {
  const load = new Load();
  try {
    await load.run({ type: "open", target: server.target("room"), crowd: oneRoom("saturated", 100) });
    const opened = await server.use("room", "saturated");
    const { publications } = await load.run({ type: "saturate", publishers: 20, window: windowOf(20), ms: 3_000 });
    return { one: per(between(opened, await server.use("room", "saturated")), publications), times: publications };
  } finally {
    await load.stop();
  }
}
