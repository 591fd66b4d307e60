/** Runs the workloads on the real runtime and counts what a join, a leave, a heartbeat and a publication use in each. */
import { Load } from "../load/load.ts";
import { oneRoom } from "../scenarios/scenario.ts";
import { windowOf } from "../scenarios/publish.ts";
import type { Counted, Way } from "./counted.ts";
import { between, startMetered, type Metered } from "./metered.ts";
import type { Use } from "./meter.ts";
import { sum } from "./prices.ts";
import { manyRooms, workloads, type Workload } from "./workloads.ts";

/** Three heartbeats of 12 s each, and a second. */
const HEARTBEATS_MS = 37_500;
/** Ms until a leave is over: the room for it has a grace of one second and a resume window of two. */
const LEAVE_MS = 3_500;
const LEAVES = 4;
const per = (use: Use, times: number) => sum([[1 / times, use]]);

/** Counts one way of writing rooms. Reports what it is about to run. */
export async function count(way: Way, report: (what: string) => void): Promise<Counted> {
  const server = await startMetered(way);
  try {
    const sizes = [...new Set([...workloads.map(({ members }) => members), manyRooms.members])];
    // Before the workloads: all objects share a thread, and the time in which a handler waits counts as active.
    report(`${way}: heartbeats and leaves`);
    const [leave, ...heartbeats] = await Promise.all([
      countLeave(server),
      ...sizes.map(async (members) => [members, await countHeartbeat(server, members)] as const),
    ]);
    const join: Record<string, Use> = {};
    const one: Record<string, Use> = {};
    const runs: Record<string, number> = {};
    for (const workload of workloads) {
      report(`${way}: ${workload.title}`);
      const counted = await countRun(server, workload);
      join[workload.id] = counted.join;
      if (counted.one) one[workload.id] = counted.one;
      runs[workload.id] = counted.times;
    }
    report(`${way}: saturated by 20, 100 sockets`);
    const saturated = await countSaturated(server);
    one["saturated"] = saturated.one;
    runs["saturated"] = saturated.times;
    return { join, leave, heartbeat: Object.fromEntries(heartbeats), one, runs };
  } finally {
    await server.stop();
  }
}

async function countHeartbeat(server: Metered, members: number): Promise<Use> {
  const load = new Load();
  const room = `heartbeat${members}`;
  try {
    await load.run({ type: "open", target: server.target("heartbeat"), crowd: oneRoom(room, members) });
    const before = await server.use("heartbeat", room);
    await load.run({ type: "idle", ms: HEARTBEATS_MS });
    const used = between(before, await server.use("heartbeat", room));
    if (used.alarms < 2 || used.built < 2) throw new Error(`${room}: ${used.alarms} alarms, built ${used.built} times`);
    return per(used, used.alarms);
  } finally {
    await load.stop();
  }
}

/** One after another: leaves at the same moment would share their alarms. */
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
    const { sent = 0 } = await load.run({ type: "pace", ...run });
    const used = between(opened, await server.use("room", id));
    return { join, one: per(used, sent), times: sent };
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
