/**
 * How much one user, and one network address, may ask of the Worker before a room is asked: buckets in this isolate, and for
 * users the rate limiter that is bound as `RATE_LIMIT` instead. Knows no tokens and no rooms.
 */
import { withTimeout } from "../../protocol/with-timeout.ts";
import { reportMisconfigured } from "../observe.ts";
import type { Denied } from "../request.ts";
import { addressKey, Buckets, type Pace } from "./buckets.ts";

/** What one isolate takes. */
export interface Limits {
  /** Connects and token refreshes of one user. Default 20 a second, 200 at once. */
  readonly join: Pace;
  /** Other requests of one user. Default 100 a second, 1,000 at once. */
  readonly request: Pace;
  /** Requests of one IPv4 address or IPv6 /64. Default 200 a second, 2,000 at once. */
  readonly address: Pace;
}

/** Limits of a program; each one that is absent is the default. */
export type LimitOptions = { readonly [Name in keyof Limits]?: Limits[Name] | undefined };

/** What a request of a user counts towards. */
export type LimitName = Exclude<keyof Limits, "address">;

const DEFAULTS: Limits = {
  join: { perSecond: 20, burst: 200 },
  request: { perSecond: 100, burst: 1_000 },
  // Schools, offices and mobile networks have one address for thousands, who all come back at once after a deploy.
  address: { perSecond: 200, burst: 2_000 },
};
/** Until a caller may try again whom the bound rate limiter refused, in ms: its periods are 10 and 60 s. */
const BOUND_RETRY_MS = 10_000;

/** How long the bound rate limiter is waited for, in ms: it stands before every request. */
const BOUND_TIMEOUT_MS = 1_000;

/** A rate limiter as it is bound. */
interface RateLimiter {
  limit(options: { key: string }): Promise<{ success: boolean }>;
}

/** The limits of one app in one isolate. */
export class RequestLimits {
  readonly #buckets: Readonly<Record<keyof Limits, Buckets>> | undefined;

  /** @throws RangeError for a pace that is no pace */
  constructor(limits: LimitOptions | false = {}) {
    if (limits === false) return;
    const { join = DEFAULTS.join, request = DEFAULTS.request, address = DEFAULTS.address } = limits;
    for (const { perSecond, burst } of [join, request, address]) {
      if (!(perSecond > 0 && burst >= 1)) throw new RangeError("a limit has perSecond above 0 and burst of 1 or more");
    }
    this.#buckets = { join: new Buckets(join), request: new Buckets(request), address: new Buckets(address) };
  }

  /** Why a request is refused, by where it comes from. On the developer's own computer nobody is counted. */
  ofAddress(request: Request): Denied | undefined {
    const key = addressKey(request.headers.get("cf-connecting-ip") ?? "");
    // Never by the bound limiter: its limit is one user's, and an address may be a school's.
    return key === undefined ? undefined : this.#take("address", key);
  }

  /** Why a request of a user is refused. */
  async ofUser(limit: LimitName, user: string, env: object): Promise<Denied | undefined> {
    const { RATE_LIMIT: bound } = env as { RATE_LIMIT?: unknown };
    if (!this.#buckets) return undefined;
    const isTaken = isRateLimiter(bound) ? await ask(bound, `${limit}:${user}`) : undefined;
    if (isTaken !== undefined) return isTaken ? undefined : refusal(limit, BOUND_RETRY_MS);
    for (const problem of this.problems(env)) reportMisconfigured("RATE_LIMIT", problem);
    return this.#take(limit, user);
  }

  /** What is wrong with the binding, as a sentence for anybody. */
  problems(env: object): string[] {
    const { RATE_LIMIT: bound } = env as { RATE_LIMIT?: unknown };
    return bound === undefined || isRateLimiter(bound) ? [] : ["RATE_LIMIT is no binding of a rate limiter."];
  }

  #take(limit: keyof Limits, key: string): Denied | undefined {
    const wait = this.#buckets?.[limit].take(key, Date.now()) ?? 0;
    return wait > 0 ? refusal(limit, wait) : undefined;
  }
}

const REFUSED: Readonly<Record<keyof Limits, string>> = {
  join: "This user connects too often.",
  request: "This user asks too often.",
  address: "Too many requests from this address.",
};

/** Up to twice the wait, by chance: those who are refused together do not come back together. */
function refusal(limit: keyof Limits, wait: number): Denied {
  return { code: "rate_limited", message: REFUSED[limit], retryAfter: Math.ceil(wait * (1 + Math.random())) };
}

function isRateLimiter(value: unknown): value is RateLimiter {
  return typeof value === "object" && value !== null && "limit" in value && typeof value.limit === "function";
}

/** Asks the bound limiter; `undefined` when it does not answer: then the buckets count. */
async function ask(limiter: RateLimiter, key: string): Promise<boolean | undefined> {
  try {
    const { success } = await withTimeout(limiter.limit({ key }), "the rate limiter", BOUND_TIMEOUT_MS);
    return success;
  } catch {
    return undefined;
  }
}
