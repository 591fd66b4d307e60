/** The Worker of src/index.ts with rooms that take frames as fast as they come. */
import { createApp } from "../../src/http/app.ts";
import { defineRoom } from "../../src/room/definition.ts";
import { Room } from "../../src/room.ts";

interface Env {
  readonly ROOM: DurableObjectNamespace<FastRoom>;
}

/** Remembers enough for a client that is away for a moment while the others publish on. */
export class FastRoom extends Room<Env> {
  override readonly definition = defineRoom({ retain: 10_000, rate: { perSecond: 100_000, burst: 100_000 } });
}

export default createApp<Env>({ rooms: { room: "ROOM" }, limits: false });
