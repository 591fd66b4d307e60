/**
 * The room's sockets: which belongs to which connection, what each remembers while the room is out of memory, how it is
 * fed and how it is told good-bye. Knows the runtime's WebSockets and none of the room's rules.
 */
import { closeQuietly } from "../../protocol/close.ts";
import { codes, type CodeName } from "../../protocol/codes.ts";
import type { Refusal } from "../../protocol/refusal.ts";
import type { Connection, Pointer } from "../rules/connection.ts";
import { NO_PLACE_RETRY_MS } from "../rules/deadlines.ts";
import type { Fed } from "../store/mirror.ts";
import type { Snapshot } from "../telemetry/recorder.ts";
import { Dismissed, type Goodbye } from "./dismissed.ts";
import type { Platform, RoomSocket } from "./platform.ts";

/** The platform takes 32,768 sockets per object. */
const MAX_SOCKETS = 32_700;
/** Bytes that all peers together may leave unread before each may leave less: half of what an object's memory is. */
const ROOM_BACKLOG_BYTES = 67_108_864;

/** What one socket carries for the whole room through hibernation. */
export interface RoomSnapshot {
  readonly recorder: Snapshot;
  /** When the last heartbeat was sent, in ms since the epoch. */
  readonly heartbeatAt?: number;
  /** In a relay: up to where its members have been told. */
  readonly fed?: Fed;
}

/** What a socket remembers while the room is out of memory. */
type Attachment = Pointer & { readonly bye?: Goodbye; readonly carried?: RoomSnapshot };

/** The sockets of one room. */
export class Sockets {
  readonly #platform: Platform;
  readonly #dismissed: Dismissed;
  readonly #sockets = new Map<Connection, RoomSocket>();
  readonly #connections = new Map<RoomSocket, Connection>();
  /** The client's ends of sockets just accepted, until they are handed out. */
  readonly #clientEnds = new Map<Connection, WebSocket>();
  /** Connections that leave more unread than the network holds by itself. */
  readonly #behind = new Set<Connection>();
  /** The snapshot of the socket that closed last: its end may have woken the room, and then nothing else has it any more. */
  #closedSnapshot: RoomSnapshot | undefined;
  /** The connection whose socket carries what is the whole room's. */
  #carrier: Connection | undefined;

  constructor(platform: Platform) {
    this.#platform = platform;
    this.#dismissed = new Dismissed(platform);
  }

  /** The connection that a socket is, unless it was told good-bye. */
  connectionOf(socket: RoomSocket): Connection | undefined {
    return this.#connections.get(socket);
  }

  /** Opens a socket for a connection. */
  accept(connection: Connection): void {
    const { client, server } = this.#platform.sockets.open();
    server.serializeAttachment(connection.pointer);
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
    return socket ? this.#platform.sockets.answeredAt(socket) : 0;
  }

  /** Bytes that the runtime holds for a connection; `undefined` when it does not tell. */
  unread(connection: Connection): number | undefined {
    return this.#sockets.get(connection)?.bufferedAmount;
  }

