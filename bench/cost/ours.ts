/** edgerooms with a meter. All kinds of rooms have a raised rate limit; two have short times, so that a count is quick. */
import { createApp, defineRoom, jwt, Room } from "../../src/server.ts";
import { meterHandlers, meterStorage, readMeter } from "./meter.ts";

interface Env {
  readonly ROOM: DurableObjectNamespace<Metered>;
  readonly HEARTBEAT: DurableObjectNamespace<FastHeartbeat>;
  readonly LEAVE: DurableObjectNamespace<FastLeave>;
  readonly AUTH_SECRET: string;
}

const rate = { perSecond: 1_000_000, burst: 1_000_000 };

/** A room whose use is counted. */
export class Metered extends Room<Env> {
  override readonly definition = defineRoom({ rate });

  constructor(ctx: DurableObjectState, env: Env) {
    meterStorage(ctx);
    super(ctx, env);
  }

  static ctxOf(room: Metered): DurableObjectState {
    return room.ctx;
  }
}

/** With an interval just long enough for the room to sleep between heartbeats. */
export class FastHeartbeat extends Metered {
  override readonly definition = defineRoom({ rate, heartbeat: { every: "12s", idle: "12s" } });
}

/** With a short grace and a short resume window. */
export class FastLeave extends Metered {
  override readonly definition = defineRoom({ rate, grace: "1s", resumeWindow: "2s" });
}

meterHandlers(Metered, (object) => Metered.ctxOf(object as Metered));

const app = createApp<Env>({
  rooms: { room: "ROOM", heartbeat: "HEARTBEAT", leave: "LEAVE" },
  auth: jwt(),
  limits: false,
});
app.get("/", (c) => c.json(readMeter()));

export default app;
