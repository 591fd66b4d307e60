/**
 * The token of a client: got before each connection, and got again and handed to the room over HTTP before it runs out.
 */

/** How long before its end a token is replaced, at most; half of what is left when that is less. */
const AHEAD_MS = 60_000;
/** The longest wait of a timer. */
const LONGEST_MS = 2 ** 31 - 1;
/** The shortest, so that tokens that end at once are not asked for without pause. */
const SHORTEST_MS = 1_000;

/** The part of the platform's `fetch` that the client needs. */
export type Fetch = (
  url: string,
  init: { method: string; headers: Record<string, string>; body: string },
) => Promise<{ readonly ok: boolean; readonly status: number; json(): Promise<unknown> }>;

/** A token, or a function that gets one. */
export type TokenSource = string | (() => string | Promise<string>);

/** What a {@link Token} is made from. */
export interface TokenOptions {
  readonly token: TokenSource;
  readonly fetch?: Fetch | undefined;
  /** The wall clock, in ms. Default: Date.now. */
  readonly now?: (() => number) | undefined;
}

/** When the token of a session ends, in ms since 1970. */
export interface TokenEnd {
  readonly session: string;
  readonly expires: number;
}

/**
 * Milliseconds until the next token is due. `undefined` for a token that is over although the room took it: then this
 * clock is wrong, and the room will say when.
 */
export function dueIn(expires: number, now: number): number | undefined {
  const left = expires - now;
  return left > 0 ? Math.max(SHORTEST_MS, Math.min(LONGEST_MS, left - Math.min(AHEAD_MS, left / 2))) : undefined;
}

/** The token of one client. */
export class Token {
  readonly #source: TokenSource;
  readonly #fetch: Fetch;
  readonly #now: () => number;
  readonly #address: string;
  readonly #failed: (error: unknown) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param address where the room takes the next token of a session
   * @param failed called at each failure to replace the token; the client tries again while there is time
   */
  constructor({ token, fetch, now }: TokenOptions, address: string, failed: (error: unknown) => void) {
    this.#source = token;
    // Looked up when it is used, and called without a `this`, which the platform's own does not accept.
    this.#fetch = fetch ?? ((url, init) => globalThis.fetch(url, init));
    this.#now = now ?? Date.now;
    this.#address = address;
    this.#failed = failed;
  }

  /** Whether there is no other token than this one. */
  get isFixed(): boolean {
    return typeof this.#source === "string";
  }

  /** Gets a token from the program. */
  async get(): Promise<string> {
    return typeof this.#source === "string" ? this.#source : this.#source();
  }

  /** Replaces a session's token in time, again and again, so that its connection lives on. */
  keep({ session, expires }: TokenEnd): void {
    this.stop();
    const due = dueIn(expires, this.#now());
    if (this.isFixed || due === undefined) return;
    const timer = setTimeout(() => {
      const again = (next: number) => {
        // The connection may be over: the next one has a token of its own.
        if (this.#timer !== timer) return false;
        this.keep({ session, expires: next });
        return true;
      };
      this.#renew(session).then(again, (error: unknown) => again(expires) && this.#failed(error));
    }, due);
    this.#timer = timer;
  }

  /** Ends that. */
  stop(): void {
    clearTimeout(this.#timer as never);
    this.#timer = undefined;
  }

  /** Gets a token and gives it to the session. Returns when that one runs out. */
  async #renew(session: string): Promise<number> {
    const response = await this.#fetch(this.#address, {
      method: "POST",
      headers: { authorization: `Bearer ${await this.get()}`, "content-type": "application/json" },
      body: JSON.stringify({ session }),
    });
    if (!response.ok) throw new Error(`the room refused the new token: ${response.status}`);
    const { expires } = (await response.json()) as { expires: number };
    return expires;
  }
}
