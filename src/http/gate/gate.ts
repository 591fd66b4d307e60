/**
 * Everything a request must pass before a room is asked: address, origin, token, `authorize`, grant. Verifies before a
 * room object is touched, so that not one byte of a stranger reaches it.
 */
import type { Context } from "hono";
import type { Alert } from "../../ops/failures.ts";
import type { Credentials } from "../../room/admission.ts";
import type { Grant } from "../../room/definition.ts";
import type { Room } from "../../room.ts";
import { jwt, type Authenticator, type Verified } from "./auth.ts";
import { grantsAnywhere, grantsIn } from "./grants.ts";
import { isAllowedOrigin } from "./origin.ts";
import { bearerToken } from "../problem.ts";
import { seenOf, type LoggedRefusal } from "../request.ts";
import { spanned } from "../observe.ts";

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
  /**
   * Told of failures of severity `alert`, at most once a minute for each code and isolate. Rooms tell their own `onAlert`.
   * Default: the webhook at `ALERT_WEBHOOK_URL`, if there is one.
   */
  onAlert?: (alert: Alert, env: Env) => Promise<void> | void;
}

/** A room name: what needs no escaping in a URL path segment, 1 to 128 characters. */
const ROOM_NAME = /^[A-Za-z0-9._~:@-]{1,128}$/;

const ALL_ROOMS: RoomAddress = { kind: "*", room: "*" };

/** The way in. */
export class Gate<Env extends object> {
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

  /** Who asks, whatever room it is about. */
  async caller(c: Context<{ Bindings: Env }>): Promise<Verified | LoggedRefusal> {
    if (!this.allowsOrigin(c)) return { code: "forbidden", message: "This origin may not connect." };
    const token = bearerToken(c.req.raw, this.#auth.tokenInUrl);
    const verified = await spanned(c, "verify", () => this.#auth.verify(token, c.env));
    if ("user" in verified) seenOf(c).user = verified.user;
    return verified;
  }

  /**
   * Why a caller may not see all rooms at once: the token must say so, and `authorize` must not object. The address that
   * stands for all rooms is any room of any kind.
   */
  async overseer(c: Context<{ Bindings: Env }>): Promise<LoggedRefusal | undefined> {
    const caller = await this.caller(c);
    if ("code" in caller) return caller;
    const { kind, room } = ALL_ROOMS;
    const says = grantsIn(caller.claims["rooms"] ?? null, kind, room).includes("admin");
    return says && (await this.isAdmin(c, caller, ALL_ROOMS)) ? undefined : { code: "forbidden" };
  }

  /** Who asks for what room, if the token allows them `grant` in it. */
  async pass(c: Context<{ Bindings: Env }>, grant: Grant) {
    const address = this.#address(c);
    if ("code" in address) return address;
    seenOf(c).address = address;
    const verified = await this.caller(c);
    if ("code" in verified) return verified;
    const credentials = await this.#authorize(c, verified, address);
    if (!credentials?.grants.includes(grant)) return { code: "forbidden" } satisfies LoggedRefusal;
    if (credentials.expires <= Date.now()) return { code: "token_expired" } satisfies LoggedRefusal;
    const binding = this.#options.rooms[address.kind] as keyof Env & string;
    const namespace = c.env[binding] as DurableObjectNamespace<Room> | undefined;
    if (!namespace) throw new Error(`there is no Durable Object binding ${binding}`);
    return { address, credentials, stub: namespace.getByName(address.room) };
  }

  /** Whether a caller could be an operator of any room. `authorize` can make one of anybody, room by room. */
  mayBeAdmin(caller: Verified): boolean {
    return this.#options.authorize !== undefined || grantsAnywhere(caller.claims["rooms"], "admin");
  }

  /** Whether a caller is an operator of a room. */
  async isAdmin(c: Context<{ Bindings: Env }>, caller: Verified, address: RoomAddress): Promise<boolean> {
    return (await this.#authorize(c, caller, address))?.grants.includes("admin") ?? false;
  }

  #address(c: Context): RoomAddress | LoggedRefusal {
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
