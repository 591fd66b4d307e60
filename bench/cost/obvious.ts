/**
 * The obvious way to write the same rooms, with a meter: every message is a row, an alarm pings every 30 s while anyone
 * is connected, and clients answer in JSON.
 */
import { DurableObject } from "cloudflare:workers";
import { verify } from "../rivals/verify.ts";
import { meterHandlers, meterStorage, readMeter } from "./meter.ts";

interface Env {
  readonly ROOM: DurableObjectNamespace<Obvious>;
  readonly SECRET: string;
}

/** The room. */
export class Obvious extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    meterStorage(ctx);
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, at INTEGER, data TEXT)");
  }

  override async fetch(request: Request): Promise<Response> {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    server.serializeAttachment({ seen: Date.now() });
    if ((await this.ctx.storage.getAlarm()) === null) await this.#setAlarm(new URL(request.url).pathname);
    return new Response(null, { status: 101, webSocket: client });
  }

  override webSocketMessage(from: WebSocket, text: string): void {
    const { type, data } = JSON.parse(text) as { type: string; data: unknown };
    if (type === "pong") return from.serializeAttachment({ seen: Date.now() });
    if (type === "message") {
      this.ctx.storage.sql.exec("INSERT INTO messages (at, data) VALUES (?, ?)", Date.now(), JSON.stringify(data));
    }
    this.#broadcast(text);
  }

  override async alarm(): Promise<void> {
    const silent = Date.now() - 90_000;
    for (const socket of this.ctx.getWebSockets()) {
      if ((socket.deserializeAttachment() as { seen: number }).seen < silent) socket.close(4_000);
    }
    if (this.ctx.getWebSockets().length === 0) return;
    this.#broadcast('{"type":"ping"}');
    await this.#setAlarm();
  }

  override webSocketClose(socket: WebSocket): void {
    socket.close();
  }

  #broadcast(text: string): void {
    for (const socket of this.ctx.getWebSockets()) if (socket.readyState === WebSocket.OPEN) socket.send(text);
  }

  /** Rooms whose name begins with "heartbeat" ping fast, so that pings are counted without a long wait. */
  async #setAlarm(path = String(this.ctx.id.name)): Promise<void> {
    await this.ctx.storage.setAlarm(Date.now() + (path.includes("/heartbeat") ? 12_000 : 30_000));
  }

  static ctxOf(room: Obvious): DurableObjectState {
    return room.ctx;
  }
}

meterHandlers(Obvious, (object) => Obvious.ctxOf(object as Obvious));

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (!pathname.startsWith("/rooms/")) return Response.json(readMeter());
    if (!(await verify(request.headers.get("authorization"), env.SECRET))) return new Response(null, { status: 401 });
    return env.ROOM.getByName(pathname).fetch(request);
  },
};
