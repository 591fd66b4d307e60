/**
 * The one shape of a refusal: a row of codes.ts, and what the refused may want to know besides. Rooms, the gate and the
 * HTTP API refuse with it; `bye`, `error` and problem bodies are made of it. Knows nothing of how a refusal travels.
 */
import { codes, type CodeName } from "./codes.ts";

/** Why something was refused. A room's answer is `{ ok: false } & Refusal`. */
export interface Refusal {
  readonly code: CodeName;
  /** For the client, instead of the sentence of the code in codes.ts. Nothing secret. */
  readonly message?: string;
  /** Milliseconds after which trying again makes sense. Absent: the code alone decides. */
  readonly retryAfter?: number;
}

/**
 * Reads a refusal that another process, another version or a deployer's code made.
 *
 * @returns nothing but its fields; `undefined` when it is none, or has a code that this version does not know
 */
export function readRefusal(value: unknown): Refusal | undefined {
  const { code, message, retryAfter } = (typeof value === "object" && value !== null ? value : {}) as Partial<Refusal>;
  if (typeof code !== "string" || !Object.hasOwn(codes, code)) return undefined;
  return {
    code,
    ...(typeof message === "string" && { message }),
    ...(typeof retryAfter === "number" && Number.isFinite(retryAfter) && { retryAfter }),
  };
}
