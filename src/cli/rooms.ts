/** `edgerooms rooms`: which rooms are live, as they last reported to the directory. */
import { SERVER, type Command } from "./command.ts";
import { Server } from "./http.ts";
import { liveRooms } from "./listing.ts";
import { print, printJson, printTable } from "./output.ts";
import { number } from "./table.ts";
import { ago, count, visible } from "./text.ts";

/** The command `rooms`. */
export const rooms: Command = {
  name: "rooms",
  summary: "Lists the live rooms that the token is admin of.",
  takes: "",
  count: [0, 0],
  options: { kind: { value: "KIND", help: "only rooms of this kind" }, ...SERVER },
  more: "Rooms report at their first connection, after the last one, and every ten minutes between.",
  async run(words) {
    const wanted = words.text("kind");
    const all = await liveRooms(new Server(words));
    const shown = all.filter((room) => wanted === undefined || room.kind === wanted);
    if (words.has("json")) return printJson({ rooms: shown });
    if (shown.length === 0) {
      return print(wanted === undefined ? "No room is live." : `No room of kind ${visible(wanted)} is live.`);
    }
    const now = Date.now();
    await printTable(
      ["KIND", "ROOM", ...["CONNECTIONS", "MEMBERS", "SESSIONS", "OFFSET"].map(number), "REPORTED"],
      shown.map(({ kind, room, connections, members, sessions, offset, at }) => [
        kind,
        room,
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
