/**
 * edgerooms as it is, through the real createApp. Its limits are raised, for no rival has any: the rate, and how much
 * is kept for who comes back.
 */
import { createApp } from "../../src/http/app.ts";
import { jwt } from "../../src/http/gate/auth.ts";
import { defineRoom } from "../../src/room/definition.ts";
import { Room } from "../../src/room.ts";

interface Env {
  readonly ROOM: DurableObjectNamespace<FastRoom>;
  readonly SECRET: string;
  readonly AUTH_SECRET: string;
}

// The grace: who is killed at the end of one run must not be told of in the middle of the next.
const fast = defineRoom({ grace: "10m", retain: 2_000, rate: { perSecond: 1_000_000, burst: 1_000_000 } });
let built = 0;

/** The room. */
export class FastRoom extends Room<Env> {
  override readonly definition = fast;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    built++;
  }
}

const app = createApp<Env>({ rooms: { room: "ROOM" }, auth: jwt() });
app.get("/", (c) => c.json({ built }));

export default app;
