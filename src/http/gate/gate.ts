/**
 * Everything that a request must pass before a room is asked: address, origin, token, `authorize`, grant. All of it comes
 * before a room object is touched, so that not one byte of a stranger reaches a room.
 */
import type { Context } from "hono";
import type { Alert } from "../../ops/failures.ts";
import { ROOM_NAME, type GrantName } from "../../protocol/api.ts";
import { readRefusal, type Refusal } from "../../protocol/refusal.ts";
import type { Credentials } from "../../room/admission.ts";
import type { Room } from "../../room.ts";
import { spanned } from "../observe.ts";
import { bearerToken } from "../problem.ts";
import { requestInfo, type Denied, type RequestInfo, type RoomAddress } from "../request.ts";
import { denial, HookFailed } from "../thrown.ts";
import { jwt, type Authenticator, type Verified } from "./auth.ts";
import { readCredentials, readIdentity } from "./credentials.ts";
import { grantsAnywhere, grantsIn } from "./grants.ts";
import { isAllowedOrigin } from "./origin.ts";

/** Credentials with every claim of the token they came from. */
export type Caller = Credentials & Pick<Verified, "claims">;

/** The names of an environment's bindings of rooms. */
export type RoomBinding<Env extends object> = {
  [Name in keyof Env & string]: Env[Name] extends DurableObjectNamespace<infer Object>
    ? Object extends Room | undefined
      ? Name
      : never
    : never;
}[keyof Env & string];

/** What {@link createApp} needs. */
export interface AppOptions<Env extends object> {
  /** Kinds of rooms: from the name in the URL to the Durable Object binding in wrangler.toml. */
  rooms: Readonly<Record<string, RoomBinding<Env>>>;
  /** Says which user a token is for. Default: `jwt()`, configured by the environment. */
  auth?: Authenticator | undefined;
  /** Web origins that may connect, besides the Worker's own: `https://app.example.com`, `*.example.com`. */
  origins?: readonly string[] | ((env: Env) => readonly string[]) | undefined;
  /**
   * Has the last word before a room is asked, and may be asynchronous: `true` lets the caller in as the token says,
   * credentials let it in as they say, anything else refuses with `forbidden`. A throw refuses with `internal`, credentials
   * with an invalid field with `hook_failed`.
   */
  authorize?:
    | ((
        c: Context<{ Bindings: Env }>,
        caller: Caller,
        address: RoomAddress,
      ) => Promise<boolean | Credentials> | boolean | Credentials)
    | undefined;
  /**
   * Called with failures of severity `alert`, at most once a minute for each code and isolate. Rooms call their own
   * `onAlert`. Default: the webhook at `ALERT_WEBHOOK_URL`, if there is one.
   */
  onAlert?: ((alert: Alert, env: Env) => Promise<void> | void) | undefined;
}

const ALL_ROOMS: RoomAddress = { kind: "*", room: "*" };

