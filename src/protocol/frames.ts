/**
 * Every frame of `edgerooms.v1` and the subprotocol's name. Types and names only: numbers are in limits.ts, the text of
 * frames in codec.ts, codes in codes.ts. docs/reference/protocol.md is the normative text; a test keeps the two alike.
 */
import type { CodeName } from "./codes.ts";

/** The WebSocket subprotocol. The server selects this value and never any other that a client offered. */
export const SUBPROTOCOL = "edgerooms.v1";

/** A client without access to headers (a browser) offers its token as the subprotocol `bearer.<jwt>`. */
export const BEARER_PREFIX = "bearer.";

/** The text a client sends to answer a heartbeat. Not a frame: the runtime answers it while the room sleeps. */
export const PING = "ping";
/** The runtime's answer to {@link PING}. */
export const PONG = "pong";

/** The method that every room has: who is in it. No room's own can have this name. */
export const WHO = "edgerooms.who";

/** Anything JSON can carry. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** One thing that was said in the room: stored, ordered, replayed. */
export interface Publication {
  /** Place in the room's log. Contiguous, from 1. */
  readonly offset: number;
  /** User id of the publisher; `null` when the room itself published. */
  readonly by: string | null;
  /** When it was stored, in ms since the epoch. */
  readonly at: number;
  readonly data: Json;
  /** User ids it was addressed to. Absent: everyone. */
  readonly to?: readonly string[];
  /** W3C trace context that the publisher gave it. */
  readonly traceparent?: string;
}

/** Someone who is here: a user with at least one present session. */
export interface Member {
  /** User id: the token's `sub`. */
  readonly id: string;
  readonly name?: string;
  /** What the member last set with a `presence` frame. */
  readonly data?: Json;
}

/** Why a connection got a snapshot instead of what it missed. */
export const resetReasons = [
  "new",
  "session_unknown",
  "no_position",
  "epoch_changed",
  "offset_ahead",
  "log_trimmed",
  "too_far",
] as const;
/** One of {@link resetReasons}; docs/reference/protocol.md says what each means. */
export type ResetReason = (typeof resetReasons)[number];

/** The limits in force, told in `welcome`. */
export interface Limits {
  /** Bytes of UTF-8 in one message. */
  readonly message: number;
  /** Frames in one message. */
  readonly batch: number;
  /** Frames per second, sustained. */
  readonly rate: number;
  /** Frames at once. */
  readonly burst: number;
  /** Refs the room remembers beyond its log: a client keeps at most this many publishes unacknowledged. */
  readonly refs: number;
}

/** An error as it travels in `error` and `reply`. */
export interface FrameError {
  readonly code: CodeName;
  readonly message: string;
  readonly retryable: boolean;
  /** Milliseconds to wait before trying again. */
  readonly retryAfter?: number;
}

/** What a client may send. */
export type ClientFrame =
  | {
      readonly type: "publish";
      readonly ref: number;
      /** The publish that must be settled before this one: of one that is refused for now, none that follows is taken. */
      readonly after?: number;
      readonly data: Json;
      readonly to?: readonly string[];
      /** W3C trace context: travels with the publication to every receiver. */
      readonly traceparent?: string;
    }
  /** `scope`: only for members who are connected to the same object, the room or one of its relays. */
  | { readonly type: "signal"; readonly data: Json; readonly to?: readonly string[]; readonly scope?: "near" }
  | { readonly type: "presence"; readonly data: Json }
  | { readonly type: "call"; readonly ref: number; readonly method: string; readonly data: Json }
  | { readonly type: "ack"; readonly offset: number }
  | { readonly type: "sync"; readonly offset: number }
  | { readonly type: "leave" };

/** What a room may send. */
export type ServerFrame =
  | {
      readonly type: "welcome";
      readonly session: string;
      readonly member: string;
      readonly epoch: string;
      readonly offset: number;
      readonly resumed: boolean;
      readonly reason?: ResetReason;
      /** The session's highest ref that took effect; 0 for none. */
      readonly ref: number;
      /** Milliseconds until the next heartbeat at the latest. */
      readonly heartbeat: { readonly next: number };
      readonly limits: Limits;
      /** When the token runs out, in ms since the epoch. */
      readonly expires: number;
      /** The room's clock, in ms since the epoch: clients need not trust theirs for when the token runs out. */
      readonly now?: number;
      /** Empty where the room shows no list. */
      readonly members: readonly Member[];
      /** How many members there are, where the room shows only that. */
      readonly count?: number;
    }
  | {
      readonly type: "pub";
      /** First and last offset this frame covers, whether or not each has an item. */
      readonly from: number;
      readonly upto: number;
      readonly items: readonly Publication[];
    }
  | { readonly type: "ack"; readonly ref: number; readonly offset: number; readonly at: number }
  | { readonly type: "signal"; readonly by: string | null; readonly data: Json }
  | {
      readonly type: "presence";
      readonly join?: readonly Member[];
      readonly leave?: readonly string[];
      readonly update?: readonly Member[];
      /** The whole list: replaces what the client knew. */
      readonly members?: readonly Member[];
      /** How many members there are, where the room shows no list. */
      readonly count?: number;
    }
  | { readonly type: "reply"; readonly ref: number; readonly data?: Json; readonly error?: FrameError }
  /** History goes on under another name: positions from here on are told with it. */
  | { readonly type: "epoch"; readonly epoch: string }
  /** `ack`: the room feeds this connection nothing more until it acknowledges what it has. */
  | { readonly type: "heartbeat"; readonly offset: number; readonly next: number; readonly ack?: true }
  /** `frame`: the type of the frame that failed, where it has no `ref`; absent where it could not be read. */
  | ({ readonly type: "error"; readonly ref?: number; readonly frame?: ClientFrame["type"] } & FrameError)
  | { readonly type: "snapshot"; readonly data: Json; readonly offset: number; readonly reason: ResetReason }
  | { readonly type: "goaway"; readonly within: number; readonly reason: CodeName }
  | {
      readonly type: "bye";
      readonly code: number;
      readonly reason: CodeName;
      /** For a person reading the log of a client. */
      readonly message?: string;
      readonly retryAfter?: number;
    };

/** The types a client may send: the decoder's switch and docs/reference/protocol.md are checked against it. */
export const clientFrameTypes = ["publish", "signal", "presence", "call", "ack", "sync", "leave"] as const;
/** The types a room may send. */
export const serverFrameTypes = [
  "welcome",
  "pub",
  "ack",
  "signal",
  "presence",
  "reply",
  "epoch",
  "heartbeat",
  "error",
  "snapshot",
  "goaway",
  "bye",
] as const;
