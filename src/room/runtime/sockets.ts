/**
 * The room's sockets: which belongs to which connection, what each remembers while the room is out of memory, how it is
 * fed and how it is told good-bye. Knows the runtime's WebSockets and none of the room's rules.
 */
import { codes, type CodeName } from "../../protocol/codes.ts";
import { closeQuietly } from "../../protocol/close.ts";
import type { AdmissionRefusal } from "../admission.ts";
import type { Carried } from "../telemetry/recorder.ts";
import { pointerOf, type Connection, type Pointer } from "../store/state.ts";

/** How long a client that was told good-bye may take to close by itself; after that we do. */
const BYE_GRACE = 2_000;

/** Dismissed sockets of one user that may stay open; a network that dies often leaves some, an attacker thousands. */
const MAX_DISMISSED = 16;
/** And of those with more than {@link UNREAD_BYTES} that nobody reads. */
const MAX_UNREAD = 4;
const UNREAD_BYTES = 262_144;
/** The platform takes 32,768 sockets per object. */
const MAX_SOCKETS = 32_700;
/** Bytes that all peers together may leave unread before each may leave less: half of what an object's memory is. */
const ROOM_BACKLOG_BYTES = 67_108_864;

const FULL = {
  room: { code: "room_full", retryAfter: 30_000 },
  user: {
    code: "rate_limited",
    message: "Too many earlier connections of this user have not ended yet.",
    retryAfter: 30_000,
  },
} as const;

/** What a socket remembers while the room is out of memory: one of them also what the room has counted. */
type Attachment = Pointer & {
  readonly bye?: { readonly code: number; readonly reason: string };
  readonly carried?: Carried;
};

/** The sockets of one room. */
export class Sockets {
  readonly #ctx: DurableObjectState;
  readonly #sockets = new Map<Connection, WebSocket>();
  readonly #connections = new Map<WebSocket, Connection>();
  /** The client's ends of sockets just accepted, until they are handed out. */
  readonly #clientEnds = new Map<Connection, WebSocket>();
  /** Sockets that were told good-bye and have not closed yet. */
  readonly #leaving = new Map<WebSocket, ReturnType<typeof setTimeout>>();
  /** Sockets that were dismissed and may still be open, with their user. */
  readonly #dismissed = new Map<WebSocket, string>();
  /** What a socket carried whose end wakes the room: the runtime has it no more when its handler runs. */
  #lastWords: Carried | undefined;
  /** Connections that leave more unread than the network holds by itself. */
  readonly #behind = new Set<Connection>();

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

  /** Bytes that the runtime holds for a connection; `undefined` when it does not tell. */
  unread(connection: Connection): number | undefined {
    const socket = this.#sockets.get(connection);
    return socket && bufferedBy(socket);
  }

