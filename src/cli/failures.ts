/** `edgerooms failures`: the newest failures of all rooms and of the Worker, and which connections rooms ended, and why. */
import type { ListedFailure } from "../protocol/api.ts";
import { SERVER, type Command } from "./command.ts";
import { Server } from "./http.ts";
import { sayIncomplete } from "./listing.ts";
import { print, printJson, printTable } from "./output.ts";
import { ago, count } from "./text.ts";

/** The command `failures`. */
export const failures: Command = {
  name: "failures",
  summary: "Lists the newest failures, and why rooms ended connections.",
  takes: "",
  count: [0, 0],
  options: {
    room: { value: "ROOM", help: "only of this room: kind/room, or room alone whatever its kind" },
    user: { value: "USER", help: "only of this user, where the record says whose it is" },
    code: { value: "CODE", help: "only with this code, such as heartbeat_lost" },
    ...SERVER,
  },
  more: 'For admins of all rooms: {"*": ["admin"]}. Rooms report at the latest a minute or two after a failure.',
  async run(words) {
    const [room, user, code] = [words.text("room"), words.text("user"), words.text("code")];
    const found = await new Server(words).failures();
    const isWanted = (record: ListedFailure) =>
      (room === undefined || room === record.room || room === `${record.kind ?? ""}/${record.room ?? ""}`) &&
      (user === undefined || user === record.user) &&
      (code === undefined || code === record.code);
    const shown = { failures: found.failures.filter(isWanted), ends: (found.ends ?? []).filter(isWanted) };
    sayIncomplete(found.incomplete);
    if (words.has("json")) return printJson(shown);
    if (shown.failures.length + shown.ends.length === 0) return print("Nothing failed, as far as the directory knows.");
    const now = Date.now();
    if (shown.failures.length > 0) {
      await printTable(
        ["WHEN", "SEVERITY", "CODE", "SOURCE", "ROOM", "USER", "MESSAGE", "REQUEST"],
        shown.failures.map((record) => [
          ago(record.at, now),
          record.severity,
          record.code,
          record.source,
          roomOf(record),
          record.user,
          record.message,
          record.requestId,
        ]),
      );
      await print(`\n${count(shown.failures.length, "failure")}`);
    }
    if (shown.ends.length === 0) return;
    await print("\nConnections that rooms ended:");
    await printTable(
      ["WHEN", "CODE", "ROOM", "USER", "SESSION", "OPEN FOR", "REQUEST"],
      shown.ends.map((record) => [
        ago(record.at, now),
        record.code,
        roomOf(record),
        record.user,
        record.session,
        record.lasted === undefined ? undefined : count(Math.round(record.lasted / 1_000), "second"),
        record.requestId,
      ]),
    );
    await print(`\n${count(shown.ends.length, "end")}`);
  },
};

function roomOf({ kind, room }: ListedFailure): string | undefined {
  return room === undefined ? undefined : `${kind ?? ""}/${room}`;
}
