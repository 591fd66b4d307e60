/** The bare hibernating room with one INSERT per message. A client that resumes gets the rows that it has missed. */
import { DurableObject } from "cloudflare:workers";
import { verify } from "./verify.ts";

interface Env {
  readonly ROOM: DurableObjectNamespace<Durable>;
  readonly SECRET: string;
}

let built = 0;

/** The room. */
export class Durable extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    built++;
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, data TEXT NOT NULL)");
  }

  override fetch(request: Request): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    const after = new URL(request.url).searchParams.get("after");
    if (after !== null) {
      const rows = this.ctx.storage.sql.exec<{ data: string }>("SELECT data FROM messages WHERE id > ?", Number(after));
      for (const { data } of rows) server.send(data);
    }
    return new Response(null, { status: 101, webSocket: client });
  }

  override webSocketMessage(_socket: WebSocket, message: string | ArrayBuffer): void {
    this.ctx.storage.sql.exec("INSERT INTO messages (data) VALUES (?)", message);
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
