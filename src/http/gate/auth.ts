/**
 * Says which user a token is for, and why a token is refused. Without configuration every token is. trust.ts says which
 * tokens are good, verify.ts whether one is, grants.ts what it allows where.
 */
import { errors } from "jose";
import { UpstreamFailed } from "../../ops/upstream.ts";
import { MAX_USER_ID } from "../../protocol/limits.ts";
import type { Refusal } from "../../protocol/refusal.ts";
import type { Denied } from "../request.ts";
import { isName, isUserId } from "./credentials.ts";
import { IssuerUnreachable, KeyUnknown } from "./keys.ts";
import { trustOf } from "./trust.ts";
import type { TrustOptions } from "./trust-options.ts";
import { verifiedBy } from "./verify.ts";

/** The claims of a token: those that RFC 7519 registers, and any others. */
export interface Claims {
  readonly iss?: string;
  readonly sub?: string;
  readonly aud?: string | string[];
  readonly jti?: string;
  readonly nbf?: number;
  readonly exp?: number;
  readonly iat?: number;
  readonly [name: string]: unknown;
}

/** What a verified token says, whatever room it is for. */
export interface Verified {
  readonly user: string;
  readonly name?: string;
  /** When the token was issued, in ms since the epoch; 0 when it does not say. */
  readonly issued: number;
  /** When the token expires, clock tolerance included, in ms since the epoch. Infinity: never. */
  readonly expires: number;
  /** Every claim, for `authorize`. */
  readonly claims: Claims;
}

/** Says which user a token is for. What it returns is checked: a wrong field refuses the request with `hook_failed`. */
export interface Authenticator {
  /** Whether `?token=` counts too. */
  readonly tokenInUrl: boolean;
  /**
   * Name of a cookie that counts as a token where there is no other. Then, and only then, the request must come from a page
   * of an allowed origin: browsers add cookies to what any page asks for.
   */
  readonly cookie?: string;
  /**
   * @param request for Authenticators that look at more than the token. Whatever browsers send by themselves (cookies, a
   *   client's certificate, an address) proves nothing about the page that asks: name the `cookie` instead.
   */
  verify(token: string | undefined, env: object, request: Request): Promise<Verified | Refusal>;
  /** What of its configuration is wrong, as sentences for anybody; for `GET /readyz`. Absent: nothing is looked at. */
  problems?(env: object): Promise<readonly string[]>;
}

/** Settings of {@link jwt}. Each one that is absent is read from the environment variable named with it. */
export interface JwtOptions extends TrustOptions {
  /** Seconds by which clocks may differ. Default 10, at most 60. */
  clockTolerance?: number | undefined;
  /** Accept `?token=` too. URLs end up in logs: default false. */
  tokenInUrl?: boolean | undefined;
  /** Name of a cookie that holds the token where there is no other. Default: none. */
  cookie?: string | undefined;
}

/** How far ahead a token's time may be for its holder to be told to come again, in ms; past it the clocks are wrong. */
const MAX_EARLY_MS = 60_000;

/**
 * Tokens are JWTs.
 *
 * @throws RangeError for a clock tolerance outside 0 to 60 s
 */
export function jwt(options: JwtOptions = {}): Authenticator {
  const { clockTolerance = 10, tokenInUrl = false, cookie } = options;
  if (!(clockTolerance >= 0 && clockTolerance <= 60)) throw new RangeError("clockTolerance is 0 to 60 seconds");
  return {
    tokenInUrl,
    ...(cookie !== undefined && { cookie }),
    async verify(token, env) {
      const trust = await trustOf(options, env);
      if (!token) return { code: "unauthorized", message: "There is no token." };
      try {
        const { payload } = await verifiedBy(trust, token, clockTolerance);
        return read(payload, clockTolerance);
      } catch (error) {
        if (error instanceof UpstreamFailed) throw error;
        return refusalFor(error);
      }
    },
    async problems(env) {
      try {
        const { keysFor } = await trustOf(options, env);
        const keys = keysFor(undefined);
        const others = keys && "secrets" in keys ? keys.secrets.others : [];
        const settled = await Promise.allSettled(others);
        return settled.flatMap((each) => (each.status === "rejected" ? [sentenceOf(each.reason)] : []));
      } catch (error) {
        return [sentenceOf(error)];
      }
    },
  };
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : "The configuration of tokens cannot be read.";
}

function read(claims: Claims, clockTolerance: number): Verified | Denied {
  const { sub, name, exp = 0, iat = 0 } = claims;
  // jose takes any JSON for a sub.
  if (!isUserId(sub)) {
    return { code: "unauthorized", message: `sub must be 1 to ${MAX_USER_ID} printable characters.` };
  }
  // Issued in the future, it would outlive its revocation.
  const early = (iat - clockTolerance) * 1_000 - Date.now();
  if (early > 0) return tooEarly(early, "iat is in the future.");
  return {
    user: sub,
    ...(isName(name) && { name }),
    issued: Math.max(0, Math.floor(iat * 1_000)),
    expires: Math.floor((exp + clockTolerance) * 1_000),
    claims,
  };
}

function refusalFor(error: unknown): Denied {
  if (error instanceof errors.JWTExpired) return { code: "token_expired" };
  if (error instanceof IssuerUnreachable) {
    return { code: error.code, message: "The issuer's keys are out of reach.", retryAfter: error.retryAfter };
  }
  if (error instanceof KeyUnknown) {
    return {
      code: "token_early",
      message: "The key of this token is not known here yet.",
      retryAfter: error.retryAfter,
    };
  }
  if (error instanceof errors.JWTClaimValidationFailed && error.claim === "nbf" && error.reason === "check_failed") {
    return tooEarly(Number(error.payload.nbf) * 1_000 - Date.now(), error.message);
  }
  // This one quotes the token.
  if (error instanceof errors.JOSENotSupported)
    return { code: "unauthorized", message: "The token is of another kind." };
  // Which check failed helps the honest; jose's messages name claims, never their values or keys.
  if (error instanceof errors.JOSEError) return { code: "unauthorized", message: error.message };
  return { code: "unauthorized" };
}

/** A clock that is a little ahead heals by itself. */
function tooEarly(ms: number, message: string): Denied {
  if (!(ms <= MAX_EARLY_MS)) return { code: "unauthorized", message };
  return { code: "token_early", message, retryAfter: Math.max(1_000, Math.ceil(ms)) };
}
