/** An issuer's keys: fetched, cached, refreshed at a bounded rate, and kept while the issuer is out of reach. */
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import { OPEN_FOR, upstream, UpstreamFailed, type Upstream } from "../../ops/upstream.ts";

/** How long a key set counts as fresh. A key withdrawn by the issuer is trusted no longer than this. */
const FRESH = 600_000;
/** Between requests to the issuer by an isolate that has keys: for an unknown key id, or to renew the set. */
const COOLDOWN = 30_000;
const FETCH_TIMEOUT = 5_000;
/** How long others wait for the first request of an isolate before they ask too: that request may be cancelled. */
const PATIENCE = 1_000;
/** Between two checks whether the first request was answered. */
const LOOK_EVERY = 25;
/** Types of keys whose public half verifies signatures. */
const VERIFYING: readonly string[] = ["RSA", "EC", "OKP"];
const ACCEPTED = "application/json, application/jwk-set+json";

/** A token could not be verified: the issuer's keys are out of reach. */
export class IssuerUnreachable extends Error {
  /** How the request for this token's key failed; `unavailable`: it is too early to ask. */
  readonly code: UpstreamFailed["code"];
  /** After how many ms another try can succeed. */
  readonly retryAfter: number;

  constructor(code: UpstreamFailed["code"], retryAfter: number) {
    super("the issuer's keys are out of reach");
    this.code = code;
    this.retryAfter = Math.max(OPEN_FOR, retryAfter);
  }
}

/**
 * No key of the set has the id that a token names, and the issuer, which answers, was asked a moment ago. A stranger may
 * have made the id up, or the issuer may have made the key since.
 */
export class KeyUnknown extends Error {
  /** After how many ms the issuer is asked again. */
  readonly retryAfter: number;

  constructor(retryAfter: number) {
    super("no key of the issuer has this id");
    this.retryAfter = Math.max(OPEN_FOR, retryAfter);
  }
}

/** The result of a request for one token: `early` when none was sent, UpstreamFailed when it brought no keys. */
type Outcome = "good" | "early" | UpstreamFailed;

/**
 * While the issuer is out of reach the last good set stays in use, whatever its age. Strangers choose key ids, and requests
 * of a Worker cannot wait for each other's fetch: the rate counts from when a request was sent, not from its answer.
 */
export class KeySet {
  readonly #url: string;
  readonly #upstream: Upstream;
  #keys: JWTVerifyGetKey | undefined;
  #freshUntil = -Infinity;
  #askedAt = -Infinity;
  #awaited = false;
  /** How the last request failed; `undefined` when it brought keys. */
  #failure: UpstreamFailed | undefined;

  constructor(url: string) {
    this.#url = url;
    this.#upstream = upstream("jwks", url, { timeout: FETCH_TIMEOUT });
  }

  readonly get: JWTVerifyGetKey = async (header, token) => {
    let outcome: Outcome = "early";
    if (!this.#keys) outcome = await this.#first();
    else if (Date.now() >= this.#freshUntil) outcome = await this.#again();
    if (!this.#keys) throw this.#unreachable(outcome);
    try {
      return await this.#keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
    }
    // It may be signed with a key that the issuer has made since. Only a request for this very token can tell: requests
    // that strangers caused before must not turn an honest token away for good.
    if (outcome === "early") outcome = await this.#again();
    if (outcome === "good") return this.#keys(header, token);
    // The issuer is not to blame for a key id that it does not know.
    if (outcome === "early" && !this.#failure) throw new KeyUnknown(this.#askedAt + COOLDOWN - Date.now());
    throw this.#unreachable(outcome);
  };

  /**
   * Without keys nobody gets in. Of requests that come at once one asks, and the others check by their own timers whether
   * it was answered. When the breaker is not closed they fail at once.
   */
  async #first(): Promise<Outcome> {
    const before = this.#failure;
    while (this.#awaited && Date.now() - this.#askedAt < PATIENCE && this.#upstream.state === "closed") {
      await scheduler.wait(LOOK_EVERY);
      if (this.#keys) return "early";
      if (this.#failure && this.#failure !== before) return this.#failure;
    }
    return this.#ask();
  }

  /** Asks again, not too often: some keys are known already. */
  async #again(): Promise<Outcome> {
    return Date.now() - this.#askedAt < COOLDOWN ? "early" : this.#ask();
  }

  async #ask(): Promise<Outcome> {
    this.#askedAt = Date.now();
    this.#awaited = true;
    try {
      this.#keys = await this.#upstream.request(this.#url, { headers: { accept: ACCEPTED } }, readKeys);
      this.#freshUntil = Date.now() + FRESH;
      this.#failure = undefined;
      return "good";
    } catch (error) {
      if (!(error instanceof UpstreamFailed)) throw error;
      this.#failure = error;
      return error;
    } finally {
      this.#awaited = false;
    }
  }

  #unreachable(outcome: Outcome): IssuerUnreachable {
    const failure = outcome instanceof UpstreamFailed ? outcome : undefined;
    const wait = this.#keys ? this.#askedAt + COOLDOWN - Date.now() : failure?.retryAfter;
    return new IssuerUnreachable(failure?.code ?? "unavailable", wait ?? OPEN_FOR);
  }
}

/** A set without a key that could verify anything is no answer: it must not take the place of a good one. */
async function readKeys(response: Response): Promise<JWTVerifyGetKey> {
  if (response.status !== 200) throw new Error("no key set");
  const set: JSONWebKeySet = await response.json();
  const keys = createLocalJWKSet(set);
  if (!set.keys.some(({ kty, use = "sig" }) => VERIFYING.includes(kty ?? "") && use === "sig")) {
    throw new Error("a key set without a key");
  }
  return keys;
}

/** One per address and isolate: the cache must outlive the request that filled it. */
const keySets = new Map<string, KeySet>();

/** The key set at an address. */
export function keySet(url: string): KeySet {
  const known = keySets.get(url) ?? new KeySet(url);
  keySets.set(url, known);
  return known;
}
