/** `edgerooms dead-letters` and `edgerooms redeliver`: events that a room could not deliver, and another try for them. */
import { roomIn } from "./address.ts";
import { SERVER, type Command } from "./command.ts";
import { Server } from "./http.ts";
import { print, printJson, printTable } from "./output.ts";
import { number } from "./table.ts";
import { ago, count } from "./text.ts";

/** The command `dead-letters`. */
export const deadLetters: Command = {
  name: "dead-letters",
  summary: "Lists the batches of events that a room could not deliver, newest first.",
  takes: "ROOM",
  count: [1, 1],
  options: SERVER,
  async run(words) {
    const room = roomIn(words.positionals[0] ?? "");
    const { value } = await new Server(words).ask("listDeadLetters", room);
    if (words.has("json")) return printJson(value);
    if (value.dead.length === 0)
      return print(`${room.name} has no dead letters: everything was delivered, or is still being tried.`);
    const now = Date.now();
    await printTable(
      ["BATCH", number("EVENTS"), number("TRIES"), "ERROR", "MADE"],
      value.dead.map(({ id, events, tries, error, at }) => [id, events, tries, error, ago(at, now)]),
    );
    await print(`\n${count(value.dead.length, "batch", "batches")}`);
  },
};

/** The command `redeliver`. */
export const redeliver: Command = {
  name: "redeliver",
  summary: "Tries again to deliver what a room could not.",
  takes: "ROOM",
  count: [1, 1],
  options: SERVER,
  async run(words) {
    const room = roomIn(words.positionals[0] ?? "");
    const { value } = await new Server(words).ask("redeliver", room);
    if (words.has("json")) return printJson(value);
    await print(`Batches of ${room.name} to deliver: ${String(value.pending)}.`);
  },
};
