/** edgerooms with a meter. Kind `room` is as it comes, but for the rate; kind `beat` beats fast, to count a beat. */
import { createApp } from "../../src/http/app.ts";
import { jwt } from "../../src/http/gate/auth.ts";
import { defineRoom } from "../../src/room/definition.ts";
import { Room } from "../../src/room.ts";
import { readMeter, watchHandlers, watchStorage } from "./meter.ts";

interface Env {
  readonly ROOM: DurableObjectNamespace<Metered>;
  readonly BEAT: DurableObjectNamespace<Beating>;
  readonly LEAVE: DurableObjectNamespace<Leaving>;
  readonly AUTH_SECRET: string;
}

const rate = { perSecond: 1_000_000, burst: 1_000_000 };

/** A room whose use is counted. */
export class Metered extends Room<Env> {
  override readonly definition = defineRoom({ rate });

  constructor(ctx: DurableObjectState, env: Env) {
    watchStorage(ctx);
    super(ctx, env);
  }

  static ctxOf(room: Metered): DurableObjectState {
    return room.ctx;
  }
}

/** The same with a beat that is just long enough to fall asleep in between. */
export class Beating extends Metered {
  override readonly definition = defineRoom({ rate, heartbeat: { every: "12s", idle: "12s" } });
}

/** The same with windows that are soon over. */
export class Leaving extends Metered {
  override readonly definition = defineRoom({ rate, grace: "1s", resumeWindow: "2s" });
}

watchHandlers(Metered, (object) => Metered.ctxOf(object as Metered));

const app = createApp<Env>({ rooms: { room: "ROOM", beat: "BEAT", leave: "LEAVE" }, auth: jwt() });
app.get("/", (c) => c.json(readMeter()));

export default app;
