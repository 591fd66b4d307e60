/** The Worker of src/index.ts with rooms with a heartbeat every second, which drop a client that leaves two unanswered. */
import { createApp } from "../../src/http/app.ts";
import { defineRoom } from "../../src/room/definition.ts";
import { Room } from "../../src/room.ts";

interface Env {
  readonly ROOM: DurableObjectNamespace<QuickRoom>;
}

export class QuickRoom extends Room<Env> {
  override readonly definition = defineRoom({ heartbeat: { every: "1s", idle: "1s", misses: 2 }, grace: "1s" });
}

export default createApp<Env>({ rooms: { room: "ROOM" }, limits: false });
