/**
 * Everything that a request must pass before a room is asked: address, origin, token, `authorize`, grant. All of it comes
 * before a room object is touched, so that not one byte of a stranger reaches a room.
 */
import type { Context } from "hono";
import { ROOM_NAME, type GrantName } from "../../protocol/api.ts";
import { texts } from "../../protocol/codes.ts";
import { readRefusal, type Refusal } from "../../protocol/refusal.ts";
import type { Credentials } from "../../room/admission.ts";
import type { Room } from "../../room.ts";
import { reportMisconfigured, spanned } from "../observe.ts";
import { bearerToken } from "../problem.ts";
import { requestInfo, type Denied, type RequestInfo, type RoomAddress } from "../request.ts";
import { denial, HookFailed } from "../thrown.ts";
import { jwt, type Authenticator, type Verified } from "./auth.ts";
import { readCredentials, readIdentity } from "./credentials.ts";
import { cookieToken } from "./cookie.ts";
import { grantsIn, patternsWith } from "./grants.ts";
import { LargeRooms } from "./large-rooms.ts";
import { RequestLimits, type LimitName } from "./limits.ts";
import type { AppOptions } from "./options.ts";
import { isAllowedOrigin, originsIn, wrongOrigins } from "./origin.ts";
import { Places } from "./places.ts";

const NO_ORIGIN: Denied = {
  code: "forbidden",
  message: "The origin of this page may not connect: list it in ALLOWED_ORIGINS, or in the origins of createApp.",
};
const ALL_ROOMS: RoomAddress = { kind: "*", room: "*" };

/** A request that has passed: for which room, as which user, and where that room is. */
export interface Passage {
  readonly info: RequestInfo;
  readonly address: RoomAddress;
  readonly credentials: Credentials;
  readonly stub: DurableObjectStub<Room>;
}

/** Rooms that a caller can be an operator of, by patterns of `kind/room`. */
export interface AdminScope {
  readonly patterns: readonly string[];
  /** Whether the token grants `admin` anywhere, or `authorize` does everywhere. */
  readonly isNamed: boolean;
  /** Whether `authorize` need not be asked about each room. */
  readonly isFinal: boolean;
}

/** The way in. */
export class Gate<Env extends object> {
  readonly places: Places<Env>;
  readonly largeRooms: LargeRooms<Env>;
  readonly #options: AppOptions<Env>;
  readonly #auth: Authenticator;
  readonly #limits: RequestLimits;

  constructor(options: AppOptions<Env>) {
    this.places = new Places(options.rooms);
    this.largeRooms = new LargeRooms(this.places);
    this.#options = options;
    this.#auth = options.auth ?? jwt();
    this.#limits = new RequestLimits(options.limits);
  }

  /** Whether pages may send cookies along. */
  get takesCookies(): boolean {
    return this.#auth.cookie !== undefined;
  }

  allowsOrigin(c: Context<{ Bindings: Env }>): boolean {
    const origin = c.req.raw.headers.get("origin");
    if (origin === null) return true;
    const { allowed, wrong } = this.#origins(c.env);
    if (wrong !== undefined) reportMisconfigured("origins", wrong);
    return isAllowedOrigin(origin, c.req.url, allowed);
  }

