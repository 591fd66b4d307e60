/** The Worker that `wrangler deploy` deploys as it stands: one kind of room, everything else by environment. Composition only. */
import { createApp } from "./http/app.ts";
import { devKill } from "./http/dev-kill.ts";
import { Directory } from "./ops/directory.ts";
import { Room } from "./room.ts";

interface Env {
  readonly ROOM: DurableObjectNamespace<DefaultRoom>;
}

/** Relays and remembers; give it a definition of your own. */
export class DefaultRoom extends Room<Env> {
  /** Ends this instance as a crash does, for the demo. Only the Worker calls it, and only in development. */
  kill(): void {
    this.ctx.abort("killed by the demo");
  }
}

export { Directory };

const app = createApp<Env>({ rooms: { room: "ROOM" } });
devKill(app, (env) => env.ROOM);

export default app;
