/**
 * step(tick, event) -> result: every transition of a room starts here. Changes the state in memory and its rows inside the
 * tick's transaction; touches no socket, no clock, no alarm. What each kind of event does is told in the files it imports.
 */
import { applyRequests, apply } from "./commands.ts";
import { connect } from "./connect.ts";
import { happen } from "./alarm.ts";
import { settle } from "./delivery.ts";
import { disconnect, drop } from "./depart.ts";
import type { RelayEvent, Result, RoomEvent } from "./event.ts";
import { receive } from "./frames.ts";
import { runHook } from "./hooks.ts";
import { operate } from "./operate.ts";
import { expect, forgo, found, mirror, open, settle as settleIn } from "./relay.ts";
import { admit, forget, hear, hearReport } from "./relayed.ts";
import { Turn, type TickContext } from "./turn.ts";

const DONE: Result = { ok: true, value: undefined };

/**
 * Applies one event, and what the hooks that it ran asked for.
 *
 * @throws when it cannot be done: then it has no effect, once its caller has undone the transaction
 */
export function step(tick: TickContext, event: RoomEvent): Result {
  const turn = new Turn(tick);
  const result = applyEvent(turn, event);
  applyRequests(turn);
  return result;
}

function applyEvent(turn: Turn, event: RoomEvent): Result {
  const { state } = turn;
  if (isRelayed(event)) return applyRelayed(turn, event);
  switch (event.type) {
    case "connect":
      return connect(turn, event.admission, event.id);
    case "frame": {
      const connection = state.connection(event.session, event.generation);
      const session = state.sessions.get(event.session);
      if (connection && session) receive(turn, { connection, session }, event.frame);
      return DONE;
    }
    case "drop": {
      // The generation: a socket that was replaced must not take its successor with it.
      const session = state.sessions.get(event.session);
      if (session?.generation === event.generation && session.droppedAt === null) {
        turn.ended(session, event.close === undefined ? "lost" : "closed", event.close);
        drop(turn, session);
      }
      return DONE;
    }
    case "cut": {
      const connection = state.connection(event.session, event.generation);
      if (connection) disconnect(turn, connection, { code: event.code });
      return DONE;
    }
    case "command":
      return apply(turn, event.command);
    case "operate":
      return operate(turn, event.caller, event.command, event.facts);
    case "settled":
      settle(turn, event.batch, event.outcome);
      return DONE;
    case "reported":
      state.undelivered.arrived(event.undelivered);
      return DONE;
    case "countDue":
      // The tick's end tells it, as it does after any other event.
      return DONE;
    case "deferred": {
      const followUp = state.continuations.get(event.work);
      if (followUp) runHook(turn, "defer", (room) => followUp(room, event.outcome));
      return DONE;
    }
    case "drainOver":
    case "sessionDue":
    case "timerDue":
    case "outboxDue":
    case "heartbeatDue":
      happen(turn, event);
      return DONE;
    default:
      return unknown(event);
  }
}

const RELAYED: ReadonlySet<string> = new Set<RelayEvent["type"]>([
  "admit",
  "said",
  "report",
  "detached",
  "removed",
  "settled in",
  "expected",
  "forgone",
  "admitted",
  "mirrored",
  "found",
]);

function isRelayed(event: RoomEvent): event is RelayEvent {
  return RELAYED.has(event.type);
}

/** What relays bring to their room, and the room to a relay. */
function applyRelayed(turn: Turn, event: RelayEvent): Result {
  switch (event.type) {
    case "admit":
      return admit(turn, event.relay, event.joining, event.allowance);
    case "said":
      return hear(turn, event.relay, event.said, event.allowance);
    case "report":
      return hearReport(turn, event.up);
    case "detached":
      turn.state.remote.detach(event.relay);
      return DONE;
    case "removed":
      forget(turn, event.relay);
      return DONE;
    case "settled in":
      settleIn(turn, event.via);
      return DONE;
    case "expected":
      expect(turn, event.admission);
      return DONE;
    case "forgone":
      forgo(turn, event.key);
      return DONE;
    case "admitted":
      return open(turn, event.admission, event.admitted);
    case "mirrored":
      return mirror(turn, event.mirrored, event.replies);
    case "found":
      found(turn, event);
      return DONE;
    default:
      return unknown(event);
  }
}

/** A newer Worker may send what this room does not know: that is no success. */
function unknown(event: never): Result {
  return { ok: false, code: "bad_request", message: `this room does not know ${JSON.stringify(event)}`.slice(0, 200) };
}
