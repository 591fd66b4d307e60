/** `edgerooms members`: the members of a room. */
import { roomIn } from "./address.ts";
import { SERVER, type Command } from "./command.ts";
import { Server } from "./http.ts";
import { findMembers } from "./listing.ts";
import { print, printJson, printTable } from "./output.ts";
import { count, json } from "./text.ts";

/** The command `members`. */
export const members: Command = {
  name: "members",
  summary: "Lists who is in a room, with what they last set as their presence.",
  takes: "ROOM",
  count: [1, 1],
  options: SERVER,
  async run(words) {
    const room = roomIn(words.positionals[0] ?? "");
    const found = await findMembers(new Server(words), room);
    if (words.has("json")) return printJson({ members: found });
    if (found.length === 0) return print(`Nobody is in ${room.name}.`);
    await printTable(
      ["USER", "NAME", "DATA"],
      found.map(({ id, name, data }) => [id, name, data === undefined ? undefined : json(data)]),
    );
    await print(`\n${count(found.length, "member")}`);
  },
};
