/**
 * Rooms with relays, with a meter: what a connection, a publication, a heartbeat and a leave use in the room and in its relays.
 * Time in which an object waits for another's answer counts as time in which it is awake.
 */
import { createApp, defineRoom, jwt, Relay, Room } from "../../src/server.ts";
import { meterCalls, meterHandlers, meterStorage, readMeter } from "../cost/meter.ts";

type Names = "ALONE" | "SMALL" | "FEW" | "MORE" | "HEARTBEAT" | "LEAVE";
type Spread = Exclude<Names, "ALONE">;
type Env = Readonly<Record<Names, DurableObjectNamespace<MeteredRoom>>> &
  Readonly<Record<`${Spread}_RELAY`, DurableObjectNamespace<MeteredRelay>>> & { readonly AUTH_SECRET: string };

const usual = { presence: "count", rate: { perSecond: 1_000_000, burst: 1_000_000 } } as const;
const SPREAD: readonly Spread[] = ["SMALL", "FEW", "MORE", "HEARTBEAT", "LEAVE"];

/** A room whose use is counted. */
export class MeteredRoom extends Room<Env> {
  override readonly definition = defineRoom(usual);

  constructor(ctx: DurableObjectState, env: Env) {
    meterStorage(ctx);
    super(
      ctx,
      meterCalls(
        ctx,
        env,
        SPREAD.map((name) => `${name}_RELAY`),
      ),
    );
  }

  static ctxOf(room: MeteredRoom): DurableObjectState {
    return room.ctx;
  }
}

/** With heartbeats that a run can wait for. */
export class HeartbeatRoom extends MeteredRoom {
  override readonly definition = defineRoom({ ...usual, heartbeat: { every: "2s", idle: "2s" } });
}

/** With a short grace and a short resume window. */
export class LeaveRoom extends MeteredRoom {
  override readonly definition = defineRoom({ ...usual, grace: "1s", resumeWindow: "2s" });
}

/** A relay whose use is counted. */
export class MeteredRelay extends Relay<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    meterStorage(ctx);
    super(ctx, meterCalls(ctx, env, SPREAD));
  }

  static ctxOf(relay: MeteredRelay): DurableObjectState {
    return relay.ctx;
  }
}

// A class for each binding: each is a namespace of its own.
export class AloneRoom extends MeteredRoom {}
export class SmallRoom extends MeteredRoom {}
export class FewRoom extends MeteredRoom {}
export class MoreRoom extends MeteredRoom {}
export class SmallRelay extends MeteredRelay {}
export class FewRelay extends MeteredRelay {}
export class MoreRelay extends MeteredRelay {}
export class HeartbeatRelay extends MeteredRelay {}
export class LeaveRelay extends MeteredRelay {}

meterHandlers(MeteredRoom, (object) => MeteredRoom.ctxOf(object as MeteredRoom));
meterHandlers(MeteredRelay, (object) => MeteredRelay.ctxOf(object as MeteredRelay));

const app = createApp<Env>({
  rooms: {
    alone: "ALONE",
    small: { room: "SMALL", relays: { binding: "SMALL_RELAY" } },
    few: { room: "FEW", relays: { binding: "FEW_RELAY", from: 1, each: 50 } },
    more: { room: "MORE", relays: { binding: "MORE_RELAY", from: 1, each: 150 } },
    heartbeat: { room: "HEARTBEAT", relays: { binding: "HEARTBEAT_RELAY", from: 1, each: 50 } },
    leave: { room: "LEAVE", relays: { binding: "LEAVE_RELAY", from: 1, each: 50 } },
  },
  auth: jwt(),
  limits: false,
});
app.get("/", (c) => c.json(readMeter()));

export default app;
