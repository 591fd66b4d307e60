/** A bare hibernating room: a message of one socket goes to all. The least that the platform can do. */
import { DurableObject } from "cloudflare:workers";
import { verify } from "./verify.ts";

interface Env {
  readonly ROOM: DurableObjectNamespace<Bare>;
  readonly SECRET: string;
}

let built = 0;

/** The room. */
export class Bare extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    built++;
  }

  override fetch(): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  override webSocketMessage(_socket: WebSocket, message: string | ArrayBuffer): void {
    for (const socket of this.ctx.getWebSockets()) if (socket.readyState === WebSocket.OPEN) socket.send(message);
  }

  override webSocketClose(socket: WebSocket): void {
    socket.close();
  }
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (!pathname.startsWith("/rooms/")) return Response.json({ built });
    if (!(await verify(request.headers.get("authorization"), env.SECRET))) return new Response(null, { status: 401 });
    return env.ROOM.getByName(pathname).fetch(request);
  },
};
