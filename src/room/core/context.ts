/** The user and trace that an event belongs to: what a failure or a span says about it. */
import type { Caller } from "../operator.ts";
import type { RoomState } from "../store/state.ts";
import type { FailureContext } from "../telemetry/failure.ts";
import type { RoomEvent } from "./event.ts";
import type { Received } from "./frames.ts";

/** The user and session of an event, as far as the event or the room says. */
export function aboutOf(event: RoomEvent, state: RoomState | undefined): FailureContext {
  if (event.type === "connect" || event.type === "operate") {
    const { credentials, requestId, traceparent } = event.type === "connect" ? event.admission : event.caller;
    return { user: credentials.user, requestId, traceparent };
  }
  if (event.type === "said") {
    const { user, session, requestId, traceparent } = event.said.sender;
    return { session, user, requestId, traceparent: traceOf([event]) ?? traceparent };
  }
  if (event.type === "admit") {
    const { credentials, requestId, traceparent } = event.joining.admission;
    return { user: credentials.user, requestId, traceparent };
  }
  if (!("session" in event)) return {};
  const session = state?.sessions.get(event.session);
  const traceparent = traceOf([event]) ?? state?.connections.get(event.session)?.traceparent;
  const known = session && { user: session.user, requestId: session.requestId };
  return { session: event.session, ...known, traceparent };
}

/** The trace that a tick belongs to, as far as one of its events says so. */
export function traceOf(events: readonly RoomEvent[]): string | undefined {
  for (const event of events) {
    for (const from of sourcesOf(event)) {
      if ("traceparent" in from && from.traceparent !== undefined) return from.traceparent;
    }
  }
  return undefined;
}

/** What may bring a trace: a caller, a frame, or what a member at a relay has said. */
function sourcesOf(event: RoomEvent): readonly (Caller | Received)[] {
  if (event.type === "operate") return [event.caller];
  if (event.type === "frame") return [event.frame];
  return event.type === "said" ? event.said.frames : [];
}
