/** The one error of the client: what goes wrong, as its callers see it. */
import type { CodeName } from "../protocol/codes.ts";
import type { FrameError } from "../protocol/frames.ts";

/** The room's codes, and those that only a client can give. */
export type RoomErrorCode =
  | CodeName
  /** The outbox is full. Nothing was sent. */
  | "outbox_full"
  /** The connection was lost before the answer: it may or may not have taken effect. */
  | "outcome_unknown"
  /** There is no connection. Nothing was sent. */
  | "not_connected"
  /** The client was closed. */
  | "closed"
  /** JSON cannot carry the data as it is. Nothing was sent. */
  | "bad_data"
  /** The program has aborted it before it was sent. */
  | "aborted"
  /** It was not sent in time. */
  | "timeout";

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

  /** Reads it from a frame. The outcome of a ref is unknown where the room's memory does not reach back to it. */
  static from({ code, message, retryable, retryAfter }: FrameError): RoomError {
    const isUnknown = code === "stale_ref" && !retryable;
    return new RoomError(isUnknown ? "outcome_unknown" : code, message, retryable, retryAfter);
  }
}
