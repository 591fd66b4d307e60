/** What a throw means: the refusal that answers it. The only place that knows how Durable Objects and upstreams fail. */
import { Misconfigured } from "../ops/settings.ts";
import { UpstreamFailed } from "../ops/upstream.ts";
import type { Refusal } from "../protocol/refusal.ts";
import type { Denied, RequestInfo } from "./request.ts";

/** What the deployer's own code returned cannot be used. Its message is for the log. */
export class HookFailed extends Error {
  override readonly name = "HookFailed";
}

/** Until a client may try again where only a deploy helps, in ms. */
const MISCONFIGURED_RETRY_MS = 60_000;

/** The refusal for something that was thrown. In development the client sees what; elsewhere that could leak secrets. */
export function denial(error: unknown, env: object | undefined, info?: RequestInfo): Denied {
  const thrown = error instanceof Error ? error : new Error(String(error));
  const refusal = refusalOf(thrown);
  const { ENVIRONMENT } = (env ?? {}) as { ENVIRONMENT?: string };
  const isShown = ENVIRONMENT === "development" && (refusal.code === "internal" || refusal.code === "hook_failed");
  return {
    ...refusal,
    ...(isShown && { message: `${thrown.name}: ${thrown.message}` }),
    cause: thrown,
    ...(info && { info }),
  };
}

/** A Durable Object's own errors say whether trying again makes sense. */
function refusalOf(error: Error): Refusal {
  if (error instanceof HookFailed) return { code: "hook_failed" };
  if (error instanceof Misconfigured) {
    return { code: "misconfigured", message: error.message, retryAfter: MISCONFIGURED_RETRY_MS };
  }
  if (error instanceof UpstreamFailed) {
    const { code, retryAfter } = error;
    return { code, ...(retryAfter !== undefined && { retryAfter }) };
  }
  const { retryable, overloaded, durableObjectReset } = error as Error & Partial<Record<string, unknown>>;
  if (error.name === "TimeoutError") return { code: "upstream_timeout" };
  if (overloaded === true) return { code: "room_full", retryAfter: 30_000 };
  // Between two deploys a room or the directory may still run the version before, which has no such method.
  const isOlder = /RPC receiver does not implement/.test(error.message);
  if (retryable === true || durableObjectReset === true || isOlder) return { code: "restarting", retryAfter: 1_000 };
  return { code: "internal" };
}
