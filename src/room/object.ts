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
import { shardOf, type Listing } from "./listing.ts";
import { migrate } from "./schema.ts";
import { applyTick, type Tick } from "./tick.ts";
import { Sockets } from "./sockets.ts";
import { RoomState, type Connection } from "./state.ts";

/** The platform takes no alarm after the year 2189. */
const LATEST_ALARM = 6_900_000_000_000;
/** When to try again after an alarm that failed as a whole. */
const ALARM_RETRY = 30_000;

/** What those are told for whom there is no place among sockets that have not ended yet. */
const FULL = {
  room: { code: "room_full", retryAfter: 30_000 },
  user: {
    code: "rate_limited",
    message: "Too many earlier connections of this user have not ended yet.",
    retryAfter: 30_000,
  },
} as const;

const relay = defineRoom({});

/**
 * A {@link Member} as it crosses RPC, whose types cannot carry the endless recursion of {@link Json}.
 * `data` is JSON all the same.
 */
export type Present = Omit<Member, "data"> & { readonly data?: object | string | number | boolean | null };

/** The directory of live rooms, as far as a room knows it. */
interface DirectoryBinding {
  getByName(name: string): { update(listing: Listing): Promise<void> };
}

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
  readonly #sockets: Sockets;
  #state: RoomState | undefined;
  #armed: number | undefined;
  #directory: ReturnType<DirectoryBinding["getByName"]> | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sockets = new Sockets(ctx);
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

  /**
   * Tells everyone to go, closes who is left after `within` (default "30s"), and takes no new connections meanwhile and
   * for `hold` (default none) after that.
   */
  async drain(
    within: Duration = "30s",
    hold: Duration = 0,
  ): Promise<{ until: number; reopens: number; connections: number }> {
    return this.#ask({ type: "drain", within: toMs(within, "within"), hold: toMs(hold, "hold") });
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
    const full = this.#sockets.full(admission.credentials.user);
    if (full) return answerRefused(FULL[full]);
    const result = await this.#inbox.submit({ type: "connect", admission, id: mintId() });
    if (!result.ok) return answerRefused(result);
    const client = this.#sockets.takeClientEnd(result.value as Connection);
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
    const connection = this.#sockets.connectionOf(socket);
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
      const answeredAt = (connection: Connection) => this.#sockets.answeredAt(connection);
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
      // Also a tick that could not even begin has dealt with its first event: it was answered.
      const done = Math.max(1, tick.done);
      return { done, sockets: this.#failed(batch.slice(0, done), error) };
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
      for (let lost = this.#load().takeLost(); lost.length > 0;) {
        lost = lost.slice(this.#run(lost.map((event) => ({ event }))).done);
      }
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
    if (connection) this.#sockets.send(connection, encodeFailure(frame, failure("internal")));
  }

  /** Does what a committed tick asks for. Returns how many sockets it wrote to. */
  #perform(state: RoomState, effects: readonly Effect[]): number {
    for (const effect of effects) {
      if (effect.type === "accept") this.#sockets.accept(effect.connection);
      else if (effect.type === "work") void this.#work(effect);
      else if (effect.type === "list") this.#list(state);
      else if (effect.type === "report") this.report(effect.where, effect.error);
    }
    let sockets = 0;
    let to: Connection | undefined;
    let reads = true;
    const now = this.now();
    const next = Math.max(0, (state.beat?.due ?? 0) - now);
    const probe = ({ fed }: Connection) => encode({ type: "heartbeat", offset: fed, next });
    for (const { connection, text, last } of compose(state, effects)) {
      // Judged once, before the first of a tick's messages: what is sent now cannot have been read yet.
      if (connection !== to) {
        sockets++;
        to = connection;
        reads = this.#sockets.reads(connection, now, probe);
        const { session, generation } = connection;
        if (!reads) void this.#inbox.submit({ type: "cut", session, generation, code: "slow" });
      }
      if (reads || last) this.#sockets.send(connection, text);
    }
    state.log.settle();
    for (const effect of effects) if (effect.type === "close") this.#sockets.dismiss(effect.connection, effect.code);
    for (const connection of state.connections.values()) {
      if (!connection.dirty) continue;
      connection.dirty = false;
      this.#sockets.remember(connection, state.log.head);
    }
    return sockets;
  }

  /** Nobody waits for it: what got lost is told again with a later beat. */
  #list(state: RoomState): void {
    const { EDGEROOMS_DIRECTORY: directory } = this.env as { EDGEROOMS_DIRECTORY?: DirectoryBinding };
    if (!directory) return;
    const { listing } = state;
    const failed = (error: unknown) => {
      // After one failure a stub is good for nothing.
      this.#directory = undefined;
      this.report("directory", error);
    };
    try {
      // One stub: its calls arrive in their order.
      this.#directory ??= directory.getByName(String(shardOf(listing.kind, listing.room)));
      this.#directory.update(listing).catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  async #gone(socket: WebSocket): Promise<void> {
    const pointer = this.#sockets.closed(socket);
    if (!pointer) return;
    const { session, generation } = pointer;
    await this.#inbox.submit({ type: "drop", session, generation });
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
    // Here, not in the constructor: storage can be wiped under a running room.
    migrate(this.ctx.storage);
    const survivors = this.#sockets.survivors();
    const state = new RoomState({
      definition: this.definition,
      sql: this.ctx.storage.sql,
      atomic: (run) => this.ctx.storage.transactionSync(run),
      pointers: [...survivors.keys()],
      alarm: this.#armed,
      now: this.now(),
    });
    this.#sockets.adopt(survivors, ({ session, generation }) => state.connection(session, generation));
    this.#state = state;
    return state;
  }
}
