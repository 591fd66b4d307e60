/**
 * Verifies tokens with jose: by a shared secret or an issuer's key set, with the algorithms of either pinned. Without
 * configuration every token is refused. Knows nothing of rooms; what a token allows where is grants.ts.
 */
import { errors, jwtVerify, type JWTVerifyGetKey } from "jose";
import { MAX_USER_ID } from "../../protocol/limits.ts";
import { isName, isUserId } from "./credentials.ts";
import { IssuerUnreachable, keySet } from "./keys.ts";
import type { Refusal } from "../../protocol/refusal.ts";
import type { Denied } from "../request.ts";

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
  verify(token: string | undefined, env: object): Promise<Verified | Refusal>;
}

/** Settings of {@link jwt}. Each one that is absent is read from the environment variable named with it. */
export interface JwtOptions {
  /** Shared secret for HS256, at least 32 bytes. `AUTH_SECRET`. Not used when there is a key set. */
  secret?: string | undefined;
  /** Address of the issuer's key set, for RS256, ES256 and EdDSA. `AUTH_JWKS_URL`. */
  jwksUrl?: string | undefined;
  /** Required `iss`. `AUTH_ISSUER`; not checked when neither is set. */
  issuer?: string | undefined;
  /** Required `aud`. `AUTH_AUDIENCE`; not checked when neither is set. */
  audience?: string | undefined;
  /** Seconds by which clocks may differ. Default 10, at most 60. */
  clockTolerance?: number | undefined;
  /** Accept `?token=` too. URLs end up in logs: default false. */
  tokenInUrl?: boolean | undefined;
}

const SECRET_ALGORITHMS = ["HS256"];
const KEY_SET_ALGORITHMS = ["RS256", "ES256", "EdDSA"];
/** RFC 7518 section 3.2: a key at least as long as the hash. */
const MIN_SECRET_BYTES = 32;

/**
 * Tokens are JWTs.
 *
 * @throws RangeError for a clock tolerance outside 0 to 60 s
 */
export function jwt(options: JwtOptions = {}): Authenticator {
  const { clockTolerance = 10, tokenInUrl = false } = options;
  if (!(clockTolerance >= 0 && clockTolerance <= 60)) throw new RangeError("clockTolerance is 0 to 60 seconds");
  return {
    tokenInUrl,
    async verify(token, env) {
      const keys = keysOf(options, env);
      if ("code" in keys) return keys;
      if (!token) return { code: "unauthorized", message: "There is no token." };
      const issuer = options.issuer ?? setting(env, "AUTH_ISSUER");
      const audience = options.audience ?? setting(env, "AUTH_AUDIENCE");
      try {
        const { payload } = await jwtVerify(token, keys.get, {
          algorithms: keys.algorithms,
          clockTolerance,
          requiredClaims: ["sub", "exp"],
          ...(issuer !== undefined && { issuer }),
          ...(audience !== undefined && { audience }),
        });
        return read(payload, clockTolerance);
      } catch (error) {
        return refusalFor(error);
      }
    },
  };
}

function setting(env: object, name: string): string | undefined {
  const value = (env as Record<string, unknown>)[name];
  return typeof value === "string" && value !== "" ? value : undefined;
}

function keysOf(options: JwtOptions, env: object): { get: JWTVerifyGetKey; algorithms: string[] } | Denied {
  const url = options.jwksUrl ?? setting(env, "AUTH_JWKS_URL");
  if (url !== undefined) {
    if (!URL.canParse(url)) return misconfigured("needs a valid URL as AUTH_JWKS_URL");
    return { get: keySet(url).get, algorithms: KEY_SET_ALGORITHMS };
  }
  const secret = new TextEncoder().encode(options.secret ?? setting(env, "AUTH_SECRET") ?? "");
  if (secret.length >= MIN_SECRET_BYTES) return { get: () => secret, algorithms: SECRET_ALGORITHMS };
  if (secret.length === 0) return misconfigured("is not configured");
  return misconfigured(`needs an AUTH_SECRET of ${MIN_SECRET_BYTES} bytes or more`);
}

function misconfigured(what: string): Denied {
  const cause = `authentication ${what}: every request is refused`;
  return { code: "unavailable", message: "Authentication is not configured.", cause };
}

function read(claims: Claims, clockTolerance: number): Verified | Denied {
  const { sub, name, exp = 0, iat = 0 } = claims;
  // jose takes any JSON for a sub.
  if (!isUserId(sub)) {
    return { code: "unauthorized", message: `sub must be 1 to ${MAX_USER_ID} printable characters.` };
  }
  // Issued in the future, it would outlive its revocation.
  if (iat > Date.now() / 1_000 + clockTolerance) return { code: "unauthorized", message: "iat is in the future." };
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
  // Which check failed helps the honest; jose's messages name claims, never their values or keys.
  if (error instanceof errors.JOSEError) return { code: "unauthorized", message: error.message };
  return { code: "unauthorized" };
}
