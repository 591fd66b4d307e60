/**
 * What operators do to rooms over HTTP: one table of operations, each a command for the room that the request names,
 * and the list of live rooms. What a request may say is bodies.ts; what it does there is the room's affair.
 */
import type { Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { listRooms, type Directory } from "../../ops/directory.ts";
import { MAX_MESSAGE_BYTES } from "../../protocol/limits.ts";
import type { Grant } from "../../room/definition.ts";
import type { Answer, OperatorCommand } from "../../room/operator.ts";
import { readDrain, readKick, readPost, readRange, readRevoke } from "./bodies.ts";
import type { Gate } from "../gate/gate.ts";
import { openapi } from "./openapi.ts";
import { FRESH, isUpgrade, problem, refuseUpgrade } from "../problem.ts";
import { inTime } from "../with-timeout.ts";
import { seenOf, type LoggedRefusal } from "../request.ts";

/** Bytes of the body of a publication: the largest message, and what stands around its data. */
const LARGEST_POST = MAX_MESSAGE_BYTES + 4_096;
const LARGEST_ORDER = 4_096;

/** Something to ask of a room. */
interface Operation {
  readonly method: "GET" | "POST";
  /** What follows the room's path. */
  readonly name: string;
  readonly grant: Grant;
  /** Bytes of a body, at most. */
  readonly limit?: number;
  /** The command, or what is wrong with the request. */
  readonly read: (c: Context) => OperatorCommand | string | Promise<OperatorCommand | string>;
  /** How the room's value is told; as JSON when absent. */
  readonly tell?: (c: Context, value: unknown) => Response;
}

const body = (c: Context) => c.req.arrayBuffer();

const operations: readonly Operation[] = [
  {
    method: "POST",
    name: "publish",
    grant: "publish",
    limit: LARGEST_POST,
    read: async (c) => readPost(await body(c), c.req.header("idempotency-key")),
    tell: published,
  },
  { method: "GET", name: "log", grant: "admin", read: (c) => readRange(c.req.query("after"), c.req.query("limit")) },
  { method: "GET", name: "members", grant: "admin", read: () => ({ type: "members" }) },
  { method: "GET", name: "sessions", grant: "admin", read: () => ({ type: "sessions" }) },
  { method: "GET", name: "stats", grant: "admin", read: () => ({ type: "stats" }) },
  { method: "GET", name: "dead", grant: "admin", read: () => ({ type: "dead" }) },
  { method: "POST", name: "kick", grant: "admin", limit: LARGEST_ORDER, read: async (c) => readKick(await body(c)) },
  {
    method: "POST",
    name: "revoke",
    grant: "admin",
    limit: LARGEST_ORDER,
    read: async (c) => readRevoke(await body(c)),
  },
  { method: "POST", name: "drain", grant: "admin", limit: LARGEST_ORDER, read: async (c) => readDrain(await body(c)) },
  { method: "POST", name: "redeliver", grant: "admin", read: () => ({ type: "redeliver" }) },
];

/**
 * Adds the operator's routes and the document that describes the whole app; `paths` are those of rooms. Comes before
 * the upgrades: where there is one kind, `/rooms/:room/log` is otherwise a room called `log`.
 */
export function operatorRoutes<Env extends object>(
  app: Hono<{ Bindings: Env }>,
  gate: Gate<Env>,
  paths: readonly string[],
): void {
  app.get("/openapi.json", (c) => {
    const at = c.req.path.slice(0, -"/openapi.json".length);
    return c.json(openapi(paths, at), 200, { "cache-control": "public, max-age=300" });
  });
  app.get("/rooms", (c) => (isUpgrade(c.req.raw) ? refuseUpgrade(c, { code: "not_found" }) : list(c, gate)));
  for (const path of paths) {
    for (const operation of operations) {
      const run = operate(gate, operation);
      app.on(operation.method, `${path}/${operation.name}`, (c, next) => (isUpgrade(c.req.raw) ? next() : run(c)));
    }
  }
}

/** Does one operation: gate, body, room, answer. Nothing of a body is read before the gate is passed. */
function operate<Env extends object>(gate: Gate<Env>, { grant, limit, read, tell = json }: Operation) {
  const bounded =
    limit === undefined
      ? undefined
      : bodyLimit({
          maxSize: limit,
          onError: (c) => problem(c, { code: "too_large", message: `At most ${limit} bytes.` }),
        });
  return async (c: Context<{ Bindings: Env }>): Promise<Response> => {
    const passed = await gate.pass(c, grant);
    if ("code" in passed) return problem(c, passed);
    const tooLarge = await bounded?.(c, () => Promise.resolve());
    if (tooLarge) return tooLarge;
    const command = await read(c);
    if (typeof command === "string") return problem(c, { code: "bad_request", message: command });
    const { traceparent } = seenOf(c);
    const caller = {
      ...passed.address,
      credentials: passed.credentials,
      requestId: c.get("requestId"),
      ...(traceparent !== undefined && { traceparent }),
    };
    const answer = (await inTime(passed.stub.operate(caller, command))) as Answer;
    return answer.ok ? tell(c, answer.value) : problem(c, answer);
  };
}

function json(c: Context, value: unknown): Response {
  return c.body(JSON.stringify(value), 200, { "content-type": "application/json", ...FRESH });
}

/** A repeat says so, and is answered as the first was. */
function published(c: Context, value: unknown): Response {
  const { offset, at, repeated } = value as { offset: number; at: number; repeated: boolean };
  const replayed: Record<string, string> = repeated ? { "idempotent-replayed": "true" } : {};
  return c.json({ offset, at }, repeated ? 200 : 201, { ...FRESH, ...replayed });
}

/** `GET /rooms?cursor=`: a page of the live rooms, those of them that the token is admin of. */
async function list<Env extends object>(c: Context<{ Bindings: Env }>, gate: Gate<Env>): Promise<Response> {
  const caller = await gate.caller(c);
  if ("code" in caller) return problem(c, caller);
  if (!gate.mayBeAdmin(caller)) return problem(c, { code: "forbidden" });
  const { EDGEROOMS_DIRECTORY: directory } = c.env as { EDGEROOMS_DIRECTORY?: DurableObjectNamespace<Directory> };
  if (!directory) return problem(c, NO_DIRECTORY);
  const page = await listRooms(directory, c.req.query("cursor"));
  if (!page) return problem(c, { code: "not_found", message: "There is no such page of the list." });
  const seen = await Promise.all(page.rooms.map(async (listed) => gate.isAdmin(c, caller, listed)));
  return c.json({ ...page, rooms: page.rooms.filter((_, i) => seen[i]) }, 200, FRESH);
}

const NO_DIRECTORY: LoggedRefusal = {
  code: "not_found",
  message: "There is no list of rooms: bind the class Directory as EDGEROOMS_DIRECTORY.",
};
