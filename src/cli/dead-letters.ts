/**
 * `edgerooms dead-letters`, `redeliver`, `skip` and `drop`: events that a room could not deliver, and what an operator does
 * about them, batch by batch or in all rooms.
 */
import type { StuckBatch } from "../protocol/api.ts";
import { pathOf, roomIn, type Named } from "./address.ts";
import { Failure, Misuse, SERVER, type Command, type Words } from "./command.ts";
import { inEach } from "./everywhere.ts";
import { Server } from "./http.ts";
import { findRooms, nameOf, sayIncomplete } from "./listing.ts";
import { notice, print, printJson, printTable } from "./output.ts";
import { number, whole } from "./table.ts";
import { ago, clock, count, json, visible } from "./text.ts";

/** The command `dead-letters`. */
export const deadLetters: Command = {
  name: "dead-letters",
  summary: "Lists the batches of events that a room could not deliver, newest first; or shows one with its events.",
  takes: "ROOM [BATCH]",
  count: [1, 2],
  options: SERVER,
  more: "`edgerooms rooms --dead` lists the rooms that have any.",
  async run(words) {
    const [name = "", batch] = words.positionals;
    const room = roomIn(name);
    if (batch !== undefined) return showOne(words, room, batch);
    const { value } = await new Server(words).ask("listDeadLetters", room);
    if (words.has("json")) return printJson(value);
    if (value.dead.length === 0) await print(`${room.name} has no dead letters.`);
    else {
      const now = Date.now();
      await printTable(
        [whole("BATCH"), number("EVENTS"), number("TRIES"), "ERROR", "MADE"],
        value.dead.map(({ id, events, tries, error, at }) => [id, events, tries, error, ago(at, now)]),
      );
      await print(`\n${count(value.dead.length, "batch", "batches")}`);
    }
    if (value.stuck) await print(`\n${stuckText(value.stuck, room)}`);
  },
};

/** The command `redeliver`. */
export const redeliver: Command = {
  name: "redeliver",
  summary: "Tries again to deliver a dead letter, all of a room, or all of all rooms.",
  takes: "ROOM [BATCH]|--all",
  count: [0, 2],
  options: { all: { help: "every room that has dead letters" }, ...SERVER },
  more: `Ends with 1 when a room could not be asked, or the list of rooms was not complete. Repeating it does no harm: the
batches keep their ids.`,
  async run(words) {
    const [name, batch] = words.positionals;
    if (words.has("all") === (name !== undefined)) throw new Misuse("Name a room or say --all.");
    if (name === undefined) return redeliverEverywhere(words);
    const room = roomIn(name);
    const { value } = await new Server(words).ask("redeliver", room, {
      body: { ...(batch !== undefined && { batch }) },
    });
    if (words.has("json")) return printJson(value);
    await print(
      `${count(value.redelivered, "dead letter")} of ${room.name} will be tried again; ${String(value.pending)} pending.`,
    );
  },
};

/** The command `skip`. */
export const skip: Command = {
  name: "skip",
  summary: "Sets the batch that holds up a room's events aside as a dead letter.",
  takes: "ROOM BATCH",
  count: [2, 2],
  options: SERVER,
  more: "BATCH is the one that `edgerooms dead-letters ROOM` shows as held up. `redeliver` brings it back, behind the others.",
  async run(words) {
    const [name = "", batch = ""] = words.positionals;
    const room = roomIn(name);
    const { value } = await new Server(words).ask("skip", room, { body: { batch } });
    if (words.has("json")) return printJson(value);
    await print(`Skipped ${visible(batch)} of ${room.name}: ${value.pending} pending, ${value.dead} dead.`);
  },
};

/** The command `drop`. */
export const drop: Command = {
  name: "drop",
  summary: "Forgets a dead letter of a room, or all of them, for good.",
  takes: "ROOM BATCH|--all",
  count: [1, 2],
  options: { all: { help: "all dead letters of the room" }, ...SERVER },
  more: "Nothing brings them back. `edgerooms dead-letters ROOM BATCH` shows what is in one.",
  async run(words) {
    const [name = "", batch] = words.positionals;
    const room = roomIn(name);
    if (words.has("all") === (batch !== undefined)) throw new Misuse("Name a batch or say --all.");
    const body = batch === undefined ? ({ all: true } as const) : { batch };
    const { value } = await new Server(words).ask("drop", room, { body });
    if (words.has("json")) return printJson(value);
    await print(`Dropped ${count(value.dropped, "dead letter")} of ${room.name}; ${value.dead} left.`);
  },
};

async function showOne(words: Words, room: Named, batch: string): Promise<void> {
  const query = `batch=${encodeURIComponent(batch)}`;
  const { value } = await new Server(words).ask("readDeadLetter", room, { query });
  if (words.has("json")) return printJson(value);
  const made = clock(value.at, Date.now());
  await printTable(
    ["BATCH", visible(value.id)],
    [
      ["Made", made],
      ["Tries", value.tries],
      ["Error", value.error],
    ],
  );
  await print("\nEvents, in their order:");
  for (const event of value.events) await print(json(event));
}

function stuckText({ id, events, tries, nextTry }: StuckBatch, room: Named): string {
  const next = ago(nextTry, Date.now());
  return `Held up: ${visible(id)}, ${count(events, "event")}, failed ${count(tries, "time")}, next try ${next}. \`edgerooms skip ${room.name} ${visible(id)}\` sets it aside.`;
}

/** What came of all rooms. */
interface Everywhere {
  readonly rooms: { readonly name: string; readonly redelivered: number }[];
  readonly failed: string[];
}

async function redeliverEverywhere(words: Words): Promise<void> {
  const server = new Server(words);
  const { rooms: found, incomplete } = await findRooms(server, true);
  const targets = found.filter(({ dead = 0 }) => dead > 0);
  const done: Everywhere = { rooms: [], failed: [] };
  await inEach(targets, "rooms asked to redeliver", async (room) => {
    try {
      const { value } = await server.ask("redeliver", { path: pathOf(room.kind, room.room) });
      done.rooms.push({ name: nameOf(room), redelivered: value.redelivered });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      done.failed.push(`${nameOf(room)}: ${error.message}`);
    }
  });
  sayIncomplete(incomplete);
  for (const message of done.failed) notice(`Not asked: ${message}`);
  if (done.failed.length > 0) process.exitCode = 1;
  if (words.has("json")) return printJson(done);
  if (targets.length === 0) return print("No room has dead letters.");
  const letters = done.rooms.reduce((sum, { redelivered }) => sum + redelivered, 0);
  await print(
    `${count(letters, "dead letter")} of ${count(done.rooms.length, "room")} of ${targets.length} will be tried again.`,
  );
}
