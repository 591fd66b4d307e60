/**
 * `npm run chaos -- --seed N --minutes M --clients C`: the real Worker in a process of its own, many clients in others,
 * a network that breaks, a nemesis with a seed, and at the end a checker that decides the promises.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Proxy } from "../serve/proxy.ts";
import { Workerd } from "../serve/workerd.ts";
import { patience } from "../support/patience.ts";
import { draft } from "./crew.ts";
import { Fleet } from "./fleet.ts";
import { judge, type Kept } from "./judge.ts";
import { expose, Nemesis, type Route } from "./nemesis.ts";
import type { Status } from "./orders.ts";
import { Progress } from "./progress.ts";
import { Recorder } from "./record.ts";
import type { Opened } from "./relayed.ts";
import { complaints, type Run } from "./report.ts";
import { isLarge, relaysOf, rooms } from "./rooms.ts";
import { faults, schedule } from "./schedule.ts";
import type { Present, TruthPage } from "./truth.ts";

/**
 * How long everyone may take to come back and catch up when everything works again, in ms. A member of a relay may be late by
 * a heartbeat; a room learns within 30 s who was lost with a relay to which nobody comes back.
 */
const SETTLE_MS = patience(20_000);
/** Between two looks at whether everyone has. */
const LOOK_MS = 500;
/** Nothing may happen for so long when everything has settled: how everyone is is noted then. No token may run out. */
const STILL_MS = patience(1_000);

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    minutes: { type: "string", default: "2" },
    clients: { type: "string", default: "24" },
    processes: { type: "string", default: "3" },
    report: { type: "string" },
    keep: { type: "boolean", default: false },
    judge: { type: "string" },
    without: { type: "string", multiple: true, default: [] },
  },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
const minutes = Number(values.minutes);
const count = Number(values.clients);
const processes = Math.min(Number(values.processes), count);
if (!Number.isInteger(seed) || !(minutes > 0) || !(count >= rooms.length) || !(processes >= 1)) {
  throw new TypeError(`--seed is an integer, --minutes above 0, --clients at least ${rooms.length}`);
}

const { without } = values;
if (!without.every((name) => name in faults))
  throw new TypeError(`--without is one of ${Object.keys(faults).join(", ")}`);
if (values.judge !== undefined) process.exit((await judge(values.judge, values.report)) ? 0 : 1);

const folder = mkdtempSync(join(tmpdir(), "edgerooms-chaos-"));
const secret = `chaos-${seed}-${"0".repeat(32)}`;
const workerd = new Workerd({
  entry: join(import.meta.dirname, "worker.ts"),
  objects: { WIDE: "WideRoom", TIGHT: "TightRoom", LARGE: "LargeRoom", LARGE_RELAY: "ChaosRelay" },
  vars: { AUTH_SECRET: secret },
  flags: ["unsafe_module"],
  args: ["--experimental"],
});
const fleet = new Fleet();
const routes = new Map<string, Route>();

