/**
 * `npm run bench -- relays`: what relays cost, save and keep. `--quick` leaves out latencies and the bill, and is small enough
 * for CI; `--check` fails when a budget is missed; `--report` writes the tables of docs/.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { budgetTable } from "../budgets.ts";
import { end, startScript } from "../children.ts";
import { circumstances } from "../machine.ts";
import { formatted } from "../report/markdown.ts";
import { reportRelays } from "../report/relays.ts";
import type { Counted } from "./bill.ts";
import { countRegion, type Region } from "./bytes.ts";
import { crowd, late, smallPair, startRooms, WAYS, type Late, type Small } from "./live.ts";
import { judgeRelays, type OwnCost, type RelayResults } from "./results.ts";
import type { RoomCost } from "./room-process.ts";
import { relayBill, relayTables } from "./tables.ts";
import { countMesh, countRelays, countSmall, startMeshes, startMeteredRooms } from "./units.ts";

/** How much is run. */
interface Sizes {
  readonly members: number;
  readonly publications: number;
  readonly warm: number;
  readonly every: number;
  readonly rounds: number;
  /** Rounds of a small room. */
  readonly pairs: number;
  readonly lone: number;
  readonly sockets: number;
}

const FULL: Sizes = {
  members: 5_000,
  publications: 120,
  warm: 60,
  every: 80,
  rounds: 3,
  pairs: 5,
  lone: 96,
  sockets: 9_800,
};
const QUICK: Sizes = {
  members: 400,
  publications: 40,
  warm: 40,
  every: 40,
  rounds: 2,
  pairs: 3,
  lone: 16,
  sockets: 500,
};
const RELAYS = [0, 1, 5, 20];
const REGIONS = [3, 10, 100, 1_000];
/** Members of a room whose latencies are measured. */
const LATE = 1_000;

/** Runs. Sets the exit code when `check` is on and a budget is missed. */
export async function relays(flags: { readonly quick: boolean; readonly check: boolean; readonly report: boolean }) {
  const started = performance.now();
  const where = circumstances();
  const sizes = flags.quick ? QUICK : FULL;
  const parts = {
    regions: await everyRegion(),
    own: await ownCosts(sizes),
    ...(await onTheRuntime(sizes, flags.quick)),
    ...(await counted(flags.quick)),
  };
  const seconds = Math.round((performance.now() - started) / 1_000);
  const results: RelayResults = { circumstances: { ...where, seconds }, ...parts };
  await save(results, flags.quick ? "relays-quick" : "relays");
  const bill = relayBill(results);
  console.log(
    `\n${where.date}, commit ${where.commit}, ${where.cpu}, ${where.cores} cores, ${where.command}, ${seconds} s`,
  );
  console.log(`\n${relayTables(results)}${bill ? `\n\n${bill.bill}\n\n${bill.counted}` : ""}`);
  if (flags.report) await reportRelays();
  const failed = judgeRelays(results).filter((verdict) => verdict.failed);
  if (!flags.check || failed.length === 0) return;
  console.log(`\nMissed by more than the spread of this run:\n${budgetTable(failed)}`);
  process.exitCode = 1;
}

async function everyRegion(): Promise<Region[]> {
  const regions: Region[] = [];
  for (const members of REGIONS) regions.push(await countRegion(members));
  return regions;
}

/** In every round every layout has its turn, and the next round turns the order around. */
async function ownCosts({ members, publications, warm, every, rounds }: Sizes): Promise<OwnCost[]> {
  const layouts = [...RELAYS.map((count) => ({ relays: count, members })), { relays: 5, members: members / 10 }];
  const found = layouts.map((layout) => ({ ...layout, rounds: [] as RoomCost[] }));
  for (let round = 0; round < rounds; round++) {
    for (const layout of round % 2 === 0 ? found : found.toReversed()) {
      console.error(`own cost: ${layout.relays} relays, ${layout.members} members, round ${round + 1} of ${rounds}`);
      layout.rounds.push(await ownCost([layout.relays, layout.members, publications, warm, every]));
    }
  }
  return found;
}

/** Of relays, members, publications that are measured, publications before, ms from one to the next. */
async function ownCost(numbers: readonly number[]): Promise<RoomCost> {
  const child = startScript("relays/room-process.ts", numbers.map(String));
  try {
    return await new Promise<RoomCost>((resolve, reject) => {
      child.once("message", (cost) => resolve(cost as RoomCost));
      child.once("exit", (code) => reject(new Error(`the room ended with ${code}`)));
    });
  } finally {
    await end(child);
  }
}

async function onTheRuntime({ rounds, pairs, lone, sockets }: Sizes, isQuick: boolean) {
  const server = await startRooms();
  try {
    const rooms: { alone: Small[]; small: Small[] } = { alone: [], small: [] };
    for (let round = 0; round < pairs; round++) {
      console.error(`a small room, round ${round + 1} of ${pairs}`);
      const pair = await smallPair(server, lone);
      rooms.alone.push(pair.alone);
      rooms.small.push(pair.small);
    }
    const latencies: Record<(typeof WAYS)[number], Late[]> = { direct: [], relayed: [], "relayed twice": [] };
    const times = isQuick ? 0 : rounds;
    for (let round = 0; round < times; round++) {
      console.error(`latencies, round ${round + 1} of ${times}`);
      for (const way of round % 2 === 0 ? WAYS : WAYS.toReversed())
        latencies[way].push(await late(server, way, LATE, lone));
    }
    console.error(`${sockets} sockets`);
    const crowded = await crowd(server, isQuick ? "five" : "large", sockets);
    return { small: rooms, crowd: crowded, ...(!isQuick && { late: { members: LATE, rounds: latencies } }) };
  } finally {
    await server.stop();
  }
}

async function counted(isQuick: boolean) {
  console.error("rows of a small room");
  const server = await startMeteredRooms();
  try {
    const rows = { alone: await countSmall(server, "alone"), small: await countSmall(server, "small") };
    if (isQuick) return { rows };
    console.error("what relays use");
    const ours = await countRelays(server);
    return { rows, units: { ours, ...(await countOthers()) } satisfies Counted };
  } finally {
    await server.stop();
  }
}

async function countOthers() {
  console.error("what a mesh uses");
  const server = await startMeshes();
  try {
    return { mesh: await countMesh(server, "mesh"), stored: await countMesh(server, "stored") };
  } finally {
    await server.stop();
  }
}

/** Writes bench/results/<name>.json. */
async function save(results: RelayResults, name: string): Promise<void> {
  const folder = join(import.meta.dirname, "../results");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.json`), await formatted(JSON.stringify(results), "json"));
}
