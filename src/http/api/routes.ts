/**
 * The routes of the HTTP API: those of operations on rooms, made of the table in operations.ts, the list of live rooms, and
 * the document that describes the whole app. What a request may say is bodies.ts; what it does is the room's affair.
 */
import type { Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { listRooms, shardsIn } from "../../ops/shards.ts";
import { roomRoutes, ROOMS_PATH, type RoomOperation, type RoomPage } from "../../protocol/api.ts";
import type { Caller } from "../../room/operator.ts";
import type { Gate, Passage } from "../gate/gate.ts";
import { FRESH, problem, refuseUpgrade } from "../problem.ts";
import { isUpgrade, type Denied } from "../request.ts";
import { askRoom, readAnswer } from "../room-call.ts";
import { readCursor, writeCursor } from "./cursor.ts";
import { openapi } from "./openapi.ts";
import { operations, type Operation } from "./operations.ts";

/**
 * Adds the routes; `paths` are those of rooms. Comes before the upgrades: where there is one kind, `/rooms/:room/log` would
 * otherwise be the room `log` of the kind `:room`.
 */
export function apiRoutes<Env extends object>(
  app: Hono<{ Bindings: Env }>,
  gate: Gate<Env>,
  paths: readonly string[],
): void {
  app.get("/openapi.json", (c) => {
    const at = c.req.path.slice(0, -"/openapi.json".length);
    return c.json(openapi(paths, at), 200, { "cache-control": "public, max-age=300" });
  });
  app.get(ROOMS_PATH, (c) => (isUpgrade(c.req.raw) ? refuseUpgrade(c, { code: "not_found" }) : list(c, gate)));
  for (const base of paths) {
    for (const name of Object.keys(operations) as RoomOperation[]) {
      const { method, path } = roomRoutes[name];
      const run = handler(gate, name);
      app.on(method, `${base}${path}`, (c, next) => (isUpgrade(c.req.raw) ? next() : run(c)));
    }
  }
}

/** Does one operation: gate, body, room, answer. Nothing of a body is read before the gate is passed. */
function handler<Env extends object>(gate: Gate<Env>, name: RoomOperation) {
  const operation = operations[name];
  const { grant, answers } = roomRoutes[name];
  return async (c: Context<{ Bindings: Env }>): Promise<Response> => {
    const passage = await gate.authorize(c, grant);
    if ("code" in passage) return problem(c, passage);
    const tooLarge = await tooLargeFor(c, operation, passage);
    if (tooLarge) return tooLarge;
    const command = await operation.read(c.req);
    if (typeof command === "string") return problem(c, { code: "bad_request", message: command, info: passage.info });
    const asked = await askRoom(passage, c.env, async ({ stub }) => stub.operate(callerOf(passage), command));
    if ("code" in asked) return problem(c, asked);
    const result = readAnswer(asked.value, answers);
    if (!result.ok) return problem(c, { ...result, info: passage.info });
    return operation.isRepeatable ? done(c, result.value) : json(c, result.value);
  };
}

async function tooLargeFor(c: Context, { body }: Operation, { info }: Passage): Promise<Response | void> {
  if (!body) return undefined;
  const { maxBytes } = body;
  const refuse = () => problem(c, { code: "too_large", message: `At most ${maxBytes} bytes.`, info });
  return bodyLimit({ maxSize: maxBytes, onError: refuse })(c, () => Promise.resolve());
}

function callerOf({ address, credentials, info }: Passage): Caller {
  const { requestId = "", traceparent } = info;
  return { ...address, credentials, requestId, ...(traceparent !== undefined && { traceparent }) };
}

function json(c: Context, value: object): Response {
  return c.body(JSON.stringify(value), 200, { "content-type": "application/json", ...FRESH });
}

/** A repeat says so, and gets the answer of the first time. */
function done(c: Context, value: object): Response {
  const { repeated, ...rest } = value as { repeated?: boolean };
  const replayed: Record<string, string> = repeated ? { "idempotent-replayed": "true" } : {};
  return c.json(rest, repeated ? 200 : 201, { ...FRESH, ...replayed });
}

/** Rooms of a page when `authorize` is asked about each of them. */
const MAX_ASKED = 50;
/** And for a caller whose token grants `admin` nowhere: any member can ask for a list. */
const MAX_ASKED_FOR_MEMBERS = 8;

/**
 * `GET /rooms?cursor=&dead=`: a page of the rooms that the token is admin of. The directory looks only at rooms that the
 * token names, so that nothing of the others comes near the answer.
 */
async function list<Env extends object>(c: Context<{ Bindings: Env }>, gate: Gate<Env>): Promise<Response> {
  const known = await gate.verify(c);
  if ("code" in known) return problem(c, known);
  const { verified, info } = known;
  const { patterns, isNamed, isFinal } = await gate.adminScope(c, verified);
  if (patterns.length === 0) return problem(c, { code: "forbidden", info });
  const shards = shardsIn(c.env, gate.places.jurisdictions);
  if (!shards) return problem(c, { ...NO_DIRECTORY, info });
  const cursor = c.req.query("cursor");
  const position = cursor === undefined ? { shard: 0 } : readCursor(cursor, shards.count);
  const dead = deadIn(c.req.query("dead"));
  if (!position || dead === undefined) return problem(c, { ...NO_PAGE, info });
  const limit = isNamed ? MAX_ASKED : MAX_ASKED_FOR_MEMBERS;
  const found = await listRooms(shards, position, { patterns, dead, ...(!isFinal && { limit }) });
  const isSeen = await Promise.all(found.rooms.map(async (listed) => isFinal || gate.isAdmin(c, verified, listed)));
  const page: RoomPage = {
    rooms: found.rooms.filter((_, i) => isSeen[i]),
    ...(found.next && { next: writeCursor(found.next) }),
    ...(found.isMissing && { incomplete: [position.shard] }),
  };
  return c.json(page, 200, FRESH);
}

const NO_PAGE: Denied = { code: "not_found", message: "There is no such page of the list." };

/** Whether a list is of rooms with undelivered events; `undefined` when the query makes no sense. */
function deadIn(text: string | undefined): boolean | undefined {
  if (text === undefined || text === "0") return false;
  return text === "1" ? true : undefined;
}

const NO_DIRECTORY: Denied = {
  code: "not_found",
  message: "There is no list of rooms: bind the class Directory as EDGEROOMS_DIRECTORY.",
};
