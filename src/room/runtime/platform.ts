/**
 * What a room needs of the place it runs in: Cloudflare's runtime, or a simulation of it. Types only, so that everything
 * but object.ts also runs in plain Node.
 */

/** A socket of the room: the server's end of a hibernatable WebSocket. */
export interface RoomSocket {
  /** As in the WebSocket interface: 1 is open. */
  readonly readyState: number;
  /** Bytes handed to the socket and not yet to the network; older runtimes do not tell. */
  readonly bufferedAmount?: number;
  send(text: string): void;
  close(code?: number, reason?: string): void;
  /** What the socket remembers while the room is out of memory: at most 16 KiB. */
  serializeAttachment(value: unknown): void;
  deserializeAttachment(): unknown;
}

/** The sockets of one object. */
export interface SocketHost {
  /** Opens a hibernatable socket. The client's end goes into the answer of the upgrade. */
  open(): { readonly server: RoomSocket; readonly client: WebSocket };
  /** Every socket that the runtime holds for this object, closing ones included. */
  all(): readonly RoomSocket[];
  /** When the peer last sent the text `ping`, in ms since the epoch; 0 for never. */
  answeredAt(socket: RoomSocket): number;
}

/** The storage of one object. */
export interface RoomStorage {
  readonly sql: SqlStorage;
  /** Runs `run` in a transaction that a throw undoes; may be nested. */
  transactionSync<T>(run: () => T): T;
  getAlarm(): Promise<number | null>;
  setAlarm(at: number): Promise<void>;
  deleteAlarm(): Promise<void>;
  /** Resolves when everything written so far is on the disk. */
  sync(): Promise<void>;
}

/** Where a room runs. */
export interface Platform {
  /** Name of the object; empty where the runtime does not tell. */
  readonly name: string;
  readonly storage: RoomStorage;
  readonly sockets: SocketHost;
  /** The clock, in ms since the epoch. */
  now(): number;
  /** A new id: unguessable, safe in a URL, at most 32 characters. */
  mintId(): string;
  /** Runs something after `ms`, unless it is called off by what this returns. */
  later(ms: number, run: () => void): () => void;
}
