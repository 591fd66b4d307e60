/**
 * The wire between a person and the room, with scissors: a WebSocket class for the client that can be cut, and that
 * gets no connection while it is offline. Everything else is the browser's own WebSocket.
 */
export class Line {
  offline = false;
  #sockets = new Set();

  constructor() {
    const line = this;
    /** What the client takes for the platform's WebSocket. */
    this.Socket = class extends CuttableSocket {
      constructor(url, protocols) {
        super(line.offline ? undefined : new WebSocket(url, protocols));
        line.#sockets.add(this);
        this.addEventListener("close", () => line.#sockets.delete(this));
      }
    };
  }

  /** As if the cable was pulled: nothing that is under way arrives. */
  cut(reason) {
    for (const socket of this.#sockets) socket.cut(reason);
  }
}

class CuttableSocket extends EventTarget {
  #socket;
  #isCut = false;

  constructor(socket) {
    super();
    this.#socket = socket;
    if (!socket) {
      queueMicrotask(() => this.cut("offline"));
      return;
    }
    for (const type of ["open", "message", "error", "close"]) {
      socket.addEventListener(type, (event) => {
        if (!this.#isCut) this.dispatchEvent(new event.constructor(type, event));
      });
    }
  }

  get readyState() {
    return this.#isCut ? WebSocket.CLOSED : (this.#socket?.readyState ?? WebSocket.CONNECTING);
  }

  send(data) {
    if (!this.#isCut) this.#socket?.send(data);
  }

  close(code, reason) {
    this.#socket?.close(code, reason);
  }

  cut(reason) {
    if (this.#isCut) return;
    this.#isCut = true;
    this.#socket?.close(4000);
    this.dispatchEvent(new CloseEvent("close", { code: 1006, reason }));
  }
}
