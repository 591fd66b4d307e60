/**
 * The one shape of a refusal: a row of codes.ts, and what the refused may want to know besides. Rooms, the gate and the
 * HTTP API refuse with it; `bye`, `error` and problem bodies are made of it. Knows nothing of how a refusal travels.
 */
import type { CodeName } from "./codes.ts";

/** Why something was refused. A room's answer is `{ ok: false } & Refusal`. */
export interface Refusal {
  readonly code: CodeName;
  /** For the client, instead of the sentence of the code in codes.ts. Nothing secret. */
  readonly message?: string;
  /** Milliseconds after which trying again makes sense. Absent: the code alone decides. */
  readonly retryAfter?: number;
}
