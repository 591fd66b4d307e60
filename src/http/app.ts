/**
 * The Hono app: routes, and the path of an upgrade from request to room. Verifies everything before a room object is
 * touched, so that not one byte of a stranger reaches it.
 */
import { Hono, type Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import { cors } from "hono/cors";
import { requestId } from "hono/request-id";
import { SUBPROTOCOL } from "../protocol/frames.ts";
import { readResume, sealUpgrade, type Credentials } from "../room/admission.ts";
import type { Room } from "../room/object.ts";
import { jwt, type Authenticator, type Verified } from "./auth.ts";
import { grantsIn } from "./grants.ts";
import { checkOrigins, isAllowedOrigin } from "./origin.ts";
import { accepted, bearerToken, isUpgrade, problem, refuseUpgrade, speaksOurs, type Refusal } from "./problem.ts";

/** A room by its kind and name. */
export interface RoomAddress {
  readonly kind: string;
  readonly room: string;
}

/** Credentials with every claim of the token they came from. */
export type Caller = Credentials & Pick<Verified, "claims">;

/** What {@link createApp} needs. */
export interface AppOptions<Env extends object> {
  /** Kinds of rooms: from the name in the URL to the Durable Object binding in wrangler.toml. */
  rooms: Readonly<Record<string, keyof Env & string>>;
  /** Who is who. Default: `jwt()`, configured by the environment. */
  auth?: Authenticator;
  /** Web origins that may connect, besides the Worker's own: `https://app.example.com`, `*.example.com`. */
  origins?: readonly string[] | ((env: Env) => readonly string[]);
  /**
   * The last word before a room is asked, and the place for asynchronous checks: `true` lets the caller in as the token
   * says, credentials let it in as they say, anything else refuses with `forbidden`.
   */
  authorize?: (
    c: Context<{ Bindings: Env }>,
    caller: Caller,
    address: RoomAddress,
  ) => Promise<boolean | Credentials> | boolean | Credentials;
}

/** A room name: what needs no escaping in a URL path segment, 1 to 128 characters. */
const ROOM_NAME = /^[A-Za-z0-9._~:@-]{1,128}$/;

/**
 * An app that serves rooms alone or under any path of a bigger one: `app.route("/rt", createApp({...}))`.
 *
 * Routes: `GET /rooms/:kind/:room` (upgrade), `POST /rooms/:kind/:room/session` (next token), `GET /healthz`; without
 * `:kind/` when there is one kind.
 *
 * @throws TypeError when no kind of room is given, two share a binding, or an origin is none
 */
export function createApp<Env extends object>(options: AppOptions<Env>): Hono<{ Bindings: Env }> {
  const kinds = Object.keys(options.rooms);
  if (kinds.length === 0) throw new TypeError("createApp needs at least one kind of room");
  // A room is its binding and its name: two kinds on one binding would be one room under two sets of grants.
  if (new Set(Object.values(options.rooms)).size < kinds.length)
    throw new TypeError("every kind needs its own binding");
  if (Array.isArray(options.origins)) checkOrigins(options.origins as readonly string[]);
  const paths = ["/rooms/:kind/:room", ...(kinds.length === 1 ? ["/rooms/:room"] : [])];
  const gate = new Gate(options);

  const app = new Hono<{ Bindings: Env }>();
  app.use(requestId());
  app.onError((error, c) => {
    // The message stays in the log: it may tell a stranger about the inside.
    const where = `${c.req.method} ${c.req.routePath}`;
    console.error(JSON.stringify({ level: "error", where, requestId: c.get("requestId"), message: error.message }));
    return refuseUpgrade(c, { code: "internal" });
  });
  app.notFound((c) => refuseUpgrade(c, { code: "not_found" }));
  app.get("/healthz", (c) => c.json({ ok: true, protocol: SUBPROTOCOL }));
  for (const path of paths) {
    app.get(path, (c) => upgrade(c, gate));
    app.use(
      `${path}/session`,
      cors({
        origin: (origin, c) => (gate.allowsOrigin(c as Context<{ Bindings: Env }>) ? origin : null),
        allowMethods: ["POST"],
        allowHeaders: ["authorization", "content-type"],
        maxAge: 600,
      }),
      bodyLimit({ maxSize: 4_096, onError: (c) => problem(c, { code: "too_large" }) }),
    );
    app.post(`${path}/session`, (c) => refresh(c, gate));
  }
  // Also where a bigger app has another idea of what is not found: our clients must be told in a way they can see.
  app.all("/rooms/*", (c) => refuseUpgrade(c, { code: "not_found" }));
  return app;
}

async function upgrade<Env extends object>(c: Context<{ Bindings: Env }>, gate: Gate<Env>): Promise<Response> {
  const { raw } = c.req;
  if (!isUpgrade(raw)) return problem(c, { code: "wrong_protocol" });
  const query = new URL(c.req.url).searchParams;
  const resume = readResume(query);
  if (resume === null) return refuseUpgrade(c, { code: "bad_resume" });
  const passed = await gate.pass(c);
  if ("code" in passed) return refuseUpgrade(c, passed);
  // Last: who looks with curl is told what is wrong with the token before what is wrong with curl.
  if (!speaksOurs(raw)) return problem(c, { code: "wrong_protocol" });
  const { stub, address, credentials } = passed;
  const response = await stub.fetch(
    sealUpgrade({
      ...address,
      credentials,
      requestId: c.get("requestId"),
      receivedAt: Date.now(),
      ...(resume && { resume }),
      credit: query.get("credit") === "1",
    }),
  );
  if (response.webSocket) return accepted(response.webSocket);
  return refuseUpgrade(c, await response.json<Refusal>());
}

async function refresh<Env extends object>(c: Context<{ Bindings: Env }>, gate: Gate<Env>): Promise<Response> {
  const passed = await gate.pass(c);
  if ("code" in passed) return problem(c, passed);
  const body: unknown = await c.req.json().catch(() => undefined);
  const session = typeof body === "object" && body !== null && "session" in body ? body.session : undefined;
  if (typeof session !== "string")
    return problem(c, { code: "bad_resume", message: 'The body is {"session": "..."}.' });
  const result = await passed.stub.refresh(session, passed.credentials);
  return result.ok ? c.json({ expires: result.expires }) : problem(c, result);
}

/** Everything a request must pass before a room is asked. */
class Gate<Env extends object> {
  readonly #options: AppOptions<Env>;
  readonly #auth: Authenticator;

  constructor(options: AppOptions<Env>) {
    this.#options = options;
    this.#auth = options.auth ?? jwt();
  }

  allowsOrigin(c: Context<{ Bindings: Env }>): boolean {
    const { origins = [] } = this.#options;
    const allowed = typeof origins === "function" ? origins(c.env) : origins;
    return isAllowedOrigin(c.req.raw.headers.get("origin"), c.req.url, allowed);
  }

  async pass(c: Context<{ Bindings: Env }>) {
    const address = this.#address(c);
    if ("code" in address) return address;
    if (!this.allowsOrigin(c)) return { code: "forbidden", message: "This origin may not connect." } satisfies Refusal;
    const verified = await this.#auth.verify(bearerToken(c.req.raw, this.#auth.tokenInUrl), c.env);
    if ("code" in verified) return verified;
    const credentials = await this.#authorize(c, verified, address);
    if (!credentials?.grants.includes("join")) return { code: "forbidden" } satisfies Refusal;
    if (credentials.expires <= Date.now()) return { code: "token_expired" } satisfies Refusal;
    const binding = this.#options.rooms[address.kind] as keyof Env & string;
    const namespace = c.env[binding] as DurableObjectNamespace<Room> | undefined;
    if (!namespace) throw new Error(`there is no Durable Object binding ${binding}`);
    return { address, credentials, stub: namespace.getByName(address.room) };
  }

  #address(c: Context): RoomAddress | Refusal {
    const { rooms } = this.#options;
    const { kind = Object.keys(rooms)[0] ?? "", room = "" } = c.req.param() as Partial<RoomAddress>;
    if (!Object.hasOwn(rooms, kind)) return { code: "not_found", message: "There is no such kind of room." };
    return ROOM_NAME.test(room) ? { kind, room } : { code: "bad_room" };
  }

  async #authorize(
    c: Context<{ Bindings: Env }>,
    verified: Verified,
    address: RoomAddress,
  ): Promise<Credentials | undefined> {
    const { claims, ...rest } = verified;
    const credentials = { ...rest, grants: grantsIn(claims["rooms"], address.kind, address.room) };
    const { authorize } = this.#options;
    if (!authorize) return credentials;
    // Typed as never null, yet a forgotten return or a missing entry must not let anyone in.
    const word = (await authorize(c, { ...credentials, claims }, address)) as boolean | Credentials | null | undefined;
    if (word === true) return credentials;
    if (typeof word !== "object" || word === null) return undefined;
    // A caller spread into the answer has its claims in it. What a room has no name for stays here.
    const { user, name, grants, issued, expires } = word;
    return { user, ...(name !== undefined && { name }), grants, issued, expires };
  }
}