  /** Whether the peer reads what it is sent; `ask` is for a sign of life, where only that can tell. */
  reads(connection: Connection, now: number, ask: (connection: Connection) => string): boolean {
    const { backlog } = connection;
    if (backlog.isLight) return true;
    const reading = () => ({ buffered: this.unread(connection), answeredAt: this.answeredAt(connection) });
    const verdict = backlog.judge(reading, now, ROOM_BACKLOG_BYTES / (this.#behind.size + 1));
    if (backlog.isBehind) this.#behind.add(connection);
    else this.#behind.delete(connection);
    if (verdict === "ask") this.send(connection, ask(connection));
    return verdict !== "slow";
  }

  /** Connections that were behind when they were judged last, and are sent no signals until they are judged again. */
  get behind(): readonly Connection[] {
    return [...this.#behind];
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
   * Writes down what sockets must know of their connections when the room wakes. One of them, always the same while it
   * lasts, carries what is the whole room's.
   */
  save(changed: Set<Connection>, connections: Iterable<Connection>, snapshot: () => RoomSnapshot): void {
    if (!this.#carrier || !this.#sockets.has(this.#carrier)) [this.#carrier] = [...firstOf(changed, connections)];
    for (const connection of changed) if (connection !== this.#carrier) this.#remember(connection);
    changed.clear();
    if (this.#carrier) this.#remember(this.#carrier, snapshot());
  }

  /** Whether this socket carries what is the whole room's. */
  isCarrier(connection: Connection): boolean {
    return connection === this.#carrier;
  }

  /** Writes down what one socket must know of its connection, apart from a tick. Not for the carrier. */
  remember(connection: Connection, changed: Set<Connection>): void {
    if (changed.delete(connection)) this.#remember(connection);
  }

  /** The client was told why: it closes, so that TCP ends at once, or we do after a while. */
  dismiss(connection: Connection, reason: CodeName): void {
    const socket = this.#sockets.get(connection);
    if (!socket) return;
    this.#detach(socket, connection);
    const bye = { code: codes[reason].close ?? codes.internal.close, reason, user: connection.user };
    socket.serializeAttachment({ ...connection.pointer, bye } satisfies Attachment);
    this.#dismissed.add(socket, bye);
  }

  /** Closes a socket whose connection the room cannot find at the moment, because its state cannot be built. */
  hangUp(session: string, generation: number, reason: CodeName): void {
    for (const socket of this.#platform.sockets.all()) {
      const pointer = socket.deserializeAttachment() as Attachment | null;
      if (pointer?.session !== session || pointer.generation !== generation) continue;
      closeQuietly(socket, codes[reason].close ?? codes.internal.close, reason);
    }
  }

  /** Closes every socket: their clients come back and are told what is the case. */
  sendAllBack(): void {
    for (const socket of this.#sockets.values()) sendBack(socket);
  }

  /**
   * Whether there is no place for another socket of this user: dismissed ones count, because the runtime keeps them and
   * what they hold until TCP ends, and nothing can end that sooner. They count against their own user; against everyone
   * only where the platform's number ends.
   *
   * @param perUser how many connections a user may have: as many may be ending at once
   */
  full(user: string, perUser: number): Refusal | undefined {
    if (this.#dismissed.isFull(user, perUser)) {
      const message = "Too many earlier connections of this user have not ended yet.";
      return { code: "rate_limited", message, retryAfter: NO_PLACE_RETRY_MS };
    }
    if (this.#sockets.size + this.#dismissed.size < MAX_SOCKETS) return undefined;
    if (this.#platform.sockets.all().length < MAX_SOCKETS) return undefined;
    return { code: "room_full", retryAfter: NO_PLACE_RETRY_MS };
  }

  /** A socket has closed. Returns what it pointed to: a room that wakes for this very close knows it no other way. */
  closed(socket: RoomSocket): Pointer | undefined {
    this.#dismissed.delete(socket);
    const connection = this.#connections.get(socket);
    if (connection) this.#detach(socket, connection);
    const attachment = (socket.deserializeAttachment() as Attachment | null) ?? undefined;
    this.#closedSnapshot = attachment?.carried;
    return attachment;
  }

  /**
   * The open sockets that the runtime kept, by what they point to; the others are closed, or closing. Also what the newest
   * carrier carried, the one that just closed included.
   */
  survivors(): { readonly found: Map<Pointer, RoomSocket>; readonly snapshot: RoomSnapshot | undefined } {
    const found = new Map<Pointer, RoomSocket>();
    let newest = this.#closedSnapshot;
    for (const socket of this.#platform.sockets.all()) {
      const attachment = socket.deserializeAttachment() as Attachment | null;
      const { carried, bye, ...pointer } = attachment ?? ({} as Partial<Attachment>);
      if (carried && !(newest && newest.recorder.nth > carried.recorder.nth)) newest = carried;
      if (bye) this.#dismissed.recall(socket, bye);
      else if (!attachment) sendBack(socket);
      // An attachment is serialized again by its connection: what it carries counts once.
      else if (socket.readyState === OPEN) found.set(pointer as Pointer, socket);
    }
    return { found, snapshot: newest };
  }

  /** Survivors are the sockets of these connections from now on; `undefined` for a session that storage lost. */
  adopt(survivors: ReadonlyMap<Pointer, RoomSocket>, connectionOf: (pointer: Pointer) => Connection | undefined): void {
    this.#sockets.clear();
    this.#connections.clear();
    this.#behind.clear();
    this.#carrier = undefined;
    for (const [pointer, socket] of survivors) {
      const connection = connectionOf(pointer);
      if (!connection) {
        sendBack(socket);
        continue;
      }
      this.#attach(connection, socket);
      if ((socket.deserializeAttachment() as Attachment | null)?.carried) this.#carrier = connection;
    }
  }

  #remember(connection: Connection, snapshot?: RoomSnapshot): void {
    this.#sockets
      .get(connection)
      ?.serializeAttachment({ ...connection.pointer, ...(snapshot && { carried: snapshot }) });
  }

  #attach(connection: Connection, socket: RoomSocket): void {
    this.#sockets.set(connection, socket);
    this.#connections.set(socket, connection);
  }

  #detach(socket: RoomSocket, connection: Connection): void {
    this.#behind.delete(connection);
    this.#sockets.delete(connection);
    this.#connections.delete(socket);
  }
}

/** Ready state of an open WebSocket. */
const OPEN = 1;

function* firstOf(changed: Iterable<Connection>, connections: Iterable<Connection>): Generator<Connection> {
  for (const connection of changed) return yield connection;
  for (const connection of connections) return yield connection;
}

/** The client must come back and be told what is the case. */
function sendBack(socket: RoomSocket): void {
  closeQuietly(socket, codes.restarting.close, "restarting" satisfies CodeName);
}
