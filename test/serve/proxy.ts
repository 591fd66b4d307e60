/**
 * A network between clients and a server, with everything that networks do wrong and TCP does not hide: cuts, delay,
 * throttled links, and silence in both directions without a FIN. Bytes are never changed and never change places.
 */
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** Bytes that wait in one direction of a link before the sender is no longer read from. */
const WINDOW = 65_536;

/** One direction of a link: bytes go on after their delay, as fast as the throttle allows, unless stalled. */
class Pipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #link: Link;
  #waiting: { bytes: Buffer; due: number }[] = [];
  #held = 0;
  #ended = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(from: Socket, to: Socket, link: Link) {
    this.#from = from;
    this.#to = to;
    this.#link = link;
    from.on("data", (bytes: Buffer) => {
      this.#waiting.push({ bytes, due: Date.now() + link.delay });
      this.#held += bytes.length;
      if (this.#held >= WINDOW) from.pause();
      this.pump();
    });
    from.on("end", () => {
      this.#ended = true;
      this.pump();
    });
    to.on("drain", () => this.pump());
  }

  /** Passes on what may go now, and sets a timer for the rest. */
  pump(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = undefined;
    const { stalled, throttle } = this.#link;
    // A FIN is held back like everything else.
    if (stalled || this.#to.destroyed) return;
    const [next] = this.#waiting;
    if (!next) {
      if (this.#ended && !this.#to.writableEnded) this.#to.end();
      return;
    }
    if (this.#to.writableNeedDrain) return;
    const wait = next.due - Date.now();
    if (wait > 0) {
      this.#timer = setTimeout(() => this.pump(), wait);
      return;
    }
    // A tenth of a second's worth at a time.
    const share = throttle === undefined ? next.bytes.length : Math.max(1, Math.floor(throttle / 10));
    const bytes = next.bytes.subarray(0, share);
    if (bytes.length === next.bytes.length) this.#waiting.shift();
    else this.#waiting[0] = { bytes: next.bytes.subarray(share), due: next.due };
    this.#held -= bytes.length;
    this.#to.write(bytes);
    if (this.#held < WINDOW) this.#from.resume();
    this.#timer = setTimeout(() => this.pump(), throttle === undefined ? 0 : 100);
  }

  stop(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
  }
}

/** One TCP connection through the proxy. */
export class Link {
  /** Milliseconds that bytes take, each way. */
  delay = 0;
  /** Bytes per second that go through, each way; `undefined`: all there are. */
  throttle: number | undefined;
  readonly #sockets: readonly [Socket, Socket];
  readonly #pipes: readonly Pipe[];
  #stalled = false;

  constructor(client: Socket, server: Socket, gone: () => void) {
    this.#sockets = [client, server];
    this.#pipes = [new Pipe(client, server, this), new Pipe(server, client, this)];
    for (const socket of this.#sockets) {
      socket.setNoDelay(true);
      socket.on("error", () => this.#lost());
      socket.on("close", () => {
        this.#lost();
        if (this.#sockets.every(({ destroyed }) => destroyed)) gone();
      });
    }
  }

  get stalled(): boolean {
    return this.#stalled;
  }

  /** Nothing goes through either way, not even the news that the other end is gone; or everything goes on. */
  set stalled(stalled: boolean) {
    this.#stalled = stalled;
    if (!stalled && this.#sockets.some(({ destroyed }) => destroyed)) this.cut();
    else if (!stalled) for (const pipe of this.#pipes) pipe.pump();
  }

  /** Both ends lose the connection at once. */
  cut(): void {
    this.#stalled = false;
    for (const pipe of this.#pipes) pipe.stop();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** One end is gone: so is the other, unless the network keeps it from knowing. */
  #lost(): void {
    if (this.#stalled) return;
    const [client, server] = this.#sockets;
    // What is under way still arrives; half-closed sockets end through their pipes.
    if (client.destroyed && !server.destroyed) server.end();
    if (server.destroyed && !client.destroyed) client.end();
  }
}

/** Listens on loopback and passes every connection on to one port there. */
export class Proxy {
  readonly links = new Set<Link>();
  readonly #server: Server;

  /**
   * @param target the server's port, asked anew for every connection
   * @param onLink called with every link before its first byte
   */
  constructor(target: () => number, onLink: (link: Link) => void = () => undefined) {
    // Half-open: a FIN from one end must be able to wait for what goes the other way.
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      const server = connect({ port: target(), host: "127.0.0.1", allowHalfOpen: true });
      const link: Link = new Link(client, server, () => this.links.delete(link));
      this.links.add(link);
      onLink(link);
    });
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const link of this.links) link.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
