/** A raw client for tests: keeps every frame in order and lets a test wait for the next one of a kind. */
import { env, exports } from "cloudflare:workers";
import { SignJWT } from "jose";
import { decodeServer } from "../../src/protocol/codec.ts";
import { PING, SUBPROTOCOL, type ClientFrame, type ServerFrame } from "../../src/protocol/frames.ts";
import { Changes } from "./patience.ts";

type Frame<T extends ServerFrame["type"]> = Extract<ServerFrame, { type: T }>;

export interface ConnectOptions {
  user?: string;
  claims?: Record<string, unknown>;
  ttl?: string | number;
  token?: string;
  session?: string;
  epoch?: string;
  offset?: number;
  credit?: boolean;
  headers?: Record<string, string>;
}

/** A token signed with the secret of the Worker under test. */
export async function sign(user: string, claims: Record<string, unknown> = {}, ttl: string | number = "1h") {
  const issued = Math.floor(Date.now() / 1_000);
  return new SignJWT({ iat: issued, ...claims })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(user)
    .setExpirationTime(ttl)
    .sign(new TextEncoder().encode(env.AUTH_SECRET));
}

/** The answer to an upgrade, whatever it is. `path` is `kind/room`. */
export async function upgrade(path: string, options: ConnectOptions = {}): Promise<Response> {
  const { user = "ann", claims, ttl, session, epoch, offset, credit, headers } = options;
  const token = options.token ?? (await sign(user, claims, ttl));
  const url = new URL(`http://edge.test/rooms/${path}`);
  for (const [key, value] of Object.entries({ session, epoch, offset, credit: credit ? 1 : undefined })) {
    if (value !== undefined) url.searchParams.set(key, String(value));
  }
  return exports.default.fetch(url, {
    headers: { upgrade: "websocket", "sec-websocket-protocol": `${SUBPROTOCOL}, bearer.${token}`, ...headers },
  });
}

export class Client {
  /** Every frame since the connection opened. */
  readonly frames: ServerFrame[] = [];
  /** Messages as they came. */
  readonly messages: string[] = [];
  /** Set once the connection is closed. */
  closed: { code: number; reason: string } | undefined;
  /** Set to leave a `bye` unanswered. */
  deaf = false;
  /** Set to leave heartbeats unanswered. */
  silent = false;
  readonly socket: WebSocket;
  #read = 0;
  readonly #changes = new Changes();

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const text = String(data);
      this.messages.push(text);
      for (const frame of decodeServer(text) ?? []) {
        this.frames.push(frame);
        // As the protocol asks: the client closes first.
        if (frame.type === "bye" && !this.deaf) socket.close(1000);
        if (frame.type === "heartbeat" && !this.silent) socket.send(PING);
      }
      this.#changes.notify();
    });
    socket.addEventListener("close", ({ code, reason }) => {
      this.closed = { code, reason };
      this.#changes.notify();
    });
    socket.accept();
  }

  /** Opens a connection and throws when it is refused over HTTP. */
  static async connect(path: string, options?: ConnectOptions): Promise<Client> {
    const response = await upgrade(path, options);
    if (!response.webSocket) throw new Error(`refused: ${response.status} ${await response.text()}`);
    return new Client(response.webSocket);
  }

  /** Connects and reads the welcome. */
  static async join(path: string, options?: ConnectOptions): Promise<{ client: Client; welcome: Frame<"welcome"> }> {
    const client = await Client.connect(path, options);
    return { client, welcome: await client.next("welcome") };
  }

  send(...frames: ClientFrame[]): void {
    this.socket.send(JSON.stringify(frames.length === 1 ? frames[0] : frames));
  }

  /** The next unread frame of a type; what comes before it counts as read. */
  async next<T extends ServerFrame["type"]>(type: T): Promise<Frame<T>> {
    let at = -1;
    await this.until(() => {
      at = this.frames.findIndex((frame, i) => i >= this.#read && frame.type === type);
      // Nothing comes any more: there is no sense in waiting.
      return at >= 0 || this.closed !== undefined;
    }, type);
    if (at < 0) throw new Error(`closed without ${type}: ${this.#told()}`);
    this.#read = at + 1;
    return this.frames[at] as Frame<T>;
  }

  /** Publishes and waits for the ack. */
  async publish(ref: number, data: ClientFrame & { type: "publish" } extends { data: infer D } ? D : never) {
    this.send({ type: "publish", ref, data });
    let ack: Frame<"ack">;
    do ack = await this.next("ack");
    while (ack.ref !== ref);
    return ack;
  }

  /** Waits until something holds; looks again at every message and at the close. */
  async until(condition: () => boolean, what = "the condition"): Promise<void> {
    await this.#changes.until(condition, () => {
      return `${what}: ${this.#told()}`;
    });
  }

  #told(): string {
    const frames = this.frames.map((frame) => frame.type).join(" ");
    return `closed ${JSON.stringify(this.closed)}, frames ${frames}`;
  }

  /** Everything published that this connection has seen, in the order it came. */
  get items() {
    return this.frames.flatMap((frame) => (frame.type === "pub" ? frame.items : []));
  }

  of<T extends ServerFrame["type"]>(type: T): Frame<T>[] {
    return this.frames.filter((frame): frame is Frame<T> => frame.type === type);
  }

  /** Closes the connection and waits for the answer. */
  async close(code = 1000, reason = ""): Promise<void> {
    this.socket.close(code, reason);
    await this.until(() => this.closed !== undefined, "the answer to our close");
  }
}
