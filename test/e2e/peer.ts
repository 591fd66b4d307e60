/** A client over a real socket, with the `ws` package. */
import { WebSocket } from "ws";
import { decodeServer } from "../../src/protocol/codec.ts";
import { PING, PONG, SUBPROTOCOL, type ClientFrame, type ServerFrame } from "../../src/protocol/frames.ts";
import { Changes } from "../support/patience.ts";

export class Peer {
  readonly socket: WebSocket;
  readonly frames: ServerFrame[] = [];
  closed: { code: number; reason: string } | undefined;
  readonly #changes = new Changes();

  constructor(url: string, room: string, token: string, query: Record<string, string | number> = {}) {
    const address = new URL(`/rooms/${room}`, url.replace("http", "ws"));
    for (const [key, value] of Object.entries(query)) address.searchParams.set(key, String(value));
    this.socket = new WebSocket(address.href, [SUBPROTOCOL, `bearer.${token}`]);
    this.socket.on("message", (data) => {
      const text = (data as Buffer).toString();
      for (const frame of text === PONG ? [] : (decodeServer(text) ?? [])) {
        this.frames.push(frame);
        if (frame.type === "heartbeat") this.socket.send(PING);
      }
      this.#changes.notify();
    });
    this.socket.on("close", (code, reason) => {
      this.closed = { code, reason: String(reason) };
      this.#changes.notify();
    });
    this.socket.on("error", () => this.#changes.notify());
  }

  get items() {
    return this.frames.flatMap((frame) => (frame.type === "pub" ? frame.items : []));
  }

  send(...frames: ClientFrame[]): void {
    this.socket.send(JSON.stringify(frames.length === 1 ? frames[0] : frames));
  }

  async next<T extends ServerFrame["type"]>(type: T): Promise<Extract<ServerFrame, { type: T }>> {
    const found = () => this.frames.find((frame): frame is Extract<ServerFrame, { type: T }> => frame.type === type);
    await this.until(() => found() !== undefined, type);
    return found() as Extract<ServerFrame, { type: T }>;
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    await this.#changes.until(condition, () => `${what}; closed: ${JSON.stringify(this.closed)}`);
  }
}
