/**
 * The one table of everything that can end or refuse something: its name on the wire, the HTTP status of a refused
 * request, the WebSocket close code, and what a client does next. HTTP problems, error frames, `bye` frames and close
 * codes are all looked up here. Knows nothing of frames, rooms or Hono.
 */

/**
 * What a client does after it was told a code.
 * - `stop`: final, trying again unchanged gives the same answer.
 * - `reconnect`: at once, with jitter.
 * - `later`: reconnect with backoff, not before `retryAfter`.
 * - `renew`: fetch a new token, then reconnect.
 */
export type NextStep = "stop" | "reconnect" | "later" | "renew";

/** One row of the table. */
export interface Code {
  /** Status of the HTTP problem that says the same. */
  readonly http: number;
  /** WebSocket close code; `null` when the code only ever answers one frame and the connection stays open. */
  readonly close: number | null;
  readonly next: NextStep;
  /** A sentence for the person who reads the log of a client. Never holds anything about a user. */
  readonly text: string;
}

/** Every code of `edgerooms.v1`. docs/protocol.md lists the same rows; a test compares them. */
export const codes = {
  done: { http: 200, close: 1000, next: "stop", text: "The session is over, as asked." },
  too_large: { http: 413, close: 1009, next: "reconnect", text: "A message was larger than the room accepts." },
  internal: {
    http: 500,
    close: 1011,
    next: "later",
    text: "The room failed to handle this. Nothing of it took effect.",
  },
  restarting: {
    http: 503,
    close: 1012,
    next: "reconnect",
    text: "The room is restarting. The session can be resumed.",
  },
  heartbeat_lost: { http: 408, close: 4000, next: "reconnect", text: "The connection did not answer its heartbeats." },
  slow: { http: 408, close: 4001, next: "reconnect", text: "The connection did not read what was sent to it." },
  rate_limited: { http: 429, close: 4100, next: "later", text: "Too many frames in too short a time." },
  room_full: { http: 503, close: 4101, next: "later", text: "The room has no place for another connection." },
  draining: { http: 503, close: 4102, next: "later", text: "The room is draining and takes no new connections." },
  unavailable: { http: 503, close: 4103, next: "later", text: "Tokens cannot be verified at the moment." },
  token_expired: { http: 401, close: 4200, next: "renew", text: "The token has expired." },
  bad_frame: { http: 400, close: 4400, next: "stop", text: "This is not a frame of edgerooms.v1." },
  unauthorized: { http: 401, close: 4401, next: "stop", text: "A valid token is needed." },
  forbidden: { http: 403, close: 4403, next: "stop", text: "The token does not allow this." },
  not_found: { http: 404, close: 4404, next: "stop", text: "There is nothing at this address." },
  wrong_protocol: { http: 426, close: 4405, next: "stop", text: "Connect with a WebSocket that offers edgerooms.v1." },
  bad_room: {
    http: 400,
    close: 4406,
    next: "stop",
    text: "A room name is 1 to 128 of A-Z a-z 0-9 . _ ~ : @ -",
  },
  bad_resume: { http: 400, close: 4407, next: "stop", text: "The session or position in this request is malformed." },
  replaced: { http: 409, close: 4409, next: "stop", text: "Another connection took over this session." },
  kicked: { http: 403, close: 4410, next: "stop", text: "An operator or the room removed this session." },
  revoked: { http: 401, close: 4411, next: "stop", text: "The token was revoked." },
  rejected: { http: 422, close: null, next: "stop", text: "The room refused this. Nothing of it took effect." },
  stale_ref: {
    http: 409,
    close: null,
    next: "stop",
    text: "This ref is not above the session's last, and the room does not remember what came of it.",
  },
  unknown_method: { http: 404, close: null, next: "stop", text: "The room has no such method." },
  unknown_session: { http: 404, close: null, next: "stop", text: "The room has no such session of this user." },
} as const satisfies Record<string, Code>;

/** The name of a code: the string that travels in `error`, `bye` and problem bodies. */
export type CodeName = keyof typeof codes;

/** Whether trying again later, unchanged or with a new token, can succeed. */
export function isRetryable(name: CodeName): boolean {
  return codes[name].next !== "stop";
}

/** The row of a WebSocket close code, or `undefined` when it is none of ours. */
export function byCloseCode(close: number): { name: CodeName; code: Code } | undefined {
  for (const name of Object.keys(codes) as CodeName[]) {
    const code: Code = codes[name];
    if (code.close === close) return { name, code };
  }
  return undefined;
}

/**
 * What a client does after a close code, known or not: the table decides, then the band. An unknown code never stops a
 * client for good, because a newer server may use it; only the final band 4400-4499 does.
 */
export function nextStep(close: number): NextStep {
  const known = byCloseCode(close);
  if (known) return known.code.next;
  if (close >= 4000 && close <= 4099) return "reconnect";
  if (close >= 4200 && close <= 4299) return "renew";
  if (close >= 4400 && close <= 4499) return "stop";
  return close === 1001 ? "reconnect" : "later";
}
