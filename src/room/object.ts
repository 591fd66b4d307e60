/**
 * The Durable Object: the only file of a room that touches sockets, the alarm and the clock. It turns what the runtime
 * delivers into events, runs them in ticks (one transaction each), and performs the effects. It decides nothing.
 */
import { DurableObject } from "cloudflare:workers";
import { decode, encode } from "../protocol/codec.ts";
import { codes, texts, type CodeName } from "../protocol/codes.ts";
import { PING, PONG, type Json, type Member } from "../protocol/frames.ts";
import { answerRefused, openUpgrade, type Credentials } from "./admission.ts";
import { closeQuietly } from "./close.ts";
import { defineRoom, toMs, type Duration, type RoomDefinition } from "./definition.ts";
import { encodeFailure, failure } from "./engine.ts";
import type { Command, Effect, Refreshed, RoomEvent } from "./events.ts";
import { compose } from "./fanout.ts";
import { mintId } from "./ids.ts";
import { Inbox, type Ran, type Waiting } from "./inbox.ts";
import { migrate } from "./schema.ts";
import { applyTick, type Tick } from "./tick.ts";
import { pointerOf, RoomState, type Connection, type Pointer } from "./state.ts";

/** How long a client that was told good-bye may take to close by itself; after that we do. */
const BYE_GRACE = 2_000;
/** The platform takes no alarm after the year 2189. */
const LATEST_ALARM = 6_900_000_000_000;
/** When to try again after an alarm that failed as a whole. */
const ALARM_RETRY = 30_000;

const relay = defineRoom({});

/**
 * A {@link Member} as it crosses RPC, whose types cannot carry the endless recursion of {@link Json}.
 * `data` is JSON all the same.
 */
export type Present = Omit<Member, "data"> & { readonly data?: object | string | number | boolean | null };

/** What a socket remembers while the room is out of memory. */
type Attachment = Pointer & { readonly bye?: { readonly code: number; readonly reason: string } };

/**
 * A room. Bind a subclass in wrangler.toml as a SQLite-backed Durable Object and name the binding in `createApp`.
 * Without a `definition` of its own it relays publications, signals and presence.
 */
