/** Ends a room as a crash does, for the demo's button. Exists only where ENVIRONMENT is "development". */
import { Hono } from "hono";
import { requestId } from "hono/request-id";
import { ROOM_NAME } from "../protocol/api.ts";
import type { DevEnv } from "./dev.ts";
import { problem } from "./problem.ts";

/** A room that can be ended. */
export interface Mortal extends Rpc.DurableObjectBranded {
  /** Ends the object's instance. Its sockets close, its memory is gone; what it stored stays. */
  kill(): void;
}

/**
 * `POST /dev/kill/:room` -> 204. Members lose their connections, and resume in a new instance.
 *
 * @param rooms the namespace of the rooms
 */
export function devKill<Env extends DevEnv>(rooms: (env: Env) => DurableObjectNamespace<Mortal>) {
  const app = new Hono<{ Bindings: Env }>();
  app.use("/dev/*", requestId());
  app.post("/dev/kill/:room", async (c) => {
    const room = c.req.param("room");
    if (c.env.ENVIRONMENT !== "development" || !ROOM_NAME.test(room)) return problem(c, { code: "not_found" });
    // A page elsewhere must not end what runs on a developer's machine.
    const origin = c.req.header("origin");
    if (origin !== undefined && origin !== new URL(c.req.url).origin) return problem(c, { code: "forbidden" });
    // The call fails with the instance that it ends.
    await rooms(c.env)
      .getByName(room)
      .kill()
      .catch(() => undefined);
    return c.body(null, 204);
  });
  return app;
}
