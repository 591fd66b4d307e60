/**
 * `edgerooms drain`: sends everybody away from one room or from all that are live, and waits until nobody is connected
 * any more. For the minute before a deploy.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { roomIn, pathOf } from "./address.ts";
import { Failure, Misuse, SERVER, type Command } from "./command.ts";
import { Server } from "./http.ts";
import { liveRooms, nameOf } from "./listing.ts";
import { notice, print, printJson, progress } from "./output.ts";
import { count } from "./text.ts";

interface Drained {
  readonly until: number;
  readonly reopens: number;
  readonly connections: number;
}

/** How a room is seen while it empties: its connections, and since when it has taken new ones, if it has. */
interface Seen {
  readonly connections: number;
  readonly openSince: number;
}

interface Job {
  /** Rooms that have somebody in them, by name; their paths. */
  targets(): Promise<ReadonlyMap<string, string>>;
  /** Rooms that have somebody in them, by name. */
  look(): Promise<ReadonlyMap<string, Seen>>;
}

/** Rooms that are being told at the same time. */
const AT_ONCE = 16;
/** How long after the deadline a room may stay on the list: its alarm can be late. */
const PATIENCE_MS = 15_000;
const ASK_EVERY_MS = 500;

/** The command `drain`. */
export const drain: Command = {
  name: "drain",
  summary: "Sends everybody away from a room, or from all live rooms, and waits until they are gone.",
  takes: "ROOM|--all|URL",
  count: [0, 1],
  options: {
    all: { help: "every live room; a URL instead of ROOM means every live room there" },
    within: { value: "SECONDS", help: "time that clients have to go before they are closed, 0 to 3600. Default: 30" },
    hold: { value: "SECONDS", help: "time after that in which rooms take nobody, 0 to 3600. Default: 60" },
    ...SERVER,
  },
  more: `The token's "rooms" claim must grant admin, such as {"*": ["admin"]}. Ends with 1 when a room was not told or not
emptied, and also (this command alone) when the command line makes no sense.`,
  // Deploy scripts know this command by 0 and 1.
  misuseExit: 1,
  async run(words) {
    const [target] = words.positionals;
    const url = target?.includes("://") ? target : undefined;
    const room = target === undefined || url !== undefined ? undefined : roomIn(target);
    if (room && words.has("all")) throw new Misuse("Name a room or say --all, not both.");
    const [within, hold] = [seconds(words.text("within") ?? "30"), seconds(words.text("hold") ?? "60")];
    if (target === undefined && !words.has("all")) throw new Misuse("Name a room, or say --all.");
    const server = new Server(words, url);
    const body = JSON.stringify({ within, hold });
    const job = room ? oneRoom(server, room.name, room.path) : everyRoom(server);

    const told = new Map<string, Drained | undefined>();
    const failed: string[] = [];
    const tell = async (name: string, path: string) => {
      try {
        const asked = server.ask<Drained>(`${path}/drain`, ["until", "connections"], { method: "POST", body });
        told.set(name, (await asked).value);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        failed.push(`${name}: ${error.message}`);
        told.set(name, undefined);
      }
    };
    // A client that is sent away from one room may open another meanwhile: again until there is nobody new.
    while ((await tellAll(job, told, tell)) > 0);
    const rooms = [...told].flatMap(([name, drained]) => (drained ? [{ name, ...drained }] : []));
    const left = await untilEmpty(job, rooms, within + PATIENCE_MS);
    if (words.has("json")) await printJson({ rooms, failed, left });
    else await report(told.size, rooms, failed, left, hold > 0);
    if (failed.length + left.length > 0) process.exitCode = 1;
  },
};

function seconds(text: string): number {
  const number = text.trim() === "" ? NaN : Number(text);
  if (!(number >= 0 && number <= 3_600)) throw new Misuse("--within and --hold are 0 to 3600 seconds.");
  return number * 1_000;
}

function everyRoom(server: Server): Job {
  return {
    targets: async () =>
      new Map((await liveRooms(server)).map((room) => [nameOf(room), pathOf(room.kind, room.room)] as const)),
    look: async () =>
      new Map(
        (await liveRooms(server)).map((room) => [nameOf(room), { connections: room.connections, openSince: room.at }]),
      ),
  };
}

/** Asks the room itself: needs no directory. */
function oneRoom(server: Server, name: string, path: string): Job {
  return {
    targets: async () => new Map([[name, path]]),
    look: async () => {
      const { value } = await server.ask<{ connections: number; draining?: Drained }>(`${path}/stats`, ["connections"]);
      // Whoever comes after a drain ends it.
      const openSince = value.draining ? 0 : Infinity;
      return new Map(value.connections === 0 ? [] : [[name, { connections: value.connections, openSince }]]);
    },
  };
}

/** Tells every room that was not told yet; returns how many those were. */
async function tellAll(
  job: Job,
  told: ReadonlyMap<string, unknown>,
  tell: (name: string, path: string) => Promise<void>,
): Promise<number> {
  const waiting = [...(await job.targets())].filter(([name]) => !told.has(name));
  const all = waiting.length;
  const worker = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      await tell(...next);
      progress(all - waiting.length, all, "rooms told to drain");
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return all;
}

/**
 * Waits until every room was seen empty: without anybody, or open again since its deadline. Returns those that were not
 * when patience (ms) is over.
 */
async function untilEmpty(
  job: Job,
  rooms: readonly (Drained & { readonly name: string })[],
  patience: number,
): Promise<{ name: string; connections: number }[]> {
  const deadline = Date.now() + patience;
  const waiting = new Map(rooms.map(({ name, until }) => [name, until]));
  while (rooms.length > 0) {
    const seen = await job.look();
    for (const [name, until] of waiting) if ((seen.get(name)?.openSince ?? Infinity) > until) waiting.delete(name);
    progress(rooms.length - waiting.size, rooms.length, "rooms empty");
    if (waiting.size === 0) break;
    if (Date.now() > deadline) {
      return [...waiting.keys()].map((name) => ({ name, connections: seen.get(name)?.connections ?? 0 }));
    }
    await sleep(ASK_EVERY_MS);
  }
  return [];
}

async function report(
  all: number,
  rooms: readonly Drained[],
  failed: readonly string[],
  left: readonly { name: string; connections: number }[],
  held: boolean,
): Promise<void> {
  if (all === 0) return print("No room is live: there is nothing to drain.");
  for (const message of failed) notice(`Not told: ${message}`);
  for (const { name, connections } of left) notice(`Still live: ${name}, ${connections} connections`);
  const connections = rooms.reduce((sum, room) => sum + room.connections, 0);
  await print(`Drained ${rooms.length - left.length} of ${count(all, "room")}, ${count(connections, "connection")}.`);
  if (!held || rooms.length === 0) return;
  const reopens = Math.min(...rooms.map((room) => room.reopens));
  await print(`Rooms take new connections again in ${Math.max(0, Math.ceil((reopens - Date.now()) / 1_000))} s.`);
}
