/** `edgerooms rooms`: which rooms are live, or have undelivered events, as they last reported to the directory. */
import { SERVER, type Command } from "./command.ts";
import { Server } from "./http.ts";
import { findRooms, sayIncomplete } from "./listing.ts";
import { print, printJson, printTable } from "./output.ts";
import { number } from "./table.ts";
import { ago, count, visible } from "./text.ts";

/** The command `rooms`. */
export const rooms: Command = {
  name: "rooms",
  summary: "Lists the live rooms that the token is admin of, or those with undelivered events.",
  takes: "",
  count: [0, 0],
  options: {
    kind: { value: "KIND", help: "only rooms of this kind" },
    dead: { help: "rooms with undelivered events instead, whether or not anybody is in them" },
    ...SERVER,
  },
  more: "Rooms report at their first connection, after the last one, and every ten minutes between. Ends with 1 when a part\nof the directory did not answer.",
  async run(words) {
    const wanted = words.text("kind");
    const dead = words.has("dead");
    const { rooms: all, incomplete } = await findRooms(new Server(words), dead);
    const shown = all.filter((room) => wanted === undefined || room.kind === wanted);
    sayIncomplete(incomplete);
    if (words.has("json")) return printJson({ rooms: shown, ...(incomplete.length > 0 && { incomplete }) });
    if (shown.length === 0) {
      const which = wanted === undefined ? "No room" : `No room of kind ${visible(wanted)}`;
      return print(dead ? `${which} has undelivered events.` : `${which} is live.`);
    }
    const now = Date.now();
    await printTable(
      ["KIND", "ROOM", ...[...(dead ? ["DEAD", "HELD UP"] : []), ...COUNTS].map(number), "REPORTED"],
      shown.map(({ kind, room, connections, members, sessions, offset, at, ...undelivered }) => [
        kind,
        room,
        ...(dead ? [undelivered.dead ?? 0, undelivered.pending ?? 0] : []),
        connections,
        members,
        sessions,
        offset,
        ago(at, now),
      ]),
    );
    const connections = shown.reduce((sum, room) => sum + room.connections, 0);
    await print(`\n${count(shown.length, "room")}, ${count(connections, "connection")}`);
  },
};

const COUNTS = ["CONNECTIONS", "MEMBERS", "SESSIONS", "OFFSET"];
