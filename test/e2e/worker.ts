/** The Worker of src/index.ts with rooms that take frames as fast as they come. */
import { Hono } from "hono";
import { createApp } from "../../src/http/app.ts";
import { devTokens, type DevEnv } from "../../src/http/dev.ts";
import { defineRoom } from "../../src/room/definition.ts";
import { Room } from "../../src/room.ts";

interface Env extends DevEnv {
  readonly ROOM: DurableObjectNamespace<FastRoom>;
}

/** Remembers enough for a client that is away for a moment while the others publish on. */
export class FastRoom extends Room<Env> {
  override readonly definition = defineRoom({ retain: 10_000, rate: { perSecond: 100_000, burst: 100_000 } });
}

const app = new Hono<{ Bindings: Env }>();
app.route("/", devTokens<Env>());
app.route("/", createApp<Env>({ rooms: { room: "ROOM" } }));

export default app;
