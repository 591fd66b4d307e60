/**
 * The client: keeps a program in a browser, Node, Workers, Deno or Bun in a room whatever the network does. Puts a
 * connection and a session together. The published entry `edgerooms/client`.
 */
import { encode } from "../protocol/codec.ts";
import type { Json } from "../protocol/frames.ts";
import type { Data, Handed, Person, RoomTypes, Typed } from "../protocol/room-types.ts";
import { addressOf, type Base } from "./address.ts";
import { Connection } from "./connection/connection.ts";
import type { SocketClass } from "./connection/socket.ts";
import type { State } from "./connection/state.ts";
import { RoomError } from "./error.ts";
import type { RoomEvents, Streamed } from "./events.ts";
import { iterate, type Stream } from "./iterate.ts";
import type { ConnectOptions } from "./options.ts";
import { watchOutages } from "./outage.ts";
import type { Ack, PublishOptions } from "./session/outbox.ts";
import type { Patience } from "./session/patience.ts";
import { Session, type SignalFate } from "./session/session.ts";
import { memoryStore, type Saved } from "./storage.ts";

export type { Base } from "./address.ts";
export type { State } from "./connection/state.ts";
export { RoomError, type RoomErrorCode } from "./error.ts";
export type { RoomEvents, Streamed } from "./events.ts";
export type { Stream } from "./iterate.ts";
export type { ConnectOptions } from "./options.ts";
export type { Ack, PublishOptions } from "./session/outbox.ts";
export type { Abortable, Patience } from "./session/patience.ts";
export type { SignalFate } from "./session/session.ts";
export { memoryStore, tabStore, type Saved, type SessionStore } from "./storage.ts";
export type { Json, Member, Publication, ResetReason } from "../protocol/frames.ts";
export type { Data, RoomTypes } from "../protocol/room-types.ts";

/**
 * Joins a room and stays in it until `close()` or `leave()`.
 *
 * @throws TypeError when an option is missing or wrong, or when the platform has no WebSocket
 */
export function connect<T extends RoomTypes = RoomTypes>(url: Base, options: ConnectOptions): RoomClient<T> {
  const client = new RoomClient<T>(url, options);
  client.connect();
  return client;
}

function need(value: unknown, option: string): asserts value {
  if (!value) throw new TypeError(`${option} is missing, or of the wrong type`);
}

/** To whom a signal goes. */
export interface SignalOptions {
  /** User ids. Default: everyone. */
  to?: readonly string[] | undefined;
  /** Only those who are connected to the same object: the room, or the same relay of it. Default: wherever they are. */
  scope?: "near" | undefined;
}

/** A member's side of a room; made by {@link connect}. */
export class RoomClient<T extends RoomTypes = RoomTypes> {
  readonly #session: Session<Connection>;