// Nothing survives this process, however it ends; but a whole history does that nobody has read yet.
let finished = false;
process.on("exit", () => {
  fleet.kill();
  if (!finished) rmSync(folder, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));

async function main(): Promise<boolean> {
  const recorder = new Recorder(join(folder, "nemesis.jsonl"));
  await workerd.start();
  for (const client of draft(seed, count)) {
    const weather = { delay: 0, throttle: undefined, out: false };
    const proxy = new Proxy(
      () => workerd.port,
      (link) => expose(link, weather),
    );
    await proxy.start();
    routes.set(client.name, { plan: { ...client, port: proxy.port }, proxy, weather });
  }
  const plans = [...routes.values()].map(({ plan }) => plan);
  await fleet.start(plans, processes, folder, secret);
  const guard = () => {
    fleet.all({ order: "guard", pid: workerd.pid });
  };
  guard();
  const nemesis = new Nemesis(workerd, routes, fleet, recorder, guard);
  const progress = new Progress(minutes * 60_000, () => ({ statuses: fleet.statuses, faults: nemesis.done }));
  const flushing = setInterval(() => recorder.flush(), 1_000);
  progress.phase("chaos");
  await nemesis.play(schedule(seed, minutes * 60_000, plans, without));
  progress.phase("settling");
  await nemesis.heal();
  fleet.all({ order: "settle" });
  const late = await settled(() => fleet.statuses);
  // Notes how the clients are, with what the rooms said a moment before: nothing happens any more.
  const live = await pages();
  await fleet.end();
  // What a crash can undo was never true: the rooms are read again after one.
  await nemesis.restart();
  const durable = await pages();
  const opened = await atRelays();
  clearInterval(flushing);
  recorder.flush();
  progress.phase("checking");
  progress.end();
  const printed = complaints(nemesis.output + workerd.output);
  const run: Run = { seed, minutes, clients: count, processes, without, plans, late, complaints: printed };
  finished = true;
  writeFileSync(join(folder, "run.json"), JSON.stringify({ run, live, durable, opened } satisfies Kept));
  return judge(folder, values.report);
}

/** Waits until everyone is connected, owes nothing, has everything and knows who is here; returns who is not. */
async function settled(statuses: () => readonly Status[]): Promise<string[]> {
  const deadline = performance.now() + SETTLE_MS;
  let late: string[] = [];
  let calm = 0;
  while (performance.now() < deadline) {
    await sleep(LOOK_MS);
    const now = statuses();
    const soon = Date.now() + STILL_MS;
    late = now.flatMap(({ client, open, pending, endsAt }) => (open && pending === 0 && endsAt > soon ? [] : [client]));
    for (const room of rooms) {
      const present = await ask<Present>(room, "present").catch(() => undefined);
      const listed = (present?.members ?? []).map(([id, data]) => `${id} ${data}`).toSorted();
      const mine = now.filter((status) => status.room === room);
      for (const { client, position, members, count: told } of mine) {
        const knows = isLarge(room) ? told === listed.length : members.toSorted().join() === listed.join();
        if (position !== present?.head || !knows) late.push(client);
      }
      // Copies and guests are gone when the room has noticed.
      const users = new Set([...routes.values()].filter(({ plan }) => plan.room === room).map(({ plan }) => plan.user));
      if (listed.length !== users.size) late.push(room);
    }
    // Those who fell into a quiet period after the healing are told again; a copy that leaves is told of after the grace.
    if (late.length > 0) fleet.all({ order: "settle" });
    const isWhole = now.length === count;
    calm = late.length === 0 && isWhole ? calm + 1 : 0;
    if (calm >= 8) return [];
  }
  return [...new Set(late)];
}

async function ask<T>(room: string, what: string): Promise<T> {
  const response = await fetch(`${workerd.url}/chaos/${room}/${what}`, { signal: AbortSignal.timeout(patience()) });
  if (!response.ok) throw new Error(`${room}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

/** What the rooms' tables hold, page by page. */
async function pages(): Promise<Record<string, TruthPage[]>> {
  const found: Record<string, TruthPage[]> = {};
  for (const room of rooms) {
    const mine: TruthPage[] = (found[room] = []);
    for (let after: number | undefined = 0; after !== undefined;) {
      const page: TruthPage = await ask<TruthPage>(room, `truth?after=${after}`);
      mine.push(page);
      after = page.said.at(-1)?.[0];
    }
  }
  return found;
}

/** What the relays of each room opened. */
async function atRelays(): Promise<Record<string, Opened[]>> {
  const found: Record<string, Opened[]> = {};
  for (const room of rooms) {
    const mine: Opened[] = (found[room] = []);
    for (const relay of relaysOf(room)) {
      mine.push(...(await ask<Opened[]>(room, `opened?relay=${encodeURIComponent(relay)}`)));
    }
  }
  return found;
}

let kept = true;
try {
  kept = await main();
} finally {
  fleet.kill();
  await workerd.stop();
  for (const { proxy } of routes.values()) for (const link of proxy.links) link.cut();
}
if (kept && !values.keep) rmSync(folder, { recursive: true, force: true });
process.exit(kept ? 0 : 1);
