/**
 * How a program says which tokens are good. A file of its own because the types of the package's entry reach it: what is
 * beside the options in trust.ts has types of jose, which users do not have.
 */
import type { Secret } from "../../ops/secrets.ts";

/** One value, or several that are good at once. */
export type Several<T> = T | readonly T[];

/** Where `trustOf` looks first; each one that is absent is read from the environment variable named with it. */
export interface TrustOptions {
  /**
   * Shared secret for HS256, at least 32 bytes: a text, or a binding of the Secrets Store. Of several each is good, for a
   * rotation. `AUTH_SECRET`, and besides it `AUTH_SECRET_PREVIOUS`. Not used when there is a key set.
   */
  secret?: Several<Secret> | undefined;
  /**
   * Address of the issuer's key set. `AUTH_JWKS_URL`. Of several each belongs to the issuer at the same place in `issuer`.
   * `https:`; `http:` only on this computer.
   */
  jwksUrl?: Several<string> | undefined;
  /** Required `iss`, one of these. `AUTH_ISSUER`, with commas between several; not checked when neither is set. */
  issuer?: Several<string> | undefined;
  /** Required `aud`, one of these. `AUTH_AUDIENCE`, with commas between several; not checked when neither is set. */
  audience?: Several<string> | undefined;
}
