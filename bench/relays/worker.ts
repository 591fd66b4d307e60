/**
 * Rooms that differ in their relays alone, through the real createApp: without any, with relays that a small room does not use,
 * and spread from the second connection on. The rate limit is raised, as in rivals/ours.ts.
 */
import { createApp, defineRoom, jwt, Relay, Room } from "../../src/server.ts";

interface Env {
  readonly ALONE: DurableObjectNamespace<AloneRoom>;
  readonly SMALL: DurableObjectNamespace<SmallRoom>;
  readonly SMALL_RELAY: DurableObjectNamespace<SmallRelay>;
  readonly FIVE: DurableObjectNamespace<FiveRoom>;
  readonly FIVE_RELAY: DurableObjectNamespace<FiveRelay>;
  readonly LARGE: DurableObjectNamespace<LargeRoom>;
  readonly LARGE_RELAY: DurableObjectNamespace<LargeRelay>;
  readonly AUTH_SECRET: string;
}

const definition = defineRoom({
  presence: "count",
  grace: "10m",
  retain: 2_000,
  rate: { perSecond: 1_000_000, burst: 1_000_000 },
});

class BaseRoom extends Room<Env> {
  override readonly definition = definition;
}

class CountedRelay extends Relay<Env> {
  /** Sockets that are open here. */
  sockets(): number {
    return this.ctx.getWebSockets().length;
  }
}

/** A room whose kind has no relays. */
export class AloneRoom extends BaseRoom {}

/** A room whose kind has relays. */
export class SmallRoom extends BaseRoom {}
export class SmallRelay extends Relay<Env> {}

/** A room that is spread over relays of 200. */
export class FiveRoom extends BaseRoom {}
export class FiveRelay extends CountedRelay {}

/** A room that is spread over relays of the default size. */
export class LargeRoom extends BaseRoom {}
export class LargeRelay extends CountedRelay {}

const app = createApp<Env>({
  rooms: {
    alone: "ALONE",
    small: { room: "SMALL", relays: { binding: "SMALL_RELAY" } },
    five: { room: "FIVE", relays: { binding: "FIVE_RELAY", from: 1, each: 200 } },
    large: { room: "LARGE", relays: { binding: "LARGE_RELAY", from: 1 } },
  },
  auth: jwt(),
  limits: false,
});
app.get("/", (c) => c.text("ready"));
// Sockets of the first ten relays of a room.
app.get("/sockets/:kind/:room", async (c) => {
  const { kind, room } = c.req.param();
  const relays: DurableObjectNamespace<CountedRelay> = kind === "five" ? c.env.FIVE_RELAY : c.env.LARGE_RELAY;
  const names = Array.from({ length: 10 }, (_, i) => `${kind}/${room}/any/${i}`);
  return c.json(await Promise.all(names.map((name) => relays.getByName(name).sockets())));
});

export default app;
