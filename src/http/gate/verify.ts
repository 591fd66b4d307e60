/**
 * Verifies tokens with jose: by shared secrets or an issuer's key set, with the algorithms of either pinned. Knows neither the
 * settings nor what a token's claims mean.
 */
import { decodeJwt, errors, jwtVerify, type CryptoKey, type JWTVerifyOptions, type JWTVerifyResult } from "jose";
import type { Rotating } from "../../ops/secrets.ts";
import { Misconfigured } from "../../ops/settings.ts";
import type { Trust } from "./trust.ts";

const SECRET_ALGORITHMS = ["HS256"];
/** Every asymmetric signature that jose verifies on Workers. The type of the key decides which of them it can be. */
const KEY_SET_ALGORITHMS = "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519".split(" ");
/** Keys of a set that are tried for a token without a key id, at most. */
const MAX_KEYS_TRIED = 10;
/**
 * Verifies a token with whatever may have signed it.
 *
 * @throws what jose or the key set throws for the last try
 * @throws UpstreamFailed when no other secret fits, and the store of one does not answer
 */
export async function verifiedBy(trust: Trust, token: string, clockTolerance: number): Promise<JWTVerifyResult> {
  const { issuers, audiences } = trust;
  const keys = trust.keysFor(issuerOf(token));
  if (!keys) throw new errors.JWTClaimValidationFailed('unexpected "iss" claim value', {}, "iss", "check_failed");
  const options: JWTVerifyOptions = {
    algorithms: "secrets" in keys ? SECRET_ALGORITHMS : KEY_SET_ALGORITHMS,
    clockTolerance,
    requiredClaims: ["sub", "exp"],
    ...(issuers && { issuer: [...issuers] }),
    ...(audiences && { audience: [...audiences] }),
  };
  if ("secrets" in keys) return byAny(token, inTurn(keys.secrets), options);
  try {
    return await jwtVerify(token, keys.keySet.get, options);
  } catch (error) {
    if (error instanceof errors.JWKSMultipleMatchingKeys) return byAny(token, error, options);
    throw error;
  }
}

/** Verifies with each key in turn. Only a signature that does not fit leads to the next one. */
async function byAny(
  token: string,
  keys: AsyncIterable<Uint8Array | CryptoKey>,
  options: JWTVerifyOptions,
): Promise<JWTVerifyResult> {
  let tried = 0;
  for await (const key of keys) {
    if (++tried > MAX_KEYS_TRIED) break;
    try {
      return await jwtVerify(token, key, options);
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
    }
  }
  throw new errors.JWSSignatureVerificationFailed();
}

/** The bytes of the secrets. Only a token that the current one did not sign waits for the others. */
async function* inTurn({ current, others }: Rotating): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  yield encoder.encode(current);
  for (const other of others) {
    try {
      yield encoder.encode(await other);
    } catch (error) {
      // It was reported. One that is out of reach might fit: then nobody knows whether the token is good.
      if (!(error instanceof Misconfigured)) throw error;
    }
  }
}

/** What a token says of its issuer, before anything is verified: only to choose the key set that must verify it. */
function issuerOf(token: string): unknown {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}
