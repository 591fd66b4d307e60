/**
 * The one table of everything that can end or refuse something: its name on the wire, the HTTP status of a refused
 * request, the WebSocket close code, what a client does next, and how grave it is. HTTP problems, error frames, `bye` frames and close
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

/**
 * What a code means to an operator.
 * - `info`: how rooms live; counted, not logged.
 * - `warn`: a client's mistake, or a limit that holds; logged, sampled.
 * - `error`: ours, a hook's or an upstream's; logged.
 * - `alert`: somebody must look now; logged, and the deployer is told.
 */
export type Severity = "info" | "warn" | "error" | "alert";

/** One row of the table. */
export interface Code {
  /** Status of the HTTP problem that says the same. */
  readonly http: number;
  /** WebSocket close code; `null` when the code only ever answers one frame and the connection stays open. */
  readonly close: number | null;
  readonly next: NextStep;
  readonly severity: Severity;
}

/** Every code of `edgerooms.v1`. docs/reference/protocol.md lists the same rows; a test compares them. */
export const codes = {
  done: { http: 200, close: 1000, next: "stop", severity: "info" },
  too_large: { http: 413, close: 1009, next: "reconnect", severity: "warn" },
  internal: { http: 500, close: 1011, next: "later", severity: "alert" },
  hook_failed: { http: 500, close: 4106, next: "later", severity: "error" },
  storage_failed: { http: 503, close: 4107, next: "later", severity: "alert" },
  restarting: { http: 503, close: 1012, next: "reconnect", severity: "info" },
  heartbeat_lost: { http: 408, close: 4000, next: "reconnect", severity: "info" },
  slow: { http: 408, close: 4001, next: "reconnect", severity: "warn" },
  rate_limited: { http: 429, close: 4100, next: "later", severity: "warn" },
  room_full: { http: 503, close: 4101, next: "later", severity: "warn" },
  draining: { http: 503, close: 4102, next: "later", severity: "info" },
  unavailable: { http: 503, close: 4103, next: "later", severity: "error" },
  upstream_failed: { http: 502, close: 4104, next: "later", severity: "error" },
  upstream_timeout: { http: 504, close: 4105, next: "later", severity: "error" },
  misconfigured: { http: 503, close: 4108, next: "later", severity: "alert" },
  token_expired: { http: 401, close: 4200, next: "renew", severity: "info" },
  token_early: { http: 401, close: 4201, next: "renew", severity: "warn" },
  bad_frame: { http: 400, close: 4400, next: "stop", severity: "warn" },
  unauthorized: { http: 401, close: 4401, next: "stop", severity: "warn" },
  forbidden: { http: 403, close: 4403, next: "stop", severity: "warn" },
  not_found: { http: 404, close: 4404, next: "stop", severity: "warn" },
  wrong_protocol: { http: 426, close: 4405, next: "stop", severity: "warn" },
  bad_room: { http: 400, close: 4406, next: "stop", severity: "warn" },
  bad_resume: { http: 400, close: 4407, next: "stop", severity: "warn" },
  replaced: { http: 409, close: 4409, next: "stop", severity: "info" },
  kicked: { http: 403, close: 4410, next: "stop", severity: "info" },
  revoked: { http: 401, close: 4411, next: "stop", severity: "warn" },
  rejected: { http: 422, close: null, next: "stop", severity: "info" },
  bad_request: { http: 400, close: null, next: "stop", severity: "warn" },
  key_reused: { http: 422, close: null, next: "stop", severity: "warn" },
  undelivered: { http: 502, close: null, next: "later", severity: "alert" },
  stale_ref: { http: 409, close: null, next: "stop", severity: "warn" },
  unknown_method: { http: 404, close: null, next: "stop", severity: "warn" },
  unknown_session: { http: 404, close: null, next: "stop", severity: "warn" },
} as const satisfies Record<string, Code>;

/** The name of a code: the string that travels in `error`, `bye` and problem bodies. */
export type CodeName = keyof typeof codes;

/**
 * A sentence for the person who reads a log, per code. Apart from the table, because a client has no use for it and
 * should not carry it.
 */
export const texts: Readonly<Record<CodeName, string>> = {
  done: "The session is over, as asked.",
  too_large: "A message was larger than the room accepts.",
  internal: "Something failed that should not have. Nothing of it took effect.",
  hook_failed: "The room's own code failed on this. Nothing of it took effect.",
  storage_failed: "The room's storage failed. Nothing of it took effect.",
  restarting: "The room is restarting. The session can be resumed.",
  heartbeat_lost: "The connection did not answer its heartbeats.",
  slow: "The connection did not read what was sent to it.",
  rate_limited: "Too many frames or requests in too short a time.",
  room_full: "The room has no place for another connection.",
  draining: "The room is draining and takes no new connections.",
  unavailable: "Tokens cannot be verified at the moment.",
  upstream_failed: "A service that this depends on refused or failed.",
  upstream_timeout: "A service that this depends on did not answer in time.",
  misconfigured: "The server lacks a setting that it needs.",
  token_expired: "The token has expired.",
  token_early: "The token cannot be used yet: its key is not known here, or its time has not come.",
  bad_frame: "This is not a frame of edgerooms.v1.",
  unauthorized: "A valid token is needed.",
  forbidden: "The token does not allow this.",
  not_found: "There is nothing at this address.",
  wrong_protocol: "Connect with a WebSocket that offers edgerooms.v1.",
  bad_room: "A room name is 1 to 128 of A-Z a-z 0-9 . _ ~ : @ -",
  bad_resume: "The session or position in this request is malformed.",
  replaced: "Another connection took over this session.",
  kicked: "An operator or the room removed this session.",
  revoked: "The token was revoked.",
  rejected: "The room refused this. Nothing of it took effect.",
  bad_request: "The request is not what this address takes.",
  key_reused: "This Idempotency-Key was used for something else.",
  undelivered: "Events could not be delivered and were set aside.",
  stale_ref: "This ref is not above the session's last, and the room does not remember what came of it.",
  unknown_method: "The room has no such method.",
  unknown_session: "The room has no such session of this user.",
};

/** Whether trying again later, unchanged or with a new token, can succeed. */
export function isRetryable(name: CodeName): boolean {
  return codes[name].next !== "stop";
}

/**
 * What a client does after a close code, known or not: the table as a rule, because a page should not carry 25 rows for
 * a handful of numbers; a test holds it to every row. An unknown code never stops a client for good, because a newer
 * server may use it; only the final band 4400-4499 does.
 */
export function nextStep(close: number): NextStep {
  const band = Math.floor(close / 100);
  if (close === 1000 || band === 44) return "stop";
  if (band === 42) return "renew";
  return band === 40 || [1001, 1009, 1012].includes(close) ? "reconnect" : "later";
}
