/** What a program may choose when it connects. Types only; the defaults stand where they are used. */
import type { SocketClass } from "./connection/socket.ts";
import type { Fetch, TokenSource } from "./session/token.ts";
import type { SessionStore } from "./storage.ts";

/** Options of {@link connect}. */
export interface ConnectOptions {
  /** `kind/name`, or the name alone where the Worker serves one kind. */
  room: string;
  /**
   * A token, or a function that gets one: asked before each connection, once more when the room refuses one, and again before
   * the token runs out. It throws a `RoomError` that is not retryable to close the client. Left out (not `undefined`): the
   * page's cookie is the token, where the Worker reads one.
   */
  token?: TokenSource;
  /** Keeps session and position. Default: `memoryStore()`. */
  storage?: SessionStore | undefined;
  /** Publishes that may wait for their acks: `count` (default 1,000) and `bytes` (default 8,000,000). */
  outbox?: { count?: number | undefined; bytes?: number | undefined } | undefined;
  /** The longest time between two pings, in ms: keeps proxies from closing an idle line. Default: 25,000. */
  pingInterval?: number | undefined;
  /** How long the client must be without its line before the event `lost`, in ms. Default: 3,000. */
  lostAfter?: number | undefined;
  /** The WebSocket class to use. Default: the platform's. */
  WebSocket?: SocketClass | undefined;
  /** Sends a new token to the room; takes an address and options as `fetch` does. Default: the platform's. */
  fetch?: Fetch | undefined;
  /** The wall clock, in ms, by which tokens end. Default: Date.now. */
  now?: (() => number) | undefined;
  /** Randomness, from 0 to 1: for jitter, and to keep refs of copied tabs apart. Default: Math.random. */
  random?: (() => number) | undefined;
}
