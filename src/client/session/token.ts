/**
 * The token of a client: got before each connection, got once more when the room refuses it, and got again and handed to
 * the room over HTTP before it runs out. Never says what is in it. Where the page's cookies are the token there is none to
 * get: the same is done without one.
 */
import type { Loss } from "../connection/state.ts";
import { RoomError } from "../error.ts";
import { LONGEST_MS } from "../timer.ts";

/**
 * How long before its end a token is replaced, or half of what is left when that is less; and up to twice as long, so that
 * clients whose tokens end together do not ask for new ones together.
 */
const AHEAD_MS = 60_000;
/** How long a fresh token is kept back after a refused one: it may come from a clock that is ahead of the room's. */
const HOLD_MS = 3_000;
/** What an HTTP header can carry. */
const HEADER_SAFE = /^[!-~]+$/;
/** The shortest, so that tokens that end at once are not asked for without pause. */
const SHORTEST_MS = 1_000;

/** The part of the platform's `fetch` that the client needs. */
export type Fetch = (
  url: string,
  init: { method: string; headers: Record<string, string>; body: string; credentials?: "include" },
) => Promise<{ readonly ok: boolean; readonly status: number; json(): Promise<unknown> }>;

/** A token, or a function that gets one. It throws a `RoomError` that is not retryable to close the client. */
export type TokenSource = string | (() => string | Promise<string>);

/** What a {@link Token} is made from. */
export interface TokenOptions {
  /** Absent: the platform sends cookies. */
  readonly token?: TokenSource | undefined;
  readonly fetch?: Fetch | undefined;
  /** The wall clock, in ms. Default: Date.now. */
  readonly now?: (() => number) | undefined;
  /** From 0 to 1. Default: Math.random. */
  readonly random?: (() => number) | undefined;
}

/** When the token of a session ends, in ms since 1970. */
export interface TokenEnd {
  readonly session: string;
  readonly expires: number;
  /** The room's clock, if it tells it. */
  readonly now?: number;
}

/**
 * Milliseconds until the next token is due, for a token that has so many left. `undefined` for one that is over although
 * the room took it: then this clock is wrong, and the room will say when.
 *
 * @param random from 0 to 1
 */
export function dueIn(left: number, random: number): number | undefined {
  // Nor for what is no number: whatever answered then is no room.
  if (!(left > 0)) return undefined;
  const ahead = Math.min(AHEAD_MS, left / 2) + random * Math.min(AHEAD_MS, left / 4);
  return Math.max(SHORTEST_MS, Math.min(LONGEST_MS, left - ahead));
}

/** The token of one client. */
export class Token {
  readonly #source: TokenSource | undefined;
  readonly #fetch: Fetch;
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #address: string;
  readonly #failed: (error: unknown) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** How far the room's clock is ahead of this one. */
  #skew = 0;
  /** The last token was refused, and another one is worth a try. */
  #isRefused = false;

  /**
   * @param address where the room takes the next token of a session
   * @param failed called at each failure to replace the token; the client tries again while there is time
   */
  constructor({ token, fetch, now, random }: TokenOptions, address: string, failed: (error: unknown) => void) {
    this.#source = token;
    // Looked up when it is used, and called without a `this`, which the platform's own does not accept.
    this.#fetch = fetch ?? ((url, init) => globalThis.fetch(url, init));
    this.#now = now ?? Date.now;
    this.#random = random ?? Math.random;
    this.#address = address;
    this.#failed = failed;
  }

  /** Whether there is no other token than this one. Cookies may change. */
  get isFixed(): boolean {
    return typeof this.#source === "string";
  }

  /**
   * Gets a token for a connection, if it needs one. One that comes after a refused one is kept back for a while.
   *
   * @throws what the program's function throws, and a RoomError when it gives none
   */
  async forConnection(): Promise<string | undefined> {
    const token = (await this.#get()) as string | undefined;
    // What is no token is like one that is refused.
    if (this.#source && (!token || typeof token !== "string")) {
      throw new RoomError("unauthorized", "A token is a text that is not empty.", this.refuse());
    }
    if (this.#isRefused) await new Promise((resolve) => (this.#timer = setTimeout(resolve, HOLD_MS)));
    return token;
  }

  /** The room refused the token. Returns whether another one is worth a try: once, and where there is another. */
  refuse(): boolean {
    this.#isRefused = !this.#isRefused && !this.isFixed;
    return this.#isRefused;
  }

  /** What follows when there is no token: an error of the program may say that there will be none. */
  missing(why: unknown): Loss {
    const reason = `no token: ${String(why)}`;
    const isOver = why instanceof RoomError && !why.retryable;
    return isOver ? { next: "stop", code: why.code, reason } : { next: "later", reason };
  }

  /** Replaces a session's token in time, again and again, so that its connection lives on. */
  keep({ session, expires, now }: TokenEnd): void {
    this.stop();
    this.#isRefused = false;
    if (now !== undefined) this.#skew = now - this.#now();
    const due = dueIn(expires - this.#now() - this.#skew, this.#random());
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

  /** Ends that, and the wait for a connection. */
  stop(): void {
    clearTimeout(this.#timer as never);
    this.#timer = undefined;
  }

  async #get(): Promise<unknown> {
    return typeof this.#source === "function" ? this.#source() : this.#source;
  }

  /** Gets a token and gives it to the session. Returns when that one runs out. */
  async #renew(session: string): Promise<number> {
    const token = await this.#get();
    // What the platform says of a header that it does not take would quote it.
    if (this.#source && (typeof token !== "string" || !HEADER_SAFE.test(token))) {
      throw new Error("the new token fits no header");
    }
    const response = await this.#fetch(this.#address, {
      method: "POST",
      headers: { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token as string}` } : {}) },
      body: JSON.stringify({ session }),
      ...(token ? {} : { credentials: "include" }),
    });
    if (!response.ok) throw new Error(`the room refused the new token: ${response.status}`);
    const { expires } = (await response.json()) as { expires: number };
    return expires;
  }
}
