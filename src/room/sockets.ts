/**
 * The room's sockets: which belongs to which connection, what each remembers while the room is out of memory, how it is
 * fed and how it is told good-bye. Knows the runtime's WebSockets and none of the room's rules.
 */
import { codes, type CodeName } from "../protocol/codes.ts";
import { closeQuietly } from "./close.ts";
import { pointerOf, type Connection, type Pointer } from "./state.ts";

/** How long a client that was told good-bye may take to close by itself; after that we do. */
const BYE_GRACE = 2_000;

/** What a socket remembers while the room is out of memory. */
type Attachment = Pointer & { readonly bye?: { readonly code: number; readonly reason: string } };

/** The sockets of one room. */
export class Sockets {
  readonly #ctx: DurableObjectState;
  readonly #sockets = new Map<Connection, WebSocket>();
  readonly #connections = new Map<WebSocket, Connection>();
  /** The client's ends of sockets just accepted, until they are handed out. */
  readonly #clientEnds = new Map<Connection, WebSocket>();
  /** Sockets that were told good-bye and have not closed yet. */
  readonly #leaving = new Map<WebSocket, ReturnType<typeof setTimeout>>();

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
  }

  /** The connection that a socket is, unless it was told good-bye. */
  connectionOf(socket: WebSocket): Connection | undefined {
    return this.#connections.get(socket);
  }

  /** Opens a socket for a connection. */
  accept(connection: Connection): void {
    const { 0: client, 1: server } = new WebSocketPair();
    this.#ctx.acceptWebSocket(server);
    server.serializeAttachment(pointerOf(connection, connection.fed));
    this.#attach(connection, server);
    this.#clientEnds.set(connection, client);
  }

  /** The client's end of a socket just accepted; once. */
  takeClientEnd(connection: Connection): WebSocket | undefined {
    const client = this.#clientEnds.get(connection);
    this.#clientEnds.delete(connection);
    return client;
  }

  /** When a connection last answered a heartbeat, in ms since the epoch; 0 for never. */
  answeredAt(connection: Connection): number {
    const socket = this.#sockets.get(connection);
    return (socket && this.#ctx.getWebSocketAutoResponseTimestamp(socket)?.getTime()) ?? 0;
  }

  /** Whether the peer reads what it is sent; asks it for a sign of life (`probe`) where only that can tell. */
  reads(connection: Connection, now: number, probe: () => string): boolean {
    const socket = this.#sockets.get(connection);
    if (!socket) return true;
    // Newer runtimes tell what a socket holds; the types always do.
    const { bufferedAmount: buffered } = socket as { bufferedAmount?: number };
    const reading = () => ({ buffered, answeredAt: this.answeredAt(connection) });
    const verdict = connection.backlog.judge(reading, now);
    if (verdict === "probe") this.send(connection, probe());
    return verdict !== "slow";
  }

  /** Sends, unless the socket is closing. */
  send(connection: Connection, text: string): void {
    const socket = this.#sockets.get(connection);
    if (socket?.readyState !== WebSocket.OPEN) return;
    connection.backlog.sent(text.length);
    try {
      socket.send(text);
    } catch {
      // Closed this very moment. One socket must never stop the others; its own handler follows.
    }
  }

  /** Writes down what the socket must know of its connection when the room wakes. */
  remember(connection: Connection, head: number): void {
    this.#sockets.get(connection)?.serializeAttachment(pointerOf(connection, head));
  }

  /** The client was told why: it closes, so that TCP ends at once, or we do after {@link BYE_GRACE}. */
  dismiss(connection: Connection, name: CodeName): void {
    const socket = this.#sockets.get(connection);
    if (!socket) return;
    this.#detach(socket, connection);
    const bye = { code: codes[name].close ?? codes.internal.close, reason: name };
    socket.serializeAttachment({ ...pointerOf(connection, 0), bye } satisfies Attachment);
    const close = () => {
      this.#leaving.delete(socket);
      closeQuietly(socket, bye.code, bye.reason);
    };
    this.#leaving.set(socket, setTimeout(close, BYE_GRACE));
  }

  /** A socket has closed. Returns what it pointed to: a room that wakes for this very close knows it no other way. */
  closed(socket: WebSocket): Pointer | undefined {
    // A timer would keep the object in memory.
    const timer = this.#leaving.get(socket);
    if (timer !== undefined) clearTimeout(timer);
    this.#leaving.delete(socket);
    const connection = this.#connections.get(socket);
    if (connection) this.#detach(socket, connection);
    return (socket.deserializeAttachment() as Attachment | null) ?? undefined;
  }

  /** The open sockets that the runtime kept, by what they point to; the others are closed. */
  survivors(): Map<Pointer, WebSocket> {
    const found = new Map<Pointer, WebSocket>();
    for (const socket of this.#ctx.getWebSockets()) {
      const pointer = socket.deserializeAttachment() as Attachment | null;
      if (pointer?.bye) closeQuietly(socket, pointer.bye.code, pointer.bye.reason);
      else if (!pointer) sendBack(socket);
      else if (socket.readyState === WebSocket.OPEN) found.set(pointer, socket);
    }
    return found;
  }

  /** Survivors are the sockets of these connections from now on; `undefined` for a session that storage lost. */
  adopt(survivors: ReadonlyMap<Pointer, WebSocket>, connectionOf: (pointer: Pointer) => Connection | undefined): void {
    this.#sockets.clear();
    this.#connections.clear();
    for (const [pointer, socket] of survivors) {
      const connection = connectionOf(pointer);
      if (connection) this.#attach(connection, socket);
      else sendBack(socket);
    }
  }

  #attach(connection: Connection, socket: WebSocket): void {
    this.#sockets.set(connection, socket);
    this.#connections.set(socket, connection);
  }

  #detach(socket: WebSocket, connection: Connection): void {
    this.#sockets.delete(connection);
    this.#connections.delete(socket);
  }
}

/** The client must come back and be told what is the case. */
function sendBack(socket: WebSocket): void {
  closeQuietly(socket, codes.restarting.close, "restarting" satisfies CodeName);
}
