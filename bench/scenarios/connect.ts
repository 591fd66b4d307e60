/** Scenarios that connect: a storm of new clients, a storm of resumes, and one resume from far behind. */
import { median } from "../measure/stats.ts";
import { generatorOf, publishing, type Sample } from "../sample.ts";
import type { Running } from "../rivals.ts";
import { memoryPerSocket } from "./publish.ts";
import { oneRoom, withCrowd, type Scenario } from "./scenario.ts";

const STORM = 2_000;

const storm: Scenario = {
  id: "storm-2000",
  title: "2,000 connect to one room, 200 at a time, each token verified",
  key: "cost",
  base: "durable",
  columns: ["cost", "rate", "p50", "p99", "memory", "generator", "late"],
  modes: ["full"],
  run: (running, room, { first }) =>
    withCrowd(running, { room, rooms: 1, members: STORM, concurrency: 200 }, async (_load, opened) => ({
      cost: (opened.cpu * 1_000) / STORM,
      rate: (STORM / opened.ms) * 1_000,
      p50: opened.latency?.p50 ?? NaN,
      p99: opened.latency?.p99 ?? NaN,
      ...(first && { memory: memoryPerSocket(opened.rss, STORM) }),
      ...generatorOf(opened),
    })),
};

/** How many clients resume, how much each has missed, and how often that is measured. */
interface Resumes {
  readonly returning: number;
  readonly missed: number;
  readonly times: number;
}

/** Clients resume. CPU is in ms for each of them, upgrade and token included; the median of several times. */
async function resumed(running: Running, room: string, { returning, missed, times }: Resumes) {
  return withCrowd(running, oneRoom(room, returning + 1), async (load): Promise<Sample> => {
    const samples: Sample[] = [];
    while (samples.length < times) {
      const reading = await load.run({ type: "resume", missed, returning });
      samples.push({
        ...publishing(reading),
        each: reading.cpu / returning,
        messages: reading.messages / returning,
        done: reading.ms,
      });
    }
    const names = Object.keys(samples[0] ?? {});
    return Object.fromEntries(names.map((name) => [name, median(samples.map((sample) => sample[name] ?? NaN))]));
  });
}

const resumeStorm: Scenario = {
  id: "resume-1000",
  title: "1,000 resume at once, each 200 publications behind",
  key: "each",
  base: "durable",
  columns: ["each", "cost", "messages", "done", "p50", "generator", "late"],
  modes: ["full"],
  takes: ({ resumes }) => resumes === true,
  run: (running, room) => resumed(running, room, { returning: 1_000, missed: 200, times: 1 }),
};

const resumeFar: Scenario = {
  id: "resume-1",
  title: "One resumes, 1,000 publications behind",
  key: "each",
  base: "durable",
  columns: ["each", "messages", "done"],
  modes: ["full", "quick"],
  takes: ({ resumes }) => resumes === true,
  run: (running, room, { times }) => resumed(running, room, { returning: 1, missed: 1_000, times }),
};

/** The scenarios that connect. */
export const connectScenarios: readonly Scenario[] = [storm, resumeStorm, resumeFar];
