/**
 * Ends a room as a crash does, for the demo's button. Exists only where development tokens do: in development, for
 * requests to localhost.
 */
import type { Hono } from "hono";
import { ROOM_NAME } from "../protocol/api.ts";
import { isDevelopment, isOurs, NOT_OURS } from "./dev.ts";
import { problem } from "./problem.ts";

/** A room that can be ended. */
export interface Mortal extends Rpc.DurableObjectBranded {
  /** Ends the object's instance. Its sockets close, its memory is gone; what it stored stays. */
  kill(): void;
}

/**
 * Adds `POST /dev/kill/:room` -> 204. Members lose their connections, and resume in a new instance.
 *
 * @param rooms the namespace of the rooms
 */
export function devKill<Env extends object>(
  app: Hono<{ Bindings: Env }>,
  rooms: (env: Env) => DurableObjectNamespace<Mortal>,
): void {
  app.post("/dev/kill/:room", async (c, next) => {
    if (!isDevelopment(c.env)) return next();
    if (!isOurs(c.req.raw)) return problem(c, NOT_OURS);
    const room = c.req.param("room");
    if (!ROOM_NAME.test(room)) return problem(c, { code: "bad_room" });
    // The call fails with the instance that it ends.
    await rooms(c.env)
      .getByName(room)
      .kill()
      .catch(() => undefined);
    return c.body(null, 204);
  });
}
