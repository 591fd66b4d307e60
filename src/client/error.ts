/** What goes wrong, as callers of the client see it. */
import type { CodeName } from "../protocol/codes.ts";
import type { FrameError } from "../protocol/frames.ts";

/** Codes of the room, and those that only a client can know of. */
export type RoomErrorCode =
  | CodeName
  /** More publishes wait than the outbox holds. Nothing was sent. */
  | "outbox_full"
  /** The connection was lost before the answer: it may or may not have taken effect. */
  | "outcome_unknown"
  /** There is no connection. Nothing was sent. */
  | "not_connected"
  /** The client was closed. */
  | "closed";

/** A refusal or failure. */
export class RoomError extends Error {
  override readonly name = "RoomError";
  readonly code: RoomErrorCode;
  /** Whether the same may succeed later. */
  readonly retryable: boolean;
  /** Milliseconds to wait before that. */
  readonly retryAfter: number | undefined;

  constructor(code: RoomErrorCode, message: string, retryable: boolean, retryAfter?: number) {
    super(message);
    this.code = code;
    this.retryable = retryable;
    this.retryAfter = retryAfter;
  }

  /** As it came in a frame. A ref that the room has forgotten is one whose outcome nobody knows. */
  static from({ code, message, retryable, retryAfter }: FrameError): RoomError {
    return new RoomError(code === "stale_ref" ? "outcome_unknown" : code, message, retryable, retryAfter);
  }
}
