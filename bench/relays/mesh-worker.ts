/**
 * Two obvious ways to have more sockets than one object holds, with a meter. A mesh: every object takes clients and hands what
 * they say to all others, in no order. And the same with a row for each publication in every object. `/rooms/mesh-4-x` is a
 * mesh of four. Without heartbeats, resume or presence.
 */
import { DurableObject } from "cloudflare:workers";
import { meterCalls, meterHandlers, meterStorage, readMeter } from "../cost/meter.ts";
import { verify } from "../rivals/verify.ts";

interface Env {
  readonly NODE: DurableObjectNamespace<Node>;
  readonly SECRET: string;
}

/** One object of several. Its name is `path#number`. */
export class Node extends DurableObject<Env> {
  readonly #stores: boolean;

  constructor(ctx: DurableObjectState, env: Env) {
    meterStorage(ctx);
    super(ctx, meterCalls(ctx, env, ["NODE"]));
    this.#stores = pathOf(this.ctx.id.name ?? "").way === "stored";
    if (this.#stores) {
      ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, at INTEGER, data TEXT)");
    }
  }

  override fetch(): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  override async webSocketMessage(_from: WebSocket, text: string): Promise<void> {
    const [path = "", own] = (this.ctx.id.name ?? "").split("#");
    this.#broadcast(text);
    const others = Array.from({ length: pathOf(path).count }, (_, i) => i).filter((i) => String(i) !== own);
    await Promise.all(others.map((i) => this.env.NODE.getByName(`${path}#${i}`).deliver(text)));
  }

  override webSocketClose(socket: WebSocket): void {
    socket.close();
  }

  /** Another object has a publication. */
  async deliver(text: string): Promise<void> {
    this.#broadcast(text);
  }

  #broadcast(text: string): void {
    if (this.#stores) this.ctx.storage.sql.exec("INSERT INTO messages (at, data) VALUES (?, ?)", Date.now(), text);
    for (const socket of this.ctx.getWebSockets()) if (socket.readyState === WebSocket.OPEN) socket.send(text);
  }

  static ctxOf(node: Node): DurableObjectState {
    return node.ctx;
  }
}

meterHandlers(Node, (object) => Node.ctxOf(object as Node));

function pathOf(path: string): { readonly way: string; readonly count: number } {
  const [, way = "", count = ""] = /^\/rooms\/([a-z]+)-(\d+)-/.exec(path) ?? [];
  return { way, count: Number(count) };
}

let next = 0;

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (!pathname.startsWith("/rooms/")) return Response.json(readMeter());
    if (!(await verify(request.headers.get("authorization"), env.SECRET))) return new Response(null, { status: 401 });
    // In turns: every object gets as many.
    return env.NODE.getByName(`${pathname}#${next++ % pathOf(pathname).count}`).fetch(request);
  },
};