  /** The user that asks, whatever room it is about. `limit`: what it counts towards. */
  async verify(
    c: Context<{ Bindings: Env }>,
    info = requestInfo(c),
    limit: LimitName = "request",
  ): Promise<{ readonly verified: Verified; readonly info: RequestInfo } | Denied> {
    try {
      if (!this.allowsOrigin(c)) return { ...NO_ORIGIN, info };
      // Before anything is verified, which costs more than to count.
      const flooding = this.#limits.ofAddress(c.req.raw);
      if (flooding) return { ...flooding, info };
      // A client without a token of its own offers an empty one.
      const token = bearerToken(c.req.raw, this.#auth.tokenInUrl) || cookieToken(c, this.#auth.cookie);
      const answer = await spanned(info, "verify", () => this.#auth.verify(token, c.env, c.req.raw));
      const verified = readVerified(answer);
      if ("code" in verified) return { ...verified, info };
      const known = { ...info, user: verified.user };
      const refused = await this.#limits.ofUser(limit, verified.user, c.env);
      return refused ? { ...refused, info: known } : { verified, info: known };
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
    const isConfined = this.places.isConfined(address.kind);
    const about = { ...requestInfo(c), address, ...(isConfined && { isConfined }) };
    const known = await this.verify(c, about, grant === "join" ? "join" : "request");
    if ("code" in known) return known;
    const { verified, info } = known;
    try {
      const credentials = await this.#credentials(c, verified, address);
      if (!credentials?.grants.includes(grant)) return { code: "forbidden", info };
      if (credentials.expires <= Date.now()) return { code: "token_expired", info };
      return { info, address, credentials, stub: this.places.stub(c.env, address) };
    } catch (error) {
      return denial(error, c.env, info);
    }
  }

  /**
   * Which rooms a caller can be an operator of: those that its token names. `authorize` can take any of them away, and make
   * an operator of anybody, so it must be asked about each room, unless it makes the caller one of all rooms at once.
   */
  async adminScope(c: Context<{ Bindings: Env }>, caller: Verified): Promise<AdminScope> {
    const patterns = patternsWith(caller.claims["rooms"], "admin");
    const isNamed = patterns.length > 0;
    if (!this.#options.authorize) return { patterns, isNamed, isFinal: true };
    if (await this.isAdmin(c, caller, ALL_ROOMS)) return { patterns: ["*"], isNamed: true, isFinal: true };
    return { patterns: isNamed ? patterns : ["*"], isNamed, isFinal: false };
  }

  /** Whether a caller is an operator of a room. */
  async isAdmin(c: Context<{ Bindings: Env }>, caller: Verified, address: RoomAddress): Promise<boolean> {
    return (await this.#credentials(c, caller, address))?.grants.includes("admin") ?? false;
  }

  /** What of the environment keeps this gate from working, as sentences for anybody. */
  async problems(env: Env): Promise<string[]> {
    return [
      ...this.places.problems(env),
      ...(await failing("The Authenticator", async () => (await this.#auth.problems?.(env)) ?? [])),
      ...(await failing("The function `origins` of createApp", () => this.#origins(env).wrong ?? [])),
      ...this.#limits.problems(env),
    ];
  }

  /** Where rooms are, for a caller that asked somewhere else. */
  get map(): string {
    const { kinds } = this.places;
    return `A room is at /rooms/KIND/NAME${kinds.length === 1 ? " or /rooms/NAME" : ""}. Kinds: ${kinds.join(", ")}.`;
  }

  /** Which pages may connect, and what is wrong with the list. What is no text is no entry. */
  #origins(env: Env): { readonly allowed: readonly string[]; readonly wrong: string | undefined } {
    const { origins } = this.#options;
    // The deployer's code: its types promise more than it keeps.
    const entries: unknown = typeof origins === "function" ? origins(env) : (origins ?? originsIn(env));
    if (!Array.isArray(entries)) throw new HookFailed("the function `origins` of createApp returned no array");
    const wrong = wrongOrigins(entries, origins === undefined ? "ALLOWED_ORIGINS" : "the origins of createApp");
    return { allowed: entries.filter((entry) => typeof entry === "string"), wrong };
  }

  #address(c: Context): RoomAddress | Denied {
    const { kind = this.places.kinds[0] ?? "", room = "" } = c.req.param() as Partial<RoomAddress>;
    if (!this.places.has(kind)) return { code: "not_found", message: `There is no such kind. ${this.map}` };
    return ROOM_NAME.test(room) ? { kind, room } : { code: "bad_room", message: texts.bad_room };
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

/** What the deployer's own code says of itself; when it throws, that it does. What it throws may be a secret. */
async function failing(
  what: string,
  run: () => Promise<readonly string[]> | readonly string[] | string,
): Promise<readonly string[]> {
  try {
    return [await run()].flat();
  } catch {
    return [`${what} failed.`];
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
