/** Scenarios of rest: what idle sockets cost, and how fast a sleeping room delivers. All rivals run at once. */
import { Load } from "../load/load.ts";
import type { Reading } from "../load/jobs.ts";
import type { Running } from "../rivals.ts";
import type { Sample } from "../sample.ts";
import { memoryPerSocket } from "./publish.ts";
import { oneRoom, type Scenario } from "./scenario.ts";

const IDLE_SOCKETS = 2_000;
const IDLE_MS = 120_000;
/** Ms before idling is measured, in which the server finishes what connecting has left. */
const SETTLE = 5_000;
/** workerd evicts a room 10 s after its last event. */
const ASLEEP = 13_000;
const WAKE_SOCKETS = 100;
const TRIES = 4;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Opens a crowd for every rival, one after the other. */
async function openAll(running: ReadonlyMap<string, Running>, room: string, sockets: number) {
  const opened: { id: string; server: Running; load: Load; reading: Reading }[] = [];
  for (const [id, server] of running) {
    const load = new Load();
    const reading = await load.run({ type: "open", target: server.target, crowd: oneRoom(room, sockets) });
    opened.push({ id, server, load, reading });
  }
  return opened;
}

const idle: Scenario = {
  id: "idle-2000",
  title: "2,000 idle sockets for 2 minutes",
  key: "cpu",
  base: "durable",
  columns: ["memory", "memoryAfter", "cpu", "wakes"],
  modes: ["full"],
  rounds: 1,
  async together(running, room) {
    const crowds = await openAll(running, room, IDLE_SOCKETS);
    await sleep(SETTLE);
    const samples = new Map<string, Sample>();
    await Promise.all(
      crowds.map(async ({ id, load, reading }) => {
        const rest = await load.run({ type: "idle", ms: IDLE_MS });
        const [before] = reading.rss;
        samples.set(id, {
          memory: memoryPerSocket(reading.rss, IDLE_SOCKETS),
          memoryAfter: memoryPerSocket([before, rest.rss[1]], IDLE_SOCKETS),
          cpu: rest.cpu,
          wakes: (rest.wakes / rest.ms) * 60_000,
        });
      }),
    );
    for (const { load } of crowds) await load.stop();
    return samples;
  },
};

const wake: Scenario = {
  id: "wake",
  title: "A sleeping room, 100 sockets: from publish to the first and to the last delivery",
  key: "last",
  base: "durable",
  columns: ["first", "last", "cpu"],
  modes: ["full"],
  takes: ({ hibernates }) => hibernates === true,
  async together(running, room) {
    let awake = await openAll(running, room, WAKE_SOCKETS);
    const samples = new Map<string, Sample>();
    for (let tries = 0; awake.length > 0; tries++) {
      if (tries === TRIES) throw new Error(`never slept: ${awake.map(({ id }) => id).join(", ")}`);
      const built = new Map<string, number>();
      for (const { id, server } of awake) built.set(id, (await server.built?.()) ?? 0);
      await sleep(ASLEEP);
      const still: typeof awake = [];
      for (const crowd of awake) {
        const { id, server, load } = crowd;
        const reading = await load.run({ type: "lone", publications: 1, gap: 0 });
        const slept = (await server.built?.()) === (built.get(id) ?? 0) + 1;
        if (!slept) {
          // A busy machine evicts late: this room was awake. Try again.
          still.push(crowd);
          continue;
        }
        const { latency, everyone, cpu } = reading;
        samples.set(id, { first: latency?.first ?? NaN, last: everyone?.p50 ?? NaN, cpu });
        await load.stop();
      }
      awake = still;
    }
    return samples;
  },
};

/** The scenarios of rest. */
export const restScenarios: readonly Scenario[] = [wake, idle];
