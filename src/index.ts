/** The Worker that `wrangler deploy` deploys as it stands: one kind of room, tokens by environment. Composition only. */
import { Hono } from "hono";
import { createApp } from "./http/app.ts";
import { devKill } from "./http/dev-kill.ts";
import { devTokens, type DevEnv } from "./http/dev.ts";
import { refuseUpgrade } from "./http/problem.ts";
import { Directory } from "./ops/directory.ts";
import { Room } from "./room.ts";
import { webhook } from "./ops/webhook.ts";
import { defineRoom } from "./room/definition.ts";

interface Env extends DevEnv {
  readonly ROOM: DurableObjectNamespace<DefaultRoom>;
  /** Web origins that may connect besides our own, separated by commas. */
  readonly ALLOWED_ORIGINS?: string;
  /** Where events go, if anywhere, and the secret that signs them. */
  readonly EVENTS_WEBHOOK_URL?: string;
  readonly EVENTS_WEBHOOK_SECRET?: string;
}

const toWebhook = webhook<Env>({
  url: (env) => env.EVENTS_WEBHOOK_URL,
  secret: (env) => env.EVENTS_WEBHOOK_SECRET,
});

/** Relays and remembers; put a definition of your own here. */
export class DefaultRoom extends Room<Env> {
  override readonly definition = defineRoom(this.env.EVENTS_WEBHOOK_URL ? { events: { to: toWebhook } } : {});

  /** Ends this instance as a crash does, for the demo. Only in development. */
  kill(): void {
    if (this.env.ENVIRONMENT === "development") this.ctx.abort("killed by the demo");
  }
}

export { Directory };

const app = new Hono<{ Bindings: Env }>();
app.route("/", devTokens<Env>());
app.route(
  "/",
  devKill<Env>((env) => env.ROOM),
);
app.route(
  "/",
  createApp<Env>({
    rooms: { room: "ROOM" },
    origins: (env) => (env.ALLOWED_ORIGINS ?? "").split(",").map((origin) => origin.trim()),
  }),
);

app.notFound((c) => refuseUpgrade(c, { code: "not_found" }));

export default app;
