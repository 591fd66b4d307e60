/** What a program may choose when it connects. Types only; the defaults stand where they are used. */
import type { Fetch } from "./session/token.ts";
import type { SessionStore } from "./storage.ts";
import type { SocketClass } from "./connection/socket.ts";

/** Options of {@link connect}. */
export interface ConnectOptions {
  /** `kind/name`, or the name alone where the Worker serves one kind. */
  room: string;
  /** A token, or a function that gets one: asked before each connection, and again before the token runs out. */
  token: string | (() => string | Promise<string>);
  /** Where session and position are kept. Default: sessionStorage in browsers, memory elsewhere. */
  storage?: SessionStore;
  /** Publishes that may wait for their acks: `count` (default 1,000) and `bytes` (default 1,000,000). */
  outbox?: { count?: number; bytes?: number };
  /** The WebSocket class to use. Default: the platform's. */
  WebSocket?: SocketClass;
  /** What sends a new token to the room; called with the address and what `fetch` takes. Default: the platform's. */
  fetch?: Fetch;
  /** The wall clock, in ms, that says when a token ends. Default: Date.now. */
  now?: () => number;
  /** From 0 to 1. Default: Math.random. */
  random?: () => number;
}
