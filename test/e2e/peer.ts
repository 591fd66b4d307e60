/** A client over a real socket, with the `ws` package. */
import { WebSocket } from "ws";
import { decodeServer } from "../../src/protocol/codec.ts";
import { PING, PONG, SUBPROTOCOL, type ClientFrame, type ServerFrame } from "../../src/protocol/frames.ts";

const PATIENCE = 15_000;

export class Peer {
  readonly socket: WebSocket;
  readonly frames: ServerFrame[] = [];
  closed: { code: number; reason: string } | undefined;
  #wake: (() => void)[] = [];

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
      this.#notify();
    });
    this.socket.on("close", (code, reason) => {
      this.closed = { code, reason: String(reason) };
      this.#notify();
    });
    this.socket.on("error", () => this.#notify());
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
    const deadline = Date.now() + PATIENCE;
    while (!condition()) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`waited ${PATIENCE} ms for ${what}; closed: ${JSON.stringify(this.closed)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
