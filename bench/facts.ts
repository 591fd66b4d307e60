/** What a budget asks for and no rival has: rows written per publication and per beat, beats an hour, the client's bytes. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { beatsPerHour } from "./cost/beats.ts";
import { between, startMetered } from "./cost/metered.ts";
import { Load } from "./load/load.ts";
import type { Sample } from "./sample.ts";
import { oneRoom } from "./scenarios/scenario.ts";
import { windowOf } from "./scenarios/publish.ts";

/** Two beats of 12 s, and a moment. */
const BEATS_MS = 25_000;

/** Counts them, on the real runtime. */
export async function findFacts(): Promise<Sample> {
  const server = await startMetered("ours");
  const publishing = new Load();
  const resting = new Load();
  const use = () => server.use("room", "rows");
  try {
    await resting.run({ type: "open", target: server.target("beat"), crowd: oneRoom("rest", 5) });
    const before = await server.use("beat", "rest");
    const rested = resting.run({ type: "idle", ms: BEATS_MS });
    await publishing.run({ type: "open", target: server.target("room"), crowd: oneRoom("rows", 100) });
    const atFirst = await use();
    const alone = await publishing.run({ type: "lone", ms: 2_000, gap: 25 });
    const afterAlone = await use();
    const crowded = await publishing.run({ type: "saturate", publishers: 20, window: windowOf(20), ms: 1_500 });
    const afterCrowded = await use();
    await rested;
    const beats = between(before, await server.use("beat", "rest"));
    return {
      rowsAlone: between(atFirst, afterAlone).rowsWritten / alone.publications,
      rowsSaturated: between(afterAlone, afterCrowded).rowsWritten / crowded.publications,
      rowsPerBeat: beats.rowsWritten / beats.alarms,
      awakeForBeats: Math.max(0, beats.alarms - beats.built),
      wokenByOthers: beats.requests + beats.messages,
      beatsActive: beatsPerHour(true),
      beatsIdle: beatsPerHour(false),
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
