/** The process that makes the load. Does one job of the bench after another, and ends with the bench. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { snapshot } from "../measure/process.ts";
import { latency } from "../measure/stats.ts";
import { Clients } from "./crowd.ts";
import { lone, pace, saturate } from "./drive.ts";
import type { Answer, Job, Reading } from "./jobs.ts";
import { comeBack, stayAway } from "./resume.ts";

/** How often the event loop's delay is sampled, in ms. */
const SAMPLED = 5;
/** Ms after a job in which the server handles what came last, such as acks: they are part of its cost. */
const SETTLE = 100;

let clients: Clients | undefined;

async function run(job: Job): Promise<Reading> {
  if (job.type === "open") {
    const opening = new Clients(job.target);
    clients = opening;
    return measured(opening, async () => ({ latency: latency(await opening.open(job.crowd)) }));
  }
  const crowd = clients;
  if (!crowd) throw new Error("no client is connected");
  switch (job.type) {
    case "lone":
      return measured(crowd, () => lone(crowd, job.publications, job.gap));
    case "saturate":
      return measured(crowd, async () => ({ latency: await saturate(crowd, job.publishers, job.window, job.ms) }));
    case "pace":
      return measured(crowd, () => pace(crowd, job));
    case "resume": {
      const away = await stayAway(crowd, job.missed, job.returning);
      return measured(crowd, () => comeBack(crowd, away, job.missed));
    }
    case "idle":
      return measured(crowd, async () => {
        await new Promise((resolve) => setTimeout(resolve, job.ms));
        crowd.check();
        return {};
      });
  }
}

/** Does the work, and compares server and generator before and after. */
async function measured(crowd: Clients, work: () => Promise<Partial<Reading>>): Promise<Reading> {
  const { pid } = crowd.target;
  const counts = () => ({
    publications: crowd.count("published"),
    deliveries: crowd.count("received"),
    messages: crowd.count("messages"),
    acks: crowd.count("acknowledged"),
  });
  const late = monitorEventLoopDelay({ resolution: SAMPLED });
  late.enable();
  const before = { server: snapshot(pid), own: process.cpuUsage(), at: performance.now(), ...counts() };
  const found = await work();
  const ms = performance.now() - before.at;
  const own = process.cpuUsage(before.own);
  late.disable();
  await new Promise((resolve) => setTimeout(resolve, SETTLE));
  const server = snapshot(pid);
  const after = counts();
  return {
    ms,
    cpu: server.cpu - before.server.cpu,
    rss: [before.server.rss, server.rss],
    wakes: server.sleeps - before.server.sleeps,
    publications: after.publications - before.publications,
    deliveries: after.deliveries - before.deliveries,
    messages: after.messages - before.messages,
    acks: after.acks - before.acks,
    generator: { cpu: (own.user + own.system) / 1_000 / ms, late: Math.max(0, late.percentile(99) / 1e6 - SAMPLED) },
    ...found,
  };
}

process.on("message", (job: Job) => {
  const answer = (text: Answer) => process.send?.(text);
  run(job).then(
    (reading) => answer({ ok: true, reading }),
    (error: unknown) => answer({ ok: false, error: String(error) }),
  );
});
process.on("disconnect", () => process.exit());
