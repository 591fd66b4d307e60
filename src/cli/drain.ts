/**
 * `edgerooms drain`: makes everybody leave one room, or all live rooms, and waits until they have. For the minute before a
 * deploy.
 */
import { MAX_DRAIN_MS } from "../protocol/api.ts";
import { roomIn } from "./address.ts";
import { Failure, Misuse, SERVER, type Command, type Words } from "./command.ts";
import { empty, everyRoom, oneRoom, type Emptied } from "./emptying.ts";
import { Server } from "./http.ts";
import { sayIncomplete } from "./listing.ts";
import { notice, print, printJson } from "./output.ts";
import { count } from "./text.ts";

const MAX_SECONDS = MAX_DRAIN_MS / 1_000;

/** The command `drain`. */
export const drain: Command = {
  name: "drain",
  summary: "Makes everybody leave a room, or all live rooms, and waits until they have.",
  takes: "ROOM|--all|URL",
  count: [0, 1],
  options: {
    all: { help: "every live room; a URL instead of ROOM means every live room there" },
    within: { value: "SECONDS", help: `how long clients have to leave, 0 to ${MAX_SECONDS}. Default: 30` },
    "reopen-after": {
      value: "SECONDS",
      help: `how long after that rooms stay closed, 0 to ${MAX_SECONDS}; with --all until the last is empty too. Default: 60`,
    },
    ...SERVER,
  },
  more: `The token's "rooms" claim must grant admin, such as {"*": ["admin"]}. Ends with 0 when every room is empty and still
closed (with --reopen-after 0: was seen empty). Ends with 1 when a room could not be asked, was not empty in time or has
reopened since, when the list of rooms was not complete, and (this command alone) when the command line makes no sense.`,
  // Deploy scripts know this command by 0 and 1.
  misuseExit: 1,
  async run(words) {
    const [target] = words.positionals;
    const url = target?.includes("://") ? target : undefined;
    const room = target === undefined || url !== undefined ? undefined : roomIn(target);
    if (room && words.has("all")) throw new Misuse("Name a room or say --all, not both.");
    const body = { within: msOf(words, "within", 30), reopenAfter: msOf(words, "reopen-after", 60) };
    if (target === undefined && !words.has("all")) throw new Misuse("Name a room, or say --all.");
    const server = new Server(words, url);
    const done = await empty(server, room ? oneRoom(server, room) : everyRoom(server), body);
    if (room && done.rooms.length === 0)
      throw new Failure(done.failed[0] ?? `There is no room ${room.name}: nothing has ever happened in it.`);
    if (words.has("json")) await printJson(jsonOf(done));
    else await report(done, body.reopenAfter > 0);
    sayIncomplete(done.incomplete);
    if (done.failed.length + done.left.length + done.reopened.length > 0) process.exitCode = 1;
  },
};

function msOf(words: Words, option: string, preset: number): number {
  return words.number(option, preset, 0, MAX_SECONDS) * 1_000;
}

function jsonOf({ rooms, failed, left, reopened, neverWere, incomplete }: Emptied): object {
  const drained = rooms.map(({ name, until, reopens, connections }) => ({ name, until, reopens, connections }));
  return { rooms: drained, failed, left, reopened, neverWere, ...(incomplete.length > 0 && { incomplete }) };
}

async function report(
  { all, rooms, failed, left, reopened, neverWere, incomplete, took }: Emptied,
  isClosed: boolean,
): Promise<void> {
  if (all === 0 && incomplete.length === 0) return print("No room is live: there is nothing to drain.");
  for (const message of failed) notice(`Not asked: ${message}`);
  for (const name of neverWere) notice(`Never was: ${name}: nothing has ever happened in it.`);
  for (const { name, connections } of left) {
    notice(connections === undefined ? `Not seen empty: ${name}` : `Still live: ${name}, ${connections} connections`);
  }
  if (reopened.length > 0) {
    // The time it took, and half of it more.
    const enough = Math.ceil((1.5 * took) / 1_000);
    notice(
      `Reopened since: ${count(reopened.length, "room")}, before the last was empty. --reopen-after ${enough} would be long enough.`,
    );
  }
  const connections = rooms.reduce((sum, room) => sum + room.connections, 0);
  const drained = rooms.length - left.length - reopened.length;
  await print(`Drained ${drained} of ${count(all, "room")}, ${count(connections, "connection")}.`);
  const closed = rooms.filter(({ name }) => !reopened.includes(name));
  if (!isClosed || closed.length === 0) return;
  const reopens = Math.min(...closed.map((room) => room.reopensHere));
  await print(`Rooms take new connections again in ${Math.max(0, Math.ceil((reopens - Date.now()) / 1_000))} s.`);
}
