/**
 * `edgerooms tail`: a room's log as it grows. Reads on from offset to offset, so that nothing is shown twice and what
 * could not be shown is said; outlives an outage of the server.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Publication } from "../protocol/frames.ts";
import { roomIn } from "./address.ts";
import { SERVER, type Command } from "./command.ts";
import { RequestFailed, Server } from "./http.ts";
import { columns, notice, print } from "./output.ts";
import { fit } from "./table.ts";
import { clock, json, visible } from "./text.ts";

interface Log {
  /** The oldest offset that can still be read; `offset` + 1 when none can. */
  readonly oldest: number;
  readonly offset: number;
  readonly items: readonly Publication[];
}

/** ms between looks at a log that was read to its end. */
const LOOK_EVERY = 1_000;
/** Publications of a page when there is much to catch up with: as many as the API gives. */
const PAGE = 1_000;
/** Publications from before, when nobody says where to begin. */
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
  more: "On a terminal a line is cut where the terminal ends; --json and pipes have all of it.",
  async run(words) {
    const { path } = roomIn(words.positionals[0] ?? "");
    const start = words.text("after") === undefined ? undefined : words.number("after", 0, 0, Number.MAX_SAFE_INTEGER);
    const [server, once] = [new Server(words), words.has("once")];
    const line = words.has("json") ? (item: Publication) => json(item) : lineOf;
    process.once("SIGINT", () => process.exit(0));

    let after = start;
    let strict = true;
    for (let lost = false; ;) {
      const log = await look(server, path, after, strict);
      if (log instanceof RequestFailed) {
        if (!lost) notice("The server is out of reach: trying again until it is back.");
        lost = true;
        await sleep(Math.max(LOOK_EVERY, log.retryAfter ?? 0));
        continue;
      }
      if (lost) notice("The server is back.");
      lost = false;
      // Who waits for more waits out an outage; who has seen nothing yet should know at once that there is none.
      strict = once;
      for (const gap of gapsIn(log, after)) notice(gap);
      for (const item of log.items) await print(line(item));
      after = log.items.at(-1)?.offset ?? log.offset;
      // A page ends where the answer would become too large, too.
      if (after < log.offset) continue;
      if (once) return;
      await sleep(LOOK_EVERY);
    }
  },
};

/** A page of the log; why there is none when the server is out of reach, unless that is to end it all. */
async function look(
  server: Server,
  path: string,
  after: number | undefined,
  strict: boolean,
): Promise<Log | RequestFailed> {
  const query = after === undefined ? `limit=${RECENT}` : `after=${after}&limit=${PAGE}`;
  try {
    return (await server.ask<Log>(`${path}/log?${query}`, ["oldest", "offset", "items"])).value;
  } catch (error) {
    if (!strict && error instanceof RequestFailed && error.passing) return error;
    throw error;
  }
}

/** What a reader who is at `after` cannot be shown, in words. */
function gapsIn({ oldest, offset, items }: Log, after: number | undefined): string[] {
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
