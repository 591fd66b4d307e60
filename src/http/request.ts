/** What is learnt of a request while it is answered, for whoever writes down what came of it. */
import type { Context } from "hono";
import type { Refusal } from "../protocol/refusal.ts";

/** A refusal, and what only the log may say of it. */
export interface LoggedRefusal extends Refusal {
  /** For the log, instead of the message. The client never sees it. */
  readonly because?: string;
}

/** What is known of one request so far. */
export interface Seen {
  /** W3C trace context that the request belongs to. */
  traceparent?: string;
  /** The room that it is about. */
  address?: { readonly kind: string; readonly room: string };
  /** Whose token it carries. */
  user?: string;
  /** Why it got nothing. */
  refusal?: LoggedRefusal;
  /** What was thrown at it. */
  thrown?: Error;
}

const NAME = "edgerooms";

/** The record of a request. */
export function seenOf(c: Context): Seen {
  const known = c.get(NAME) as Seen | undefined;
  if (known) return known;
  const seen: Seen = {};
  c.set(NAME, seen);
  return seen;
}
