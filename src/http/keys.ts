/** An issuer's keys: fetched, cached, asked for no more often than is decent, and kept while the issuer is away. */
import { createLocalJWKSet, createRemoteJWKSet, errors, type JWTVerifyGetKey } from "jose";

/** How long a key set counts as fresh. A key withdrawn by the issuer is trusted no longer than this. */
const FRESH = 600_000;
/** Between questions to the issuer, whether for a key id we do not know or because it did not answer. */
const COOLDOWN = 30_000;
const FETCH_TIMEOUT = 5_000;

/** Whether a token is good could not be found out. */
export class IssuerUnreachable extends Error {
  /** When asking again can give another answer, in ms. */
  readonly retryAfter: number;

  constructor(retryAfter: number) {
    super("the issuer's keys are out of reach");
    this.retryAfter = retryAfter;
  }
}

/**
 * While the issuer is out of reach the last good set goes on, whatever its age. Strangers choose key ids, and requests
 * of a Worker cannot wait for each other's fetch: the moment of the question counts, not of the answer.
 */
class KeySet {
  readonly #remote: ReturnType<typeof createRemoteJWKSet>;
  #keys: JWTVerifyGetKey | undefined;
  #askedAt = -Infinity;
  #answer: "awaited" | "good" | "failed" = "awaited";

  constructor(url: string) {
    this.#remote = createRemoteJWKSet(new URL(url), { cacheMaxAge: FRESH, timeoutDuration: FETCH_TIMEOUT });
  }

  readonly get: JWTVerifyGetKey = async (header, token) => {
    const asked = !this.#remote.fresh && (await this.#ask());
    if (!this.#keys) throw this.#unreachable();
    try {
      return await this.#keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
    }
    // It may be signed with a key that the issuer made since. Only an answer to this very question can tell: what
    // strangers asked before must not turn an honest token away for good.
    const answered = (asked || (await this.#ask())) && this.#answer === "good";
    if (!answered) throw this.#unreachable();
    return this.#keys(header, token);
  };

  /** Asks the issuer. `false`: it is too early to ask again. */
  async #ask(): Promise<boolean> {
    const canWait = this.#keys !== undefined || this.#answer === "failed";
    if (canWait && Date.now() - this.#askedAt < COOLDOWN) return false;
    this.#askedAt = Date.now();
    this.#answer = "awaited";
    try {
      await this.#remote.reload();
      this.#keys = createLocalJWKSet(this.#remote.jwks() ?? { keys: [] });
      this.#answer = "good";
    } catch {
      this.#answer = "failed";
    }
    return true;
  }

  #unreachable(): IssuerUnreachable {
    return new IssuerUnreachable(Math.max(1_000, this.#askedAt + COOLDOWN - Date.now()));
  }
}

/** One per address and isolate: the cache must outlive the request that filled it. */
const keySets = new Map<string, KeySet>();

/** The key set at an address. */
export function keySet(url: string): KeySet {
  const known = keySets.get(url) ?? new KeySet(url);
  keySets.set(url, known);
  return known;
}
