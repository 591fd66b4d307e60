// `npm run drain -- URL`: drains every live room of a deployment, and waits until nobody is connected any more. For
// the minute before a deploy. Needs a token with the grant admin, in EDGEROOMS_TOKEN or --token.
import { parseArgs } from "node:util";

const USAGE = `Usage: npm run drain -- URL [--token TOKEN] [--within SECONDS] [--hold SECONDS]

  URL       where the rooms are, with the path they are mounted under if any: https://rooms.example.com
  --token   a token whose "rooms" claim grants admin, such as {"*": ["admin"]}. Default: EDGEROOMS_TOKEN.
  --within  seconds that clients have to go before they are closed, 0 to 3600. Default: 30.
  --hold    seconds after that in which rooms take nobody: the time to deploy in. 0 to 3600. Default: 60.`;

/** Rooms that are being told at the same time. */
const AT_ONCE = 16;
/** How long after the deadline a room may stay on the list: its alarm can be late. */
const PATIENCE_MS = 15_000;
const ASK_EVERY_MS = 500;

function fail(message) {
  console.error(message);
  process.exit(1);
}

function settings() {
  const text = { type: "string" };
  const options = { token: text, within: text, hold: text, help: { type: "boolean" } };
  let parsed;
  try {
    parsed = parseArgs({ options, allowPositionals: true });
  } catch (error) {
    fail(`${error.message}\n\n${USAGE}`);
  }
  const { values, positionals } = parsed;
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  const [url] = positionals;
  const token = values.token ?? process.env.EDGEROOMS_TOKEN;
  const seconds = [Number(values.within ?? 30), Number(values.hold ?? 60)];
  if (positionals.length !== 1 || !URL.canParse(url)) fail(USAGE);
  if (!token) fail(`There is no token.\n\n${USAGE}`);
  if (!seconds.every((n) => n >= 0 && n <= 3_600)) fail(`--within and --hold are 0 to 3600 seconds.\n\n${USAGE}`);
  const [within, hold] = seconds.map((n) => n * 1_000);
  return { base: url.replace(/\/+$/, ""), token, within, hold };
}

const { base, token, within, hold } = settings();

async function ask(path, init = {}) {
  const response = await fetch(`${base}${path}`, { ...init, headers: { authorization: `Bearer ${token}` } });
  const body = await response.json().catch(() => undefined);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${body?.detail ?? body?.title ?? ""}`.trim());
  return body;
}

async function liveRooms() {
  const rooms = [];
  for (let next = "0"; next !== undefined;) {
    const page = await ask(`/rooms?cursor=${encodeURIComponent(next)}`);
    rooms.push(...page.rooms);
    next = page.next;
  }
  return rooms;
}

function show(done, all, what) {
  const width = 30;
  const filled = all === 0 ? width : Math.round((done / all) * width);
  const line = `[${"#".repeat(filled)}${".".repeat(width - filled)}] ${done}/${all} ${what}`;
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}${done === all ? "\n" : ""}`);
  else if (done === all) process.stderr.write(`${line}\n`);
}

const nameOf = ({ kind, room }) => `${kind}/${room}`;
const told = new Map();
const failed = [];

/** Tells every room that was not told yet; returns how many those were. */
async function tellAll() {
  const waiting = (await liveRooms()).filter((room) => !told.has(nameOf(room)));
  const all = waiting.length;
  const worker = async () => {
    for (let room = waiting.pop(); room; room = waiting.pop()) {
      const name = nameOf(room);
      try {
        const path = `/rooms/${encodeURIComponent(room.kind)}/${encodeURIComponent(room.room)}/drain`;
        told.set(name, await ask(path, { method: "POST", body: JSON.stringify({ within, hold }) }));
      } catch (error) {
        failed.push(error.message);
        told.set(name, { until: 0, connections: 0 });
      }
      show(all - waiting.length, all, "rooms told to drain");
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return all;
}

/**
 * Waits until every room that was told was seen empty: not on the list, or on it again since its deadline. Returns those
 * that were not when patience is over.
 */
async function untilEmpty() {
  const deadline = Date.now() + within + PATIENCE_MS;
  const waiting = new Map([...told].filter(([, { until }]) => until > 0));
  const all = waiting.size;
  for (;;) {
    const live = new Map((await liveRooms()).map((room) => [nameOf(room), room]));
    for (const [name, { until }] of waiting) if (!live.has(name) || live.get(name).at > until) waiting.delete(name);
    show(all - waiting.size, all, "rooms empty");
    if (waiting.size === 0 || Date.now() > deadline) return [...waiting.keys()].map((name) => live.get(name));
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  }
}

try {
  // A client that is sent away from one room may open another meanwhile: again until there is nobody new.
  while ((await tellAll()) > 0);
} catch (error) {
  fail(error.message);
}
const reopens = () => [...told.values()].reduce((first, room) => Math.min(first, room.reopens ?? first), Infinity);
const connections = [...told.values()].reduce((sum, room) => sum + room.connections, 0);
if (told.size === 0) {
  console.log("No room is live: there is nothing to drain.");
} else {
  const left = await untilEmpty();
  for (const message of failed) console.error(`Not told: ${message}`);
  for (const room of left) console.error(`Still live: ${nameOf(room)}, ${room.connections} connections`);
  console.log(`Drained ${told.size - failed.length - left.length} of ${told.size} rooms, ${connections} connections.`);
  if (hold > 0 && failed.length < told.size)
    console.log(`Rooms take new connections again in ${Math.ceil((reopens() - Date.now()) / 1_000)} s.`);
  process.exitCode = failed.length + left.length > 0 ? 1 : 0;
}