  /** An idle client; `connect()` starts it. Takes and throws what {@link connect} does. */
  constructor(url: Base, options: ConnectOptions) {
    // Programs without types get here with anything.
    const { room, token, storage: store = memoryStore(), random = Math.random, outbox } = options ?? {};
    need(url, "url");
    need(room && typeof room === "string", "room");
    // A page that logs in by cookie has none. One that is there and undefined is a mistake.
    need(!("token" in options) || (token && /string|function/.test(typeof token)), "token");
    const Class = options.WebSocket ?? (globalThis as { WebSocket?: SocketClass }).WebSocket;
    need(Class, "WebSocket");
    const { count = 1_000, bytes = 8_000_000 } = outbox ?? {};
    const { pingInterval = 25_000, lostAfter = 3_000 } = options;
    need(pingInterval > 0, "pingInterval");
    const address = addressOf(url, room);
    const settings = { outbox: { count, bytes }, store, address, random, pingInterval, token: options };
    this.#session = new Session(settings, (session) => new Connection(Class, settings, session));
    watchOutages(this.#session.events, lostAfter);
  }

  /** What the client is doing. In listeners of `state` it may be ahead of the event. */
  get state(): State {
    return this.#session.transport.state;
  }

  /** This member's user id. `undefined` before the first welcome. */
  get me(): string | undefined {
    return this.#session.presence.me;
  }

  /** Resolves when the client is in the room, now or later. Rejects with a {@link RoomError} when it is closed first. */
  get ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const { state } = this;
        if (state.name === "open") resolve();
        else if (state.name === "closed") reject(new RoomError(state.code, state.reason, state.retryable));
        else return;
        stop();
      };
      const stop = this.on("state", look);
      look();
    });
  }

  /** The members who are here, by id. Empty in a room that shows no list. */
  get members(): readonly Person<T>[] {
    return this.#session.presence.list as readonly Person<T>[];
  }

  /**
   * How many members are here, in a room that lists them or tells their number; `undefined` in one that does neither, and
   * before the first welcome. The event `members` tells of changes.
   */
  get memberCount(): number | undefined {
    return this.#session.presence.count;
  }

  /** The session, and the place in the log up to which everything was handed over. */
  get position(): Saved | undefined {
    return this.#session.position.saved;
  }

  /** Publishes that have no ack yet. */
  get pending(): number {
    return this.#session.outbox.size;
  }

  /** Calls `listener` at every event. Returns a function that ends that. */
  on<K extends keyof RoomEvents<T>>(event: K, listener: (value: RoomEvents<T>[K]) => void): () => void {
    return this.#session.events.on(event, listener);
  }

  /**
   * Publications, until the client is closed: `for await (const item of room)`. It says nothing of resets: where those
   * count, take {@link stream}.
   */
  [Symbol.asyncIterator](): Stream<Typed<T>> {
    return iterate(this, ["publication"], (_, value) => value as Typed<T>);
  }

  /** These events in their order, until the client is closed: `for await (const { event, value } of room.stream("reset"))`. */
  stream<K extends keyof RoomEvents<T>>(...events: readonly K[]): Stream<Streamed<T, K>> {
    return iterate(this, events, (event, value) => ({ event, value }));
  }

  /** Connects, or tries again at once. Does nothing while there is a connection: {@link check} asks whether it lives. */
  connect(): void {
    this.#session.transport.connect();
  }

  /** Signals that were never sent: above the rate, out of date, or without a connection. */
  get droppedSignals(): number {
    return this.#session.signals.dropped;
  }

  /**
   * Asks for a sign of life. Resolves with `true` when one comes; with `false` when none comes within 3 s, and the client
   * reconnects, or when it is not in the room: then it tries again at once, unless the room asked it to wait.
   */
  check(): Promise<boolean> {
    return this.#session.transport.check();
  }

  /**
   * Publishes. The promise settles once, also across reconnects.
   *
   * @returns the publication's offset and time once it is durable; rejects with a {@link RoomError}
   */
  async publish(data: Handed<T, "publication">, options?: PublishOptions): Promise<Ack> {
    if (this.state.name === "closed") throw new RoomError("closed", "The client is closed.", false);
    return this.#session.publish(data as Json, options);
  }

  /**
   * Sends to the members who are here now. What the room does not take at once waits for up to a second; of more than
   * eight that wait the oldest are dropped. Without a connection it is dropped at once.
   *
   * @param options `to`: only these users; `scope` `near`: of a large room only the part that this member is connected to
   * @throws RoomError when it can never be sent
   */
  signal(data: Handed<T, "signal">, options: SignalOptions = {}): SignalFate {
    // JSON leaves out what is undefined.
    return this.#session.signal(data as Json, options as { to?: readonly string[]; scope?: "near" });
  }

  /**
   * Sets what the others see of this member. The client keeps the newest value, sends it as soon as the room takes it,
   * and sets it again in a new session.
   *
   * @throws RoomError when it can never be sent: then the value before it stays
   */
  setPresence(data: Handed<T, "presence">): void {
    this.#session.setPresence(data as Json);
  }

  /** Calls a method of the room. Never sent twice: when the connection is lost first, it is `outcome_unknown`. */
  async call(method: string, data: Data = null, options: Patience = {}): Promise<Json> {
    return this.#session.call(method, data, options);
  }

  /** Ends the session: the room tells the others at once, and nothing can be resumed. */
  leave(): void {
    const { transport, position } = this.#session;
    transport.send(encode({ type: "leave" }));
    position.forget();
    transport.close("left");
  }

  /** Closes the connection. The session stays open for the room's resume window. */
  close(): void {
    this.#session.transport.close("closed");
  }
}