  /** Whether the peer reads what it is sent; asks it for a sign of life (`probe`) where only that can tell. */
  reads(connection: Connection, now: number, probe: (connection: Connection) => string): boolean {
    if (connection.backlog.isLight) return true;
    const reading = () => {
      return { buffered: this.unread(connection), answeredAt: this.answeredAt(connection) };
    };
    const verdict = connection.backlog.judge(reading, now, ROOM_BACKLOG_BYTES / (this.#behind.size + 1));
    if (connection.backlog.isBehind) this.#behind.add(connection);
    else this.#behind.delete(connection);
    if (verdict === "probe") this.send(connection, probe(connection));
    return verdict !== "slow";
  }

  /** Sends, unless the socket is closing. */
  send(connection: Connection, text: string): void {
    connection.backlog.sent(text.length);
    try {
      this.#sockets.get(connection)?.send(text);
    } catch {
      // Closed this very moment. One socket must never stop the others; its own handler follows.
    }
  }

  /**
   * Writes down what sockets must know of their connections when the room wakes. One of them carries the books: one that
   * is written to anyhow, if there is any.
   */
  save(connections: Iterable<Connection>, head: number, books: { carry(): Carried }): void {
    let carrier: Connection | undefined;
    for (const connection of connections) {
      if (connection.dirty && carrier?.dirty) this.#remember(connection, head);
      else if (connection.dirty || !carrier) carrier = connection;
    }
    if (carrier) this.#remember(carrier, head, books.carry());
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
    // Eviction forgets only those that hold nothing: an object with unread bytes stays in memory.
    this.#dismissed.set(socket, connection.user);
  }

  /**
   * Whether there is no place for another socket of this user: dismissed ones count, because the runtime keeps them and
   * what they hold until TCP ends, and nothing can end that sooner. They count against their own user; against everyone
   * only where the platform's number ends.
   */
  full(user: string): AdmissionRefusal | undefined {
    let mine = 0;
    for (const whose of this.#dismissed.values()) if (whose === user) mine++;
    const total = this.#sockets.size + this.#dismissed.size;
    if (mine < MAX_UNREAD && total < MAX_SOCKETS) return undefined;
    // No handler tells of the end of one that we closed; the runtime just has it no more.
    const held = new Set(this.#ctx.getWebSockets());
    let open = 0;
    let unread = 0;
    for (const [socket, whose] of this.#dismissed) {
      if (!held.has(socket)) this.#dismissed.delete(socket);
      else if (whose === user) {
        open++;
        if ((bufferedBy(socket) ?? 0) > UNREAD_BYTES) unread++;
      }
    }
    if (unread >= MAX_UNREAD || open >= MAX_DISMISSED) return FULL.user;
    return held.size >= MAX_SOCKETS ? FULL.room : undefined;
  }

  /** A socket has closed. Returns what it pointed to: a room that wakes for this very close knows it no other way. */
  closed(socket: WebSocket): Pointer | undefined {
    // A timer would keep the object in memory.
    const timer = this.#leaving.get(socket);
    if (timer !== undefined) clearTimeout(timer);
    this.#leaving.delete(socket);
    this.#dismissed.delete(socket);
    const connection = this.#connections.get(socket);
    if (connection) this.#detach(socket, connection);
    const attachment = (socket.deserializeAttachment() as Attachment | null) ?? undefined;
    this.#lastWords = attachment?.carried;
    return attachment;
  }

  /**
   * The open sockets that the runtime kept, by what they point to; the others are closed.
   *
   * @param carried gets what any of them carries, those that are closing and the one that just closed included
   */
  survivors(carried: Carried[]): Map<Pointer, WebSocket> {
    if (this.#lastWords) carried.push(this.#lastWords);
    const found = new Map<Pointer, WebSocket>();
    for (const socket of this.#ctx.getWebSockets()) {
      const pointer = socket.deserializeAttachment() as Attachment | null;
      if (pointer?.carried) carried.push(pointer.carried);
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
    this.#behind.clear();
    for (const [pointer, socket] of survivors) {
      const connection = connectionOf(pointer);
      if (connection) this.#attach(connection, socket);
      else sendBack(socket);
    }
  }

  #remember(connection: Connection, head: number, carried?: Carried): void {
    connection.dirty = false;
    this.#sockets.get(connection)?.serializeAttachment({ ...pointerOf(connection, head), ...(carried && { carried }) });
  }

  #attach(connection: Connection, socket: WebSocket): void {
    this.#sockets.set(connection, socket);
    this.#connections.set(socket, connection);
  }

  #detach(socket: WebSocket, connection: Connection): void {
    this.#behind.delete(connection);
    this.#sockets.delete(connection);
    this.#connections.delete(socket);
  }
}

/** Bytes that the runtime holds for a socket and that are not on the network yet; older runtimes do not tell. */
function bufferedBy(socket: WebSocket): number | undefined {
  return (socket as { bufferedAmount?: number }).bufferedAmount;
}

/** The client must come back and be told what is the case. */
function sendBack(socket: WebSocket): void {
  closeQuietly(socket, codes.restarting.close, "restarting" satisfies CodeName);
}
