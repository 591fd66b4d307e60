/**
 * The Worker of src/index.ts with rooms with a heartbeat every second, which drop a client that leaves two unanswered; and with
 * large rooms, which have relays from their third connection on.
 */
import { createApp } from "../../src/http/app.ts";
import { defineRoom } from "../../src/room/definition.ts";
import { Relay } from "../../src/relay.ts";
import { Room } from "../../src/room.ts";

export { Relay };

interface Env {
  readonly ROOM: DurableObjectNamespace<QuickRoom>;
  readonly LARGE: DurableObjectNamespace<LargeRoom>;
  readonly RELAY: DurableObjectNamespace<Relay>;
}

export class QuickRoom extends Room<Env> {
  override readonly definition = defineRoom({ heartbeat: { every: "1s", idle: "1s", misses: 2 }, grace: "1s" });
}

export class LargeRoom extends Room<Env> {
  override readonly definition = defineRoom({ presence: "count" });
}

export default createApp<Env>({
  rooms: { room: "ROOM", large: { room: "LARGE", relays: { binding: "RELAY", from: 2, each: 3 } } },
  limits: false,
});
