/** The Worker that `wrangler deploy` deploys as it stands: one kind of room, tokens by environment. Composition only. */
import { Hono } from "hono";
import { createApp } from "./http/app.ts";
import { devTokens, type DevEnv } from "./http/dev.ts";
import { refuseUpgrade } from "./http/problem.ts";
import { Directory } from "./ops/directory.ts";
import { Room } from "./ops/room.ts";

interface Env extends DevEnv {
  readonly ROOM: DurableObjectNamespace<DefaultRoom>;
  /** Web origins that may connect besides our own, separated by commas. */
  readonly ALLOWED_ORIGINS?: string;
}

/** Relays and remembers; put a definition of your own here: `readonly definition = defineRoom({...})`. */
export class DefaultRoom extends Room<Env> {}

export { Directory };

const app = new Hono<{ Bindings: Env }>();
app.route("/", devTokens<Env>());
app.route(
  "/",
  createApp<Env>({
    rooms: { room: "ROOM" },
    origins: (env) => (env.ALLOWED_ORIGINS ?? "").split(",").map((origin) => origin.trim()),
  }),
);

app.notFound((c) => refuseUpgrade(c, { code: "not_found" }));

export default app;