/** A request that has passed: for which room, as which user, and where that room is. */
export interface Passage {
  readonly info: RequestInfo;
  readonly address: RoomAddress;
  readonly credentials: Credentials;
  readonly stub: DurableObjectStub<Room>;
}

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

  /** The user that asks, whatever room it is about. */
  async verify(
    c: Context<{ Bindings: Env }>,
    info = requestInfo(c),
  ): Promise<{ readonly verified: Verified; readonly info: RequestInfo } | Denied> {
    if (!this.allowsOrigin(c)) return { code: "forbidden", message: "This origin may not connect.", info };
    try {
      const token = bearerToken(c.req.raw, this.#auth.tokenInUrl);
      const answer = await spanned(info, "verify", () => this.#auth.verify(token, c.env));
      const verified = readVerified(answer);
      return "code" in verified ? { ...verified, info } : { verified, info: { ...info, user: verified.user } };
    } catch (error) {
      return denial(error, c.env, info);
    }
  }

  /**
   * Why a caller may not see all rooms at once: the token must say so, and `authorize` must not object. The address that
   * stands for all rooms is any room of any kind.
   */
  async requireGlobalAdmin(c: Context<{ Bindings: Env }>): Promise<Denied | undefined> {
    const known = await this.verify(c);
    if ("code" in known) return known;
    const { verified, info } = known;
    const { kind, room } = ALL_ROOMS;
    const isNamed = grantsIn(verified.claims["rooms"] ?? null, kind, room).includes("admin");
    try {
      return isNamed && (await this.isAdmin(c, verified, ALL_ROOMS)) ? undefined : { code: "forbidden", info };
    } catch (error) {
      return denial(error, c.env, info);
    }
  }

  /** The user and room of a request, if the token allows `grant` there. */
  async authorize(c: Context<{ Bindings: Env }>, grant: GrantName): Promise<Passage | Denied> {
    const address = this.#address(c);
    if ("code" in address) return address;
    const known = await this.verify(c, { ...requestInfo(c), address });
    if ("code" in known) return known;
    const { verified, info } = known;
    try {
      const credentials = await this.#credentials(c, verified, address);
      if (!credentials?.grants.includes(grant)) return { code: "forbidden", info };
      if (credentials.expires <= Date.now()) return { code: "token_expired", info };
      return { info, address, credentials, stub: this.#namespace(c.env, address).getByName(address.room) };
    } catch (error) {
      return denial(error, c.env, info);
    }
  }

  /** Whether a caller could be an operator of any room. `authorize` can make one of anybody, room by room. */
  mayBeAdmin(caller: Verified): boolean {
    return this.#options.authorize !== undefined || grantsAnywhere(caller.claims["rooms"], "admin");
  }

  /** Whether a caller is an operator of a room. */
  async isAdmin(c: Context<{ Bindings: Env }>, caller: Verified, address: RoomAddress): Promise<boolean> {
    return (await this.#credentials(c, caller, address))?.grants.includes("admin") ?? false;
  }

  #address(c: Context): RoomAddress | Denied {
    const { rooms } = this.#options;
    const { kind = Object.keys(rooms)[0] ?? "", room = "" } = c.req.param() as Partial<RoomAddress>;
    if (!Object.hasOwn(rooms, kind)) return { code: "not_found", message: "There is no such kind of room." };
    return ROOM_NAME.test(room) ? { kind, room } : { code: "bad_room" };
  }

  #namespace(env: Env, { kind }: RoomAddress): DurableObjectNamespace<Room> {
    const binding: keyof Env | undefined = this.#options.rooms[kind];
    const namespace = binding && (env[binding] as DurableObjectNamespace<Room> | undefined);
    if (!namespace) throw new Error(`there is no Durable Object binding ${String(binding)}`);
    return namespace;
  }

  async #credentials(
    c: Context<{ Bindings: Env }>,
    { claims, ...identity }: Verified,
    address: RoomAddress,
  ): Promise<Credentials | undefined> {
    const credentials = { ...identity, grants: grantsIn(claims["rooms"], address.kind, address.room) };
    const { authorize } = this.#options;
    if (!authorize) return credentials;
    // Typed as never null, yet a forgotten return or a missing entry must not let anyone in.
    const word = (await authorize(c, { ...credentials, claims }, address)) as boolean | Credentials | null | undefined;
    if (word === true) return credentials;
    // A caller spread into the answer has its claims in it: those stay here.
    return typeof word === "object" && word !== null ? readCredentials(word, "authorize") : undefined;
  }
}

/** What an Authenticator returned, which may be anything. */
function readVerified(answer: Verified | Refusal): Verified | Denied {
  const value: unknown = answer;
  if (typeof value !== "object" || value === null) throw new HookFailed("the Authenticator returned nothing");
  if ("code" in answer) {
    const refusal = readRefusal(answer);
    if (!refusal) throw new HookFailed("the Authenticator refused with a code that does not exist");
    return { ...refusal, ...("cause" in answer && { cause: answer.cause }) };
  }
  const { claims } = answer as Partial<Verified>;
  if (typeof claims !== "object" || claims === null) throw new HookFailed("the Authenticator returned no claims");
  return { ...readIdentity(answer, "the Authenticator"), claims };
}
