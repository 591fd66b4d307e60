/** `edgerooms stats`: how much there is in all live rooms, or the state of one room and of its sessions. */
import { roomRoutes, type RoomStats, type SessionView } from "../protocol/api.ts";
import { roomIn, type Named } from "./address.ts";
import { SERVER, type Command, type Words } from "./command.ts";
import { Server } from "./http.ts";
import { countsTable } from "./counts.ts";
import { findRooms, sayIncomplete } from "./listing.ts";
import { print, printJson, printTable } from "./output.ts";
import { number, whole, type Cell } from "./table.ts";
import { ago, count } from "./text.ts";

/** The command `stats`. */
export const stats: Command = {
  name: "stats",
  summary: "Counts what is in all live rooms; or shows one room and each of its sessions.",
  takes: "[ROOM]",
  count: [0, 1],
  options: SERVER,
  async run(words) {
    const [name] = words.positionals;
    return name === undefined ? totals(words) : one(words, roomIn(name));
  },
};

async function totals(words: Words): Promise<void> {
  const kinds = new Map<string, { rooms: number; connections: number; members: number; sessions: number }>();
  const total = { rooms: 0, connections: 0, members: 0, sessions: 0 };
  const { rooms: live, incomplete } = await findRooms(new Server(words));
  sayIncomplete(incomplete);
  for (const { kind, connections, members, sessions } of live) {
    const ofKind = kinds.get(kind) ?? { rooms: 0, connections: 0, members: 0, sessions: 0 };
    kinds.set(kind, ofKind);
    for (const sum of [ofKind, total]) {
      sum.rooms++;
      sum.connections += connections;
      sum.members += members;
      sum.sessions += sessions;
    }
  }
  const rows = [...kinds].map(([kind, sums]) => ({ kind, ...sums }));
  if (words.has("json")) return printJson({ ...total, kinds: rows, ...(incomplete.length > 0 && { incomplete }) });
  if (total.rooms === 0) return print("No room is live.");
  if (rows.length > 1) rows.push({ kind: "all", ...total });
  await printTable(
    ["KIND", ...["ROOMS", "CONNECTIONS", "MEMBERS", "SESSIONS"].map(number)],
    rows.map((row) => [row.kind, row.rooms, row.connections, row.members, row.sessions]),
  );
}

async function one(words: Words, named: Named): Promise<void> {
  const server = new Server(words);
  const [{ value: room }, { value }] = await Promise.all([
    server.ask("readStats", named),
    server.ask("listSessions", named),
  ]);
  if (words.has("json"))
    return printJson({ stats: room, sessions: value.sessions, ...(value.next !== undefined && { next: value.next }) });
  const now = Date.now();
  await printTable(["ROOM", `${room.kind}/${room.room}`], facts(room, now));
  await relays(room, now);
  const counts = countsTable(room.counts);
  if (counts.length > 0) {
    await print("\nCounted since the last report:");
    await printTable(["WHAT", number("TIMES")], counts);
  }
  await print("");
  if (value.sessions.length === 0) return print("It has no sessions.");
  await printTable(
    [whole("SESSION"), "USER", "NAME", "STATE", "SINCE", "HEARD", number("LAG"), number("MISSED"), number("UNREAD")],
    value.sessions.map((session) => [
      session.session,
      session.user,
      session.name,
      stateOf(session),
      since(session, now),
      heard(session, now),
      session.lag,
      session.missed,
      session.unread,
    ]),
  );
  if (value.next !== undefined)
    await print(
      `\nThe first ${value.sessions.length} of ${room.sessions} sessions. The others: GET ${SESSIONS}, page by page.`,
    );
}

const SESSIONS = roomRoutes.listSessions.path.slice(1);

/** The relays of a large room, and what those of each region come to. */
async function relays({ relays: all, regions = {} }: RoomStats, now: number): Promise<void> {
  if (!all) return;
  await print("");
  await printTable(
    ["REGION", number("RELAYS"), number("CONNECTIONS")],
    Object.entries(regions).map(([region, sum]) => [region, sum.relays, sum.connections]),
  );
  await print("");
  await printTable(
    [whole("RELAY"), "REGION", number("CONNECTIONS"), number("LAG"), "HEARD"],
    all.map(({ name, region, connections, lag, heardAt }) => [
      name,
      region,
      connections,
      lag,
      heardAt === undefined ? undefined : ago(heardAt, now),
    ]),
  );
}

/** How a session is; of one at a relay only the relay knows whether it is connected at this moment. */
function stateOf({ connected, relay, present }: SessionView): string {
  if (relay !== undefined) return present ? `at ${relay}` : `dropped at ${relay}`;
  return connected ? "connected" : "dropped";
}

function since({ connected, since: opened, droppedAt }: SessionView, now: number): string | undefined {
  const at = connected ? opened : (droppedAt ?? opened);
  return at === undefined ? undefined : ago(at, now);
}

function facts(room: RoomStats, now: number): Cell[][] {
  const { draining, heartbeat, outbox, offset, oldest } = room;
  const log = oldest > offset ? "empty" : `${oldest} to ${offset}`;
  const rows: Cell[][] = [
    ["Members", room.members],
    ["Sessions", room.sessions],
    ["Connections", room.direct === undefined ? room.connections : `${room.connections}, ${room.direct} of its own`],
    ["Newest offset", offset],
    ["Log", log],
    ["Epoch", room.epoch],
  ];
  if (heartbeat) {
    const every = count(Math.round(heartbeat.interval / 1_000), "second");
    rows.push(["Next heartbeat", `${ago(heartbeat.due, now)}, every ${every}`]);
  }
  if (draining) {
    rows.push(["Draining", `closes ${ago(draining.until, now)}, reopens ${ago(draining.reopens, now)}`]);
  }
  if (outbox) {
    const next = outbox.nextTry === undefined ? "" : `, next try ${ago(outbox.nextTry, now)}`;
    rows.push([
      "Events out",
      `${outbox.pending} pending, ${outbox.dead} dead, ${count(outbox.tries, "try", "tries")}${next}`,
    ]);
  }
  return rows;
}

function heard({ connected, heardAt }: SessionView, now: number): string | undefined {
  if (!connected || heardAt === undefined) return undefined;
  return heardAt === 0 ? "never" : ago(heardAt, now);
}
