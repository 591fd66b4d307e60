/** The token: asked for before each connection and again before it runs out, then handed to the room over HTTP. */
import type { ConnectOptions } from "../options.ts";

/** How long before its end a token is replaced, in ms, at most; else at half of what is left. */
const AHEAD = 60_000;
/** The longest a timer can wait. */
const LONGEST = 2 ** 31 - 1;
/** The shortest, so that tokens that end at once are not asked for without end. */
const SHORTEST = 1_000;

/** What of the platform's `fetch` is needed. */
export type Fetch = (
  url: string,
  init: { method: string; headers: Record<string, string>; body: string },
) => Promise<{ readonly ok: boolean; readonly status: number; json(): Promise<unknown> }>;

/**
 * Milliseconds until the next token is due; `undefined` for one that is over although the room takes it: then this clock
 * is wrong, and the room will say when.
 */
export function dueIn(expires: number, now: number): number | undefined {
  const left = expires - now;
  return left > 0 ? Math.max(SHORTEST, Math.min(LONGEST, left - Math.min(AHEAD, left / 2))) : undefined;
}

/** The token of one client. */
export class Renewal {
  readonly #token: ConnectOptions["token"];
  readonly #fetch: Fetch;
  readonly #address: string;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ token, fetch }: Pick<ConnectOptions, "token" | "fetch">, address: string) {
    this.#token = token;
    // Looked up when it is used, and without a `this`, which the platform's own would not stand.
    this.#fetch = fetch ?? ((url, init) => globalThis.fetch(url, init));
    this.#address = address;
  }

  /** Whether there is no other token than this one. */
  get isFixed(): boolean {
    return typeof this.#token === "string";
  }

  async token(): Promise<string> {
    return typeof this.#token === "string" ? this.#token : this.#token();
  }

  /**
   * Replaces a session's token in time, again and again, so that its connection lives on.
   *
   * @param failed is told of each failure. It is not the end: there is time to try again
   */
  keep(session: string, expires: number, now: () => number, failed: (error: unknown) => void): void {
    this.stop();
    const due = dueIn(expires, now());
    if (this.isFixed || due === undefined) return;
    const timer = setTimeout(() => {
      const again = (next: number) => {
        // The connection may be over: the next one has a token of its own.
        if (this.#timer !== timer) return false;
        this.keep(session, next, now, failed);
        return true;
      };
      this.#renew(session).then(again, (error: unknown) => again(expires) && failed(error));
    }, due);
    this.#timer = timer;
  }

  stop(): void {
    clearTimeout(this.#timer as never);
    this.#timer = undefined;
  }

  /** Gets a token and gives it to the session. Returns when that one runs out. */
  async #renew(session: string): Promise<number> {
    const response = await this.#fetch(this.#address, {
      method: "POST",
      headers: { authorization: `Bearer ${await this.token()}`, "content-type": "application/json" },
      body: JSON.stringify({ session }),
    });
    if (!response.ok) throw new Error(`the new token was refused: ${response.status}`);
    const { expires } = (await response.json()) as { expires: number };
    return expires;
  }
}
