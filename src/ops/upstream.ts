/**
 * What leaves the Worker: `fetch` with a time limit, a second try and a circuit breaker (cockatiel), one per upstream
 * and isolate. Knows nothing of what is asked, of rooms or of HTTP answers of ours.
 *
 * No request ever waits for another one: on Workers that may be cancelled, and then its promises never settle.
 */
import {
  BrokenCircuitError,
  circuitBreaker,
  CircuitState,
  ExponentialBackoff,
  handleAll,
  handleWhen,
  retry,
  SamplingBreaker,
  TaskCancelledError,
  timeout,
  TimeoutStrategy,
  type CircuitBreakerPolicy,
} from "cockatiel";
import type { CodeName } from "../protocol/codes.ts";
import { isolate } from "./isolate.ts";

/** How long a breaker stays open before it lets a probe through, in ms. */
export const OPEN_FOR = 1_000;
/** cockatiel opens above the threshold, we open at half. */
const HALF = 0.5 - Number.EPSILON;
/** The window in ms. It moves with the tries: with fewer than one a second it reaches further back. */
const WINDOW = 10_000;
/** Tries in the window below which nothing is concluded: after one success, one failure must leave room for a retry. */
const MIN_TRIES = 3;
/** Between the two tries of a request: 0.1 s on average, 0.5 s at most, jittered. */
const PAUSE = new ExponentialBackoff({ initialDelay: 100, maxDelay: 500 });
/** A probe that is this much older than its time limit was cancelled with its request. */
const OVERDUE = 500;

/** What a breaker does now: lets all requests through, none, or one to probe whether the upstream is back. */
export type BreakerState = "closed" | "half_open" | "open";

const RESULTS = { upstream_timeout: "timeout", upstream_failed: "failed", unavailable: "rejected" } as const;

/** An upstream gave no usable answer. */
export class UpstreamFailed extends Error {
  override readonly name = "UpstreamFailed";
  /** Not in time; not at all, or nonsense; or not asked, because its breaker is open. */
  readonly code: Extract<CodeName, keyof typeof RESULTS>;
  /** Milliseconds after which it may be asked again; only when it was not asked. */
  readonly retryAfter: number | undefined;
  /** Whether a second try makes sense at once. */
  readonly transient: boolean;

  /** @param message names the upstream, never its address, which may hold a secret */
  constructor(
    code: UpstreamFailed["code"],
    message: string,
    more: { retryAfter?: number; transient?: boolean; cause?: unknown } = {},
  ) {
    super(message, { cause: more.cause });
    this.code = code;
    this.retryAfter = more.retryAfter;
    this.transient = more.transient === true;
  }
}

/** How an upstream is asked. */
export interface UpstreamOptions {
  /** Milliseconds for one try, its body included. Default 5,000. */
  readonly timeout?: number;
  /** Whether a network error, a 5xx or a 429 is worth a second try after a moment. Default true. */
  readonly retry?: boolean;
}

/** What is sent. Redirects are never followed: `read` sees them. */
export interface Outgoing {
  readonly method?: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** W3C trace context to hand on. */
  readonly traceparent?: string | undefined;
}

/** An upstream as this isolate knows it. Made by {@link upstream}. */
export class Upstream {
  readonly name: string;
  readonly #timeout: number;
  readonly #limit;
  readonly #tries;
  #breaker: CircuitBreakerPolicy;
  #openedAt = 0;
  #probedAt = 0;

  constructor(name: string, { timeout: limit = 5_000, retry: again = true }: UpstreamOptions) {
    this.name = name;
    this.#timeout = limit;
    this.#limit = timeout(limit, TimeoutStrategy.Aggressive);
    const worthIt = handleWhen(
      (error) => error instanceof UpstreamFailed && error.transient && this.state === "closed",
    );
    this.#tries = retry(worthIt, { maxAttempts: again ? 1 : 0, backoff: PAUSE });
    this.#breaker = this.#newBreaker();
  }

  /** What its breaker does now. */
  get state(): BreakerState {
    return nameOf(this.#breaker.state);
  }

  /**
   * Asks, and hands the answer to `read`, which consumes or cancels its body within the time limit. A 5xx or a 429 is a
   * failure before that; a throw of `read` says that the answer is nonsense and is one too.
   *
   * @throws UpstreamFailed and nothing else
   */
  async request<T>(url: string, what: Outgoing, read: (response: Response) => Promise<T> | T): Promise<T> {
    try {
      const value = await this.#tries.execute(() => this.#try(url, what, read));
      this.#count("ok");
      return value;
    } catch (error) {
      const failure = this.#failure(error);
      this.#count(RESULTS[failure.code]);
      throw failure;
    }
  }

  async #try<T>(url: string, what: Outgoing, read: (response: Response) => Promise<T> | T): Promise<T> {
    this.#standBack();
    return this.#breaker.execute(() => this.#limit.execute(({ signal }) => this.#ask(url, what, read, signal)));
  }

