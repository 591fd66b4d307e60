/**
 * Which tokens are good: by the secrets or key sets, issuers and audiences that the options of `jwt()` and the environment
 * name. Refuses a setting that is there and cannot be meant, rather than go on without it. Verifies nothing.
 */
import { MIN_SECRET_BYTES } from "../../protocol/identity.ts";
import { checkAddress } from "../../ops/address.ts";
import { rotating, rotatingIn, type Rotating, type Secret } from "../../ops/secrets.ts";
import { listIn, Misconfigured } from "../../ops/settings.ts";
import { reportUnusable } from "../observe.ts";
import { keySet, type KeySet } from "./keys.ts";
import type { Several, TrustOptions } from "./trust-options.ts";

/** What verifies one token: shared secrets, any of which may have signed it, or the key set of its issuer. */
export type Keys = { readonly secrets: Rotating } | { readonly keySet: KeySet };

/** Which tokens are good. */
export interface Trust {
  /** What verifies a token that says it is of this issuer; `undefined` for an issuer that is not ours. */
  readonly keysFor: (issuer: unknown) => Keys | undefined;
  readonly issuers: readonly string[] | undefined;
  readonly audiences: readonly string[] | undefined;
}

/**
 * Reads which tokens are good.
 *
 * A secret besides the current one that cannot be meant is reported and left out: it must not turn away the tokens of the
 * current one.
 *
 * @throws Misconfigured when nothing says so, or a setting is empty or cannot be meant
 * @throws UpstreamFailed when the store of the current secret does not answer
 */
export async function trustOf(options: TrustOptions, env: object): Promise<Trust> {
  const issuers = several(options.issuer, "issuer") ?? listIn(env, "AUTH_ISSUER");
  const audiences = several(options.audience, "audience") ?? listIn(env, "AUTH_AUDIENCE");
  // A secret in the options is what the deployer's code says, an empty one too: an environment does not overrule it.
  const { secret: own } = options;
  const urls = several(options.jwksUrl, "jwksUrl") ?? (own === undefined ? listIn(env, "AUTH_JWKS_URL") : undefined);
  if (urls) return { keysFor: setsOf(urls, issuers), issuers, audiences };
  const keys = { secrets: await secretsOf(own, env) };
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

async function secretsOf(given: Several<Secret> | undefined, env: object): Promise<Rotating> {
  const name = "the secret of jwt()";
  const found =
    given === undefined
      ? await rotatingIn(env, "AUTH_SECRET", longEnough)
      : await rotating(
          listOf(given).map((value, i) => ({ value, name: i === 0 ? name : `Secret ${i + 1} of jwt()` })),
          longEnough,
        );
  if (!found) {
    throw new Misconfigured(
      `Nobody can be verified: set AUTH_SECRET (${MIN_SECRET_BYTES} bytes or more) or AUTH_JWKS_URL.`,
    );
  }
  reportUnusable(found);
  return found;
}

function longEnough(text: string, name: string): void {
  if (new TextEncoder().encode(text).length >= MIN_SECRET_BYTES) return;
  throw new Misconfigured(`${name} must have ${MIN_SECRET_BYTES} bytes or more.`);
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