export abstract class Room<Env = unknown> extends DurableObject<Env> {
  readonly definition: RoomDefinition = relay;
  readonly #inbox = new Inbox(
    (batch) => this.#reconcile() ?? this.#run(batch),
    () => this.now(),
  );
  readonly #sockets = new Map<Connection, WebSocket>();
  readonly #connections = new Map<WebSocket, Connection>();
  /** The client's ends of sockets just accepted, until `fetch` hands them out. */
  readonly #clientEnds = new Map<Connection, WebSocket>();
  /** Sockets that were told good-bye and have not closed yet. */
  readonly #leaving = new Map<WebSocket, ReturnType<typeof setTimeout>>();
  #state: RoomState | undefined;
  #armed: number | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    migrate(ctx.storage, mintId());
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
    void ctx.blockConcurrencyWhile(async () => {
      this.#armed = (await ctx.storage.getAlarm()) ?? undefined;
    });
  }

  /** Publishes in the room's own name. Rejects when the data is larger than 1 MiB. */
  async publish(data: Json, options: { to?: readonly string[] } = {}): Promise<{ offset: number; at: number }> {
    return this.#ask({ type: "publish", data, ...options });
  }

  /** Sends to whoever is connected now; never stored. */
  async signal(data: Json, options: { to?: readonly string[] } = {}): Promise<void> {
    await this.#ask({ type: "signal", data, ...options });
  }

  /** Who is here, by id. */
  async members(): Promise<Present[]> {
    return this.#ask({ type: "members" });
  }

  /** Ends every session of a user. The same token may join again: to prevent that, {@link Room.revoke}. */
  async kick(user: string): Promise<{ sessions: number }> {
    return this.#ask({ type: "kick", user });
  }

  /** Ends every session of a user and refuses tokens issued before now. */
  async revoke(user: string): Promise<{ sessions: number }> {
    return this.#ask({ type: "revoke", user, before: this.now() });
  }

  /** Takes no new connections, tells everyone to go, and closes who is left after `within` (default "30s"). */
  async drain(within: Duration = "30s"): Promise<{ until: number; connections: number }> {
    return this.#ask({ type: "drain", within: toMs(within, "drain") });
  }

  /** A session's next token, verified by the caller. The connection lives on with what this token allows. */
  async refresh(session: string, credentials: Credentials): Promise<Refreshed> {
    const result = await this.#inbox.submit({ type: "command", command: { type: "refresh", session, credentials } });
    return result.ok ? { ok: true, expires: credentials.expires } : result;
  }

  /** The clock, in ms since the epoch. */
  protected now(): number {
    return Date.now();
  }

  /** Where errors of hooks and of the room itself go. Never holds a stack, a token or what a client sent. */
  protected report(where: string, error: unknown): void {
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const { kind, name } = this.#state?.name ?? { kind: "", name: "" };
    console.error(JSON.stringify({ level: "error", where, kind, room: name, message }));
  }

  /** Opens a connection for our own Worker; anyone else is refused. */
  override async fetch(request: Request): Promise<Response> {
    const admission = openUpgrade(request);
    if (!admission) return answerRefused({ code: "forbidden" });
    const result = await this.#inbox.submit({ type: "connect", admission, id: mintId() });
    if (!result.ok) return answerRefused(result);
    const client = this.#clientEnds.get(result.value as Connection);
    this.#clientEnds.delete(result.value as Connection);
    return client ? new Response(null, { status: 101, webSocket: client }) : answerRefused({ code: "internal" });
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    try {
      this.#load();
    } catch (error) {
      // Storage that cannot be read: the client comes back later, when it perhaps can.
      this.report("load", error);
      closeQuietly(socket, codes.internal.close, "internal" satisfies CodeName);
      return;
    }
    const connection = this.#connections.get(socket);
    if (!connection) return;
    const { session, generation } = connection;
    const frames = decode(message, this.definition.maxMessage);
    // Waiting for the tick keeps the event open: an object with frames in its inbox must not be evicted.
    await this.#inbox.submitAll(frames.map((frame) => ({ type: "frame", session, generation, frame })));
  }

  override async webSocketClose(socket: WebSocket, code: number, reason: string): Promise<void> {
    // Without an answer the peer's closing handshake never ends.
    closeQuietly(socket, code, reason);
    await this.#gone(socket);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    closeQuietly(socket, codes.internal.close, "");
    await this.#gone(socket);
  }

  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    // Throwing would be retried six times and then never again: whatever goes wrong, there is a next alarm.
    let rang = false;
    try {
      // A state that is built now must know for when the alarm was set, not when it rang: who answered the beat before
      // within that lateness is not silent.
      this.#armed = info?.scheduledTime ?? this.#armed;
      this.#load();
      this.#armed = undefined;
      const answeredAt = (connection: Connection) => this.#answeredAt(this.#sockets.get(connection));
      rang = (await this.#inbox.submit({ type: "alarm", answeredAt })).ok;
    } catch (error) {
      this.report("alarm", error);
    }
    this.#armed = rang ? this.#armed : undefined;
    if (!rang) this.#arm(this.now() + ALARM_RETRY);
  }

  async #ask<T>(command: Command): Promise<T> {
    const result = await this.#inbox.submit({ type: "command", command });
    if (result.ok) return result.value as T;
    throw new Error(result.message ?? texts[result.code]);
  }

  /** One tick: a transaction, then what it asks for, then the answers to whoever waits. */
  #run(batch: readonly Waiting[]): Ran {
    const tick: Tick = { done: 0, effects: [], alarm: this.#armed };
    let state: RoomState;
    try {
      state = this.#load();
      tick.alarm = this.#armed;
      this.ctx.storage.transactionSync(() => applyTick(state, batch, this.now(), tick));
    } catch (error) {
      return { done: tick.done, sockets: this.#failed(batch.slice(0, Math.max(1, tick.done)), error) };
    }
    this.#arm(tick.alarm);
    let sockets = 0;
    try {
      sockets = this.#perform(state, tick.effects);
    } catch (error) {
      // The tick is committed; whoever did not get its frames sees a gap and asks for them.
      this.#state = undefined;
      this.report("fan-out", error);
    }
    for (const waiting of batch.slice(0, tick.done)) waiting.resolve?.(waiting.result ?? { ok: true });
    return { done: tick.done, sockets };
  }

  /** Drops that no handler told of come first, in a tick of their own: what they cannot do is not the others' fault. */
  #reconcile(): undefined {
    try {
      const lost = this.#load().takeLost();
      if (lost.length > 0) this.#run(lost.map((event) => ({ event })));
    } catch {
      // The state cannot be built: the tick that follows says so.
    }
  }

  /**
   * The transaction was undone. Memory may be ahead of storage, so it goes; then each event has a tick of its own, so
   * that only the one that cannot be done fails.
   */
  #failed(batch: readonly Waiting[], error: unknown): number {
    this.#state = undefined;
    if (batch.length > 1) return batch.reduce((sockets, waiting) => sockets + this.#run([waiting]).sockets, 0);
    this.report("tick", error);
    for (const { event, resolve } of batch) {
      resolve?.({ ok: false, code: "internal" });
      try {
        if (event.type === "frame") this.#tellFailure(event);
      } catch (second) {
        this.report("tick", second);
      }
    }
    return 0;
  }

  #tellFailure({ session, generation, frame }: Extract<RoomEvent, { type: "frame" }>): void {
    const connection = this.#load().connection(session, generation);
    if (connection) this.#send(connection, encodeFailure(frame, failure("internal")));
  }

  /** Does what a committed tick asks for. Returns how many sockets it wrote to. */
  #perform(state: RoomState, effects: readonly Effect[]): number {
    for (const effect of effects) {
      if (effect.type === "accept") this.#accept(effect.connection);
      else if (effect.type === "work") void this.#work(effect);
      else if (effect.type === "report") this.report(effect.where, effect.error);
    }
    let sockets = 0;
    let to: Connection | undefined;
    let reads = true;
    for (const { connection, text, last } of compose(state, effects)) {
      // Judged once, before the first of a tick's messages: what is sent now cannot have been read yet.
      if (connection !== to) {
        sockets++;
        to = connection;
        reads = this.#reads(connection);
        const { session, generation } = connection;
        if (!reads) void this.#inbox.submit({ type: "cut", session, generation, code: "slow" });
      }
      if (reads || last) this.#send(connection, text);
    }
    state.log.settle();
    for (const effect of effects) if (effect.type === "close") this.#dismiss(effect.connection, effect.code);
    for (const connection of state.connections.values()) {
      if (!connection.dirty) continue;
      connection.dirty = false;
      this.#sockets.get(connection)?.serializeAttachment(pointerOf(connection, state.log.head));
    }
    return sockets;
  }

  #accept(connection: Connection): void {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    server.serializeAttachment(pointerOf(connection, connection.fed));
    this.#sockets.set(connection, server);
    this.#connections.set(server, connection);
    this.#clientEnds.set(connection, client);
  }

  /** Whether the peer reads what it is sent; asks it for a sign of life where only that can tell. */
  #reads(connection: Connection): boolean {
    const socket = this.#sockets.get(connection);
    if (!socket) return true;
    // Newer runtimes tell what a socket holds; the types always do.
    const { bufferedAmount: buffered } = socket as { bufferedAmount?: number };
    const reading = () => ({ buffered, answeredAt: this.#answeredAt(socket) });
    const verdict = connection.backlog.judge(reading, this.now());
    if (verdict === "probe") {
      this.#send(connection, encode({ type: "heartbeat", offset: connection.fed, next: this.#nextBeat() }));
    }
    return verdict !== "slow";
  }

  /** Sends, unless the socket is closing. */
  #send(connection: Connection, text: string): void {
    const socket = this.#sockets.get(connection);
    if (socket?.readyState !== WebSocket.OPEN) return;
    connection.backlog.sent(text.length);
    try {
      socket.send(text);
    } catch {
      // Closed this very moment. One socket must never stop the others; its own handler follows.
    }
  }

  /** The client was told why: it closes, so that TCP ends at once, or we do after {@link BYE_GRACE}. */
  #dismiss(connection: Connection, name: CodeName): void {
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

  async #gone(socket: WebSocket): Promise<void> {
    // A timer would keep the object in memory.
    const timer = this.#leaving.get(socket);
    if (timer !== undefined) clearTimeout(timer);
    this.#leaving.delete(socket);
    const connection = this.#connections.get(socket);
    if (connection) this.#detach(socket, connection);
    // From the attachment: a room that wakes for this very close does not count the socket as a connection any more.
    const pointer = socket.deserializeAttachment() as Attachment | null;
    if (!pointer) return;
    const { session, generation } = pointer;
    await this.#inbox.submit({ type: "drop", session, generation });
  }

  #detach(socket: WebSocket, connection: Connection): void {
    this.#sockets.delete(connection);
    this.#connections.delete(socket);
  }

  async #work({ work, after }: Extract<Effect, { type: "work" }>): Promise<void> {
    let outcome: { ok: true; value: unknown } | { ok: false; error: unknown };
    try {
      outcome = { ok: true, value: await work() };
    } catch (error) {
      outcome = { ok: false, error };
      if (!after) this.report("defer", error);
    }
    if (after) await this.#inbox.submit({ type: "deferred", outcome, after });
  }

  #answeredAt(socket: WebSocket | undefined): number {
    return (socket && this.ctx.getWebSocketAutoResponseTimestamp(socket)?.getTime()) ?? 0;
  }

  #nextBeat(): number {
    return Math.max(0, (this.#state?.beat?.due ?? 0) - this.now());
  }

  #arm(next: number | undefined): void {
    const when = next === undefined ? undefined : Math.min(next, LATEST_ALARM);
    if (when === this.#armed) return;
    this.#armed = when;
    const set = when === undefined ? this.ctx.storage.deleteAlarm() : this.ctx.storage.setAlarm(when);
    set.catch((error: unknown) => {
      this.#armed = undefined;
      this.report("setAlarm", error);
    });
  }

  /** The state, built from storage and sockets when this instance has none yet. */
  #load(): RoomState {
    if (this.#state) return this.#state;
    const found = new Map<Pointer, WebSocket>();
    for (const socket of this.ctx.getWebSockets()) {
      const pointer = socket.deserializeAttachment() as Attachment | null;
      if (pointer?.bye) closeQuietly(socket, pointer.bye.code, pointer.bye.reason);
      else if (!pointer) closeQuietly(socket, codes.restarting.close, "restarting" satisfies CodeName);
      else if (socket.readyState === WebSocket.OPEN) found.set(pointer, socket);
    }
    const state = new RoomState({
      definition: this.definition,
      sql: this.ctx.storage.sql,
      atomic: (run) => this.ctx.storage.transactionSync(run),
      pointers: [...found.keys()],
      alarm: this.#armed,
      now: this.now(),
    });
    this.#sockets.clear();
    this.#connections.clear();
    for (const [{ session, generation }, socket] of found) {
      const connection = state.connection(session, generation);
      if (connection) {
        this.#sockets.set(connection, socket);
        this.#connections.set(socket, connection);
      } else {
        // A socket of a session that storage does not know: it must come back and be told so.
        closeQuietly(socket, codes.restarting.close, "restarting" satisfies CodeName);
      }
    }
    this.#state = state;
    return state;
  }
}
