/** Numbers of budgets that no rival has: rows written per publication and per heartbeat, heartbeats, the client's size. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { heartbeatsPerHour } from "./cost/heartbeats.ts";
import { between, startMetered } from "./cost/metered.ts";
import { Load } from "./load/load.ts";
import type { Sample } from "./sample.ts";
import { oneRoom } from "./scenarios/scenario.ts";
import { windowOf } from "./scenarios/publish.ts";

/** Two heartbeats of 12 s, and a second. */
const HEARTBEATS_MS = 25_000;

/** Counts them, on the real runtime. */
export async function findFacts(): Promise<Sample> {
  const server = await startMetered("ours");
  const publishing = new Load();
  const resting = new Load();
  const use = () => server.use("room", "rows");
  try {
    await resting.run({ type: "open", target: server.target("heartbeat"), crowd: oneRoom("rest", 5) });
    const before = await server.use("heartbeat", "rest");
    const rested = resting.run({ type: "idle", ms: HEARTBEATS_MS });
    await publishing.run({ type: "open", target: server.target("room"), crowd: oneRoom("rows", 100) });
    const atFirst = await use();
    const alone = await publishing.run({ type: "lone", publications: 64, gap: 25 });
    const afterAlone = await use();
    const crowded = await publishing.run({ type: "saturate", publishers: 20, window: windowOf(20), ms: 1_500 });
    const afterCrowded = await use();
    await rested;
    const heartbeats = between(before, await server.use("heartbeat", "rest"));
    return {
      rowsAlone: between(atFirst, afterAlone).rowsWritten / alone.publications,
      rowsSaturated: between(afterAlone, afterCrowded).rowsWritten / crowded.publications,
      rowsPerHeartbeat: heartbeats.rowsWritten / heartbeats.alarms,
      awakeForHeartbeats: Math.max(0, heartbeats.alarms - heartbeats.built),
      wokenByOthers: heartbeats.requests + heartbeats.messages,
      heartbeatsActive: heartbeatsPerHour(true),
      heartbeatsIdle: heartbeatsPerHour(false),
      clientBytes: clientBytes(),
    };
  } finally {
    await Promise.all([publishing.stop(), resting.stop(), server.stop()]);
  }
}

function clientBytes(): number {
  const script = join(import.meta.dirname, "../scripts/size.mjs");
  const { stdout } = spawnSync(process.execPath, [script], { encoding: "utf8" });
  return Number(/(\d+) gzipped/.exec(stdout)?.[1] ?? NaN);
}
