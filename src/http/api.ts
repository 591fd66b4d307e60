/** What operators do to rooms over HTTP: list the live ones, drain one. Needs a token with the grant `admin`. */
import type { Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { listRooms, type Directory } from "../ops/directory.ts";
import type { Gate } from "./gate.ts";
import { isUpgrade, problem, refuseUpgrade, type Refusal } from "./problem.ts";

/** How long a drain may take, in ms: an hour is longer than any deploy waits. */
const LONGEST_DRAIN = 3_600_000;
const DEFAULT_DRAIN = 30_000;

/** Adds the operator's routes; `paths` are those of rooms. */
export function operatorRoutes<Env extends object>(
  app: Hono<{ Bindings: Env }>,
  gate: Gate<Env>,
  paths: readonly string[],
): void {
  app.get("/rooms", (c) => (isUpgrade(c.req.raw) ? refuseUpgrade(c, { code: "not_found" }) : list(c, gate)));
  for (const path of paths) {
    app.use(`${path}/drain`, bodyLimit({ maxSize: 4_096, onError: (c) => problem(c, { code: "too_large" }) }));
    app.post(`${path}/drain`, (c) => drain(c, gate));
  }
}

/** `GET /rooms?cursor=` -> `{rooms: [{kind, room, connections, members, offset, at}], next?}`: those the token may see. */
async function list<Env extends object>(c: Context<{ Bindings: Env }>, gate: Gate<Env>): Promise<Response> {
  const caller = await gate.caller(c);
  if ("code" in caller) return problem(c, caller);
  if (!gate.mayBeAdmin(caller)) return problem(c, { code: "forbidden" });
  const { EDGEROOMS_DIRECTORY: directory } = c.env as { EDGEROOMS_DIRECTORY?: DurableObjectNamespace<Directory> };
  if (!directory) return problem(c, NO_DIRECTORY);
  const page = await listRooms(directory, c.req.query("cursor"));
  if (!page) return problem(c, { code: "not_found", message: "There is no such page of the list." });
  const seen = await Promise.all(page.rooms.map(async (listed) => gate.isAdmin(c, caller, listed)));
  return c.json({ ...page, rooms: page.rooms.filter((_, i) => seen[i]) });
}

const NO_DIRECTORY: Refusal = {
  code: "not_found",
  message: "There is no list of rooms: bind the class Directory as EDGEROOMS_DIRECTORY.",
};

/** `POST /rooms/:kind/:room/drain {within?, hold?}` (ms) -> `{until, reopens, connections}`. */
async function drain<Env extends object>(c: Context<{ Bindings: Env }>, gate: Gate<Env>): Promise<Response> {
  const passed = await gate.pass(c, "admin");
  if ("code" in passed) return problem(c, passed);
  const text = await c.req.text();
  const { within, hold } = text === "" ? timesIn({}) : timesIn(parse(text));
  if (within === undefined || hold === undefined) {
    const message = `The body is {"within"?, "hold"?}, both in ms and at most ${LONGEST_DRAIN}.`;
    return problem(c, { code: "bad_frame", message });
  }
  return c.json(await passed.stub.drain(within, hold));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function timesIn(body: unknown): { within?: number | undefined; hold?: number | undefined } {
  if (typeof body !== "object" || body === null) return {};
  const { within = DEFAULT_DRAIN, hold = 0 } = body as { within?: unknown; hold?: unknown };
  return { within: time(within), hold: time(hold) };
}

function time(value: unknown): number | undefined {
  return typeof value === "number" && value >= 0 && value <= LONGEST_DRAIN ? Math.round(value) : undefined;
}
