/**
 * Which tokens are good: by the secrets or key sets, issuers and audiences that the options of `jwt()` and the environment
 * name. Refuses a setting that is there and cannot be meant, rather than go on without it. Verifies nothing.
 */
import { checkAddress } from "../../ops/address.ts";
import { listIn, Misconfigured, secret as secretText, secretsIn, type Secret } from "../../ops/settings.ts";
import { keySet, type KeySet } from "./keys.ts";

/** One value, or several that are good at once. */
export type Several<T> = T | readonly T[];

/** Where {@link trustOf} looks first; each one that is absent is read from the environment variable named with it. */
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

/** What verifies one token: shared secrets, any of which may have signed it, or the key set of its issuer. */
export type Keys = { readonly secrets: readonly Uint8Array[] } | { readonly keySet: KeySet };

/** Which tokens are good. */
export interface Trust {
  /** What verifies a token that says it is of this issuer; `undefined` for an issuer that is not ours. */
  readonly keysFor: (issuer: unknown) => Keys | undefined;
  readonly issuers: readonly string[] | undefined;
  readonly audiences: readonly string[] | undefined;
}

/** RFC 7518 section 3.2: a key at least as long as the hash. */
export const MIN_SECRET_BYTES = 32;

/**
 * Reads which tokens are good.
 *
 * @throws Misconfigured when nothing says so, or a setting is empty or cannot be meant
 * @throws UpstreamFailed when the store of a secret does not answer
 */
export async function trustOf(options: TrustOptions, env: object): Promise<Trust> {
  const issuers = several(options.issuer, "issuer") ?? listIn(env, "AUTH_ISSUER");
  const audiences = several(options.audience, "audience") ?? listIn(env, "AUTH_AUDIENCE");
  // A secret in the options is what the deployer's code says: an environment does not overrule it.
  const urls = several(options.jwksUrl, "jwksUrl") ?? (options.secret ? undefined : listIn(env, "AUTH_JWKS_URL"));
  if (urls) return { keysFor: setsOf(urls, issuers), issuers, audiences };
  const keys = { secrets: await secretsOf(options.secret, env) };
  return { keysFor: () => keys, issuers, audiences };
}

/** With one set all issuers share it; with several each has its own, so that none can sign in another's name. */
function setsOf(urls: readonly string[], issuers: readonly string[] | undefined): Trust["keysFor"] {
  const [first = "", ...more] = urls.map((url) => checkAddress(url, "AUTH_JWKS_URL"));
  if (more.length === 0) return () => ({ keySet: keySet(first) });
  if (issuers?.length !== urls.length) {
    throw new Misconfigured("Several AUTH_JWKS_URL need as many AUTH_ISSUER, in the same order.");
  }
  return (issuer) => {
    const url = urls[issuers.findIndex((each) => each === issuer)];
    return url === undefined ? undefined : { keySet: keySet(url) };
  };
}

async function secretsOf(given: Several<Secret> | undefined, env: object): Promise<Uint8Array[]> {
  const name = given === undefined ? "AUTH_SECRET" : "the secret of jwt()";
  const texts = given === undefined ? await secretsIn(env, name) : await Promise.all(listOf(given).map(textOf));
  if (texts.length === 0) {
    throw new Misconfigured(
      `Nobody can be verified: set AUTH_SECRET (${MIN_SECRET_BYTES} bytes or more) or AUTH_JWKS_URL.`,
    );
  }
  return texts.map((text, i) => {
    const bytes = new TextEncoder().encode(text);
    if (bytes.length >= MIN_SECRET_BYTES) return bytes;
    const which = given === undefined && i > 0 ? `${name}_PREVIOUS` : name;
    throw new Misconfigured(`${which} must have ${MIN_SECRET_BYTES} bytes or more.`);
  });
}

async function textOf(given: Secret): Promise<string> {
  const text = await secretText(given, "the secret of jwt()");
  if (text === undefined) throw new Misconfigured("A secret of jwt() is undefined.");
  return text;
}

function several(value: Several<string> | undefined, name: string): readonly string[] | undefined {
  if (value === undefined) return undefined;
  const values = listOf(value);
  if (values.length > 0 && values.every((each) => typeof each === "string" && each !== "")) return values;
  throw new Misconfigured(`The ${name} of jwt() is empty.`);
}

function listOf<T>(value: Several<T>): readonly T[] {
  return Array.isArray(value) ? (value as readonly T[]) : [value as T];
}
