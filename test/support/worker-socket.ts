/** The WebSocket class for clients that run inside workerd beside the Worker under test: a real socket, no port. */
import { exports } from "cloudflare:workers";
import type { Socket } from "../../src/client/connection/socket.ts";

type Listener = (event: { data?: unknown; code?: number; reason?: string }) => void;

/** Opens sockets to the Worker under test. */
export class WorkerSocket implements Socket {
  /** Every socket opened, so that a test can cut them. */
  static readonly all = new Set<WorkerSocket>();
  readyState = 0;
  readonly #listeners = new Map<string, Listener[]>();
  #socket: WebSocket | undefined;

  constructor(url: string, protocols: string[]) {
    WorkerSocket.all.add(this);
    void this.#open(url, protocols);
  }

  /** Asks for the socket. */
  protected knock(url: string, headers: Record<string, string>): Promise<Response> {
    return exports.default.fetch(url, { headers });
  }

  async #open(url: string, protocols: string[]): Promise<void> {
    const headers = { upgrade: "websocket", "sec-websocket-protocol": protocols.join(", ") };
    const response = await this.knock(url.replace(/^ws/, "http"), headers);
    const socket = response.webSocket;
    if (!socket || this.readyState > 0) {
      await response.body?.cancel();
      socket?.accept();
      socket?.close(1000);
      this.#end(1006, "");
      return;
    }
    this.#socket = socket;
    this.readyState = 1;
    socket.addEventListener("message", ({ data }) => this.#emit("message", { data }));
    socket.addEventListener("close", ({ code, reason }) => this.#end(code, reason));
    socket.accept();
    this.#emit("open", {});
  }

  send(data: string): void {
    this.#socket?.send(data);
  }

  close(code?: number, reason?: string): void {
    this.readyState = 2;
    this.#socket?.close(code, reason);
  }

  /** The network is gone: the client learns of it, whatever was on its way is lost. */
  cut(): void {
    this.#socket?.close(1000);
    this.#end(1006, "");
  }

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  #end(code: number, reason: string): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    WorkerSocket.all.delete(this);
    this.#emit("close", { code, reason });
    this.#listeners.clear();
  }

  #emit(type: string, event: { data?: unknown; code?: number; reason?: string }): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event);
  }
}
