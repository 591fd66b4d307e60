/**
 * `edgerooms tail`: a room's log as it grows. Reads on from offset to offset, so that it shows nothing twice and names what
 * it could not show. Outlives an outage of the server.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Publication } from "../protocol/frames.ts";
import { MAX_LOG_PAGE, type LogPage } from "../protocol/api.ts";
import { roomIn, type Named } from "./address.ts";
import { SERVER, type Command } from "./command.ts";
import { Server } from "./http.ts";
import { columns, notice, print } from "./output.ts";
import { RequestFailed } from "./reply.ts";
import { fit } from "./table.ts";
import { clock, json, visible } from "./text.ts";

/** Between two reads of a log that was read to its end, in ms. */
const READ_EVERY_MS = 1_000;
/** Publications to begin with, when --after does not say where. */
const RECENT = 20;

/** The command `tail`. */
export const tail: Command = {
  name: "tail",
  summary: "Shows the publications of a room, and new ones as they come. Ctrl-C ends it.",
  takes: "ROOM",
  count: [1, 1],
  options: {
    after: {
      value: "OFFSET",
      help: `begin after this offset; 0 is the oldest there is. Default: the newest ${RECENT}`,
    },
    once: { help: "end at the end of the log instead of waiting for more" },
    ...SERVER,
    json: { help: "print one publication in JSON per line" },
  },
  more: "On a terminal a line is cut where the terminal ends; with --json and in pipes lines are whole.",
  async run(words) {
    const room = roomIn(words.positionals[0] ?? "");
    const start = words.text("after") === undefined ? undefined : words.number("after", 0, 0, Number.MAX_SAFE_INTEGER);
    const [server, once] = [new Server(words), words.has("once")];
    const line = words.has("json") ? (item: Publication) => json(item) : lineOf;
    process.once("SIGINT", () => process.exit(0));

    let after = start;
    let strict = true;
    for (let lost = false; ;) {
      const log = await readOn(server, room, after, strict);
      if (log instanceof RequestFailed) {
        if (!lost) notice("The server is out of reach: trying again until it is back.");
        lost = true;
        await sleep(Math.max(READ_EVERY_MS, log.retryAfter ?? 0));
        continue;
      }
      if (lost) notice("The server is back.");
      lost = false;
      // Once it has begun it waits out an outage. Before that, a wrong URL should be an error at once.
      strict = once;
      for (const gap of gapsIn(log, after)) notice(gap);
      for (const item of log.items) await print(line(item));
      after = log.items.at(-1)?.offset ?? log.offset;
      // A page ends where the answer would become too large, too.
      if (after < log.offset) continue;
      if (once) return;
      await sleep(READ_EVERY_MS);
    }
  },
};

/** A page of the log, or the failure when the server is out of reach; in strict mode that is thrown. */
async function readOn(
  server: Server,
  room: Named,
  after: number | undefined,
  strict: boolean,
): Promise<LogPage | RequestFailed> {
  const query = after === undefined ? `limit=${RECENT}` : `after=${after}&limit=${MAX_LOG_PAGE}`;
  try {
    return (await server.ask("readLog", room, { query })).value;
  } catch (error) {
    if (!strict && error instanceof RequestFailed && error.isTransient) return error;
    throw error;
  }
}

/** What cannot be shown to a reader at `after`, in words. */
function gapsIn({ oldest, offset, items }: LogPage, after: number | undefined): string[] {
  if (after === undefined) return [];
  if (offset < after) return [`The log ends at offset ${offset}, before ${after}: going on from there.`];
  const next = items[0]?.offset ?? offset + 1;
  if (next <= after + 1) return [];
  const gone = next === after + 2 ? `Offset ${after + 1} is` : `Offsets ${after + 1} to ${next - 1} are`;
  return [`${gone} not there any more: trimmed before being read. The log begins at ${oldest}.`];
}

function lineOf({ offset, by, at, data, to }: Publication): string {
  const who = visible(by ?? "(the room)") + (to === undefined ? "" : ` > ${to.map(visible).join(",")}`);
  return fit(`${String(offset).padStart(6)}  ${clock(at, Date.now())}  ${who}  ${json(data)}`, columns());
}
