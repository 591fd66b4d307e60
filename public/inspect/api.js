/** The HTTP API as the page asks it: with a token, with patience, and with one kind of error. Knows no room. */

/** The Worker that serves this page. */
const ROOT = new URL("../", import.meta.url);
/** Ms after which an answer is not waited for any longer. */
const PATIENCE = 15_000;

/** Why a request came to nothing, as the Worker's problem document tells it or as the network does. */
export class Problem extends Error {
  /** @param facts of the answer: `{status, code, requestId, retryAfter}`; status 0 when there was none */
  constructor(message, { status = 0, code = "", requestId, retryAfter } = {}) {
    super(message);
    Object.assign(this, { status, code, requestId, retryAfter });
  }

  /** Whether it is the token itself that is no good here, in any room. */
  get isRefusal() {
    return this.code === "unauthorized" || this.code === "token_expired";
  }
}

export class Api {
  #tokens;
  #onRefused;

  /**
   * @param tokens has the token, and perhaps a newer one
   * @param onRefused told the problem when the token is refused and there is no other
   */
  constructor(tokens, onRefused) {
    this.#tokens = tokens;
    this.#onRefused = onRefused;
  }

  get(path, signal) {
    return this.#ask("GET", path, undefined, signal);
  }

  post(path, body) {
    return this.#ask("POST", path, body);
  }

  async #ask(method, path, body, signal) {
    const { token } = this.#tokens;
    try {
      return await request(method, path, { token, body, signal });
    } catch (error) {
      if (!error.isRefusal) throw error;
      // Somebody else may have fetched a newer one meanwhile.
      const newer = this.#tokens.token === token ? await this.#tokens.renew() : this.#tokens.token;
      if (newer === undefined) return this.#refuse(error, signal);
      return request(method, path, { token: newer, body, signal }).catch((second) => this.#refuse(second, signal));
    }
  }

  #refuse(error, signal) {
    if (error.isRefusal && !signal?.aborted) this.#onRefused(error);
    throw error;
  }
}

/**
 * One request.
 * @throws Problem for everything but a good answer; AbortError when the signal says so
 */
export async function request(method, path, { token, body, signal }) {
  const headers = {};
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const patience = AbortSignal.timeout(PATIENCE);
  let response;
  let answer;
  try {
    response = await fetch(new URL(path, ROOT), {
      method,
      headers,
      cache: "no-store",
      signal: signal ? AbortSignal.any([signal, patience]) : patience,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    answer = await response.json().catch((error) => {
      if (!(error instanceof SyntaxError)) throw error;
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(error.name === "TimeoutError" ? "No answer in time." : "The Worker is out of reach.");
  }
  const { status } = response;
  if (response.ok && answer !== undefined) return answer;
  const { detail, title, code, requestId, retryAfter } = answer ?? {};
  throw new Problem(detail ?? title ?? `HTTP ${status}, and no word why.`, { status, code, requestId, retryAfter });
}