  /** cockatiel would make requests during a probe wait for it. Runs in one turn with the `execute` after it. */
  #standBack(): void {
    if (this.#breaker.state !== CircuitState.HalfOpen) return;
    if (Date.now() < this.#probedAt + this.#timeout + OVERDUE) throw this.#unavailable(OPEN_FOR);
    // The probe's request was cancelled: nobody will ever close or open this one. The next is born ready for a probe.
    this.#breaker = this.#newBreaker(this.#breaker.toJSON());
  }

  async #ask<T>(
    url: string,
    { method = "GET", headers, body, traceparent }: Outgoing,
    read: (response: Response) => Promise<T> | T,
    signal: AbortSignal,
  ): Promise<T> {
    const response = await fetch(url, {
      method,
      headers: { ...headers, ...(traceparent !== undefined && { traceparent }) },
      ...(body !== undefined && { body }),
      redirect: "manual",
      signal,
    }).catch((cause: unknown) => {
      throw signal.aborted
        ? this.#late(cause)
        : new UpstreamFailed("upstream_failed", `${this.name} cannot be reached`, { cause, transient: true });
    });
    if (response.status >= 500 || response.status === 429) {
      await discard(response);
      throw new UpstreamFailed("upstream_failed", `${this.name} answered ${response.status}`, { transient: true });
    }
    try {
      return await read(response);
    } catch (cause) {
      if (signal.aborted) throw this.#late(cause);
      await discard(response);
      const message = `${this.name} answered ${response.status} with something of no use`;
      throw new UpstreamFailed("upstream_failed", message, { cause });
    }
  }

  #failure(error: unknown): UpstreamFailed {
    if (error instanceof UpstreamFailed) return error;
    if (error instanceof TaskCancelledError) return this.#late(error);
    if (error instanceof BrokenCircuitError) return this.#unavailable(this.#openedAt + OPEN_FOR - Date.now());
    return new UpstreamFailed("upstream_failed", `${this.name} failed`, { cause: error });
  }

  #late(cause: unknown): UpstreamFailed {
    return new UpstreamFailed("upstream_timeout", `${this.name} did not answer in ${this.#timeout} ms`, { cause });
  }

  #unavailable(retryAfter: number): UpstreamFailed {
    return new UpstreamFailed("unavailable", `${this.name} is not asked at the moment`, { retryAfter });
  }

  #newBreaker(initialState?: unknown): CircuitBreakerPolicy {
    const breaker = circuitBreaker(handleAll, {
      breaker: new SamplingBreaker({ threshold: HALF, duration: WINDOW, minimumRps: (MIN_TRIES * 1_000) / WINDOW }),
      halfOpenAfter: OPEN_FOR,
      initialState,
    });
    breaker.onStateChange((state) => {
      if (state === CircuitState.Open) this.#openedAt = Date.now();
      if (state === CircuitState.HalfOpen) this.#probedAt = Date.now();
      isolate.count("breaker_transitions", { upstream: this.name, state: nameOf(state) });
    });
    return breaker;
  }

  #count(result: "ok" | (typeof RESULTS)[keyof typeof RESULTS]): void {
    isolate.count("upstream_requests", { upstream: this.name, result });
  }
}

function nameOf(state: CircuitState): BreakerState {
  if (state === CircuitState.Closed) return "closed";
  return state === CircuitState.HalfOpen ? "half_open" : "open";
}

/** Frees the connection of an answer that is not read. */
async function discard(response: Response): Promise<void> {
  // The body is locked if it was read, and broken if the connection is.
  await response.body?.cancel().catch(() => undefined);
}

/** By name and origin: a breaker must outlive the request that filled it. */
const upstreams = new Map<string, Upstream>();

/**
 * The upstream of this name at the origin of `url`. The options of the first caller count.
 *
 * @throws TypeError when the URL is invalid
 */
export function upstream(name: string, url: string, options: UpstreamOptions = {}): Upstream {
  const key = `${name} ${new URL(url).origin}`;
  const known = upstreams.get(key) ?? new Upstream(name, options);
  upstreams.set(key, known);
  return known;
}

/** What the breakers of this isolate do now, by name of the upstream; where a name has several origins, the worst. */
export function breakerStates(): { name: string; state: BreakerState }[] {
  const order: readonly BreakerState[] = ["closed", "half_open", "open"];
  const worst = new Map<string, BreakerState>();
  for (const { name, state } of upstreams.values()) {
    if (order.indexOf(state) >= order.indexOf(worst.get(name) ?? "closed")) worst.set(name, state);
  }
  return [...worst].map(([name, state]) => ({ name, state }));
}
