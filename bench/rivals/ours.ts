/**
 * edgerooms as it is, through the real createApp. The rate limit is raised, because no rival has one, and more is kept
 * for clients that resume.
 */
import { createApp, defineRoom, jwt, Room } from "../../src/server.ts";

interface Env {
  readonly ROOM: DurableObjectNamespace<FastRoom>;
  readonly SECRET: string;
  readonly AUTH_SECRET: string;
}

// A long grace: the clients that end with one run must not be announced in the middle of the next.
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

const app = createApp<Env>({ rooms: { room: "ROOM" }, auth: jwt(), limits: false });
app.get("/", (c) => c.json({ built }));

export default app;
