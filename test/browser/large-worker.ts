/** The Worker of src/index.ts with large rooms, which have relays from their third connection on. */
import { createApp } from "../../src/http/app.ts";
import { defineRoom } from "../../src/room/definition.ts";
import { Relay } from "../../src/relay.ts";
import { Room } from "../../src/room.ts";

export { Relay };

interface Env {
  readonly LARGE: DurableObjectNamespace<LargeRoom>;
  readonly RELAY: DurableObjectNamespace<Relay>;
}

export class LargeRoom extends Room<Env> {
  override readonly definition = defineRoom({ presence: "count" });
}

export default createApp<Env>({
  rooms: { large: { room: "LARGE", relays: { binding: "RELAY", from: 2, each: 3 } } },
  limits: false,
});
