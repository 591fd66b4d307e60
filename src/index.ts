/** The Worker that `wrangler deploy` deploys as it stands: one kind of room, everything else by environment. Composition only. */
import { createApp } from "./http/app.ts";
import { Directory } from "./ops/directory.ts";
import { Room } from "./room.ts";

interface Env {
  readonly ROOM: DurableObjectNamespace<DefaultRoom>;
}

/** Relays and remembers; give it a definition of your own. */
export class DefaultRoom extends Room<Env> {}

export { Directory };

export default createApp<Env>({ rooms: { room: "ROOM" } });
