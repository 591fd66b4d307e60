/**
 * The Durable Object: the only file of a room that touches sockets, the alarm and the clock. It turns what the runtime
 * delivers into events, runs them in ticks (one transaction each), and performs the effects. It decides nothing.
 */
import { DurableObject } from "cloudflare:workers";
import { decode } from "../../protocol/codec.ts";
import { codes, texts, type CodeName } from "../../protocol/codes.ts";
import { PING, PONG, type Json } from "../../protocol/frames.ts";
import { answerRefused, openUpgrade, type Credentials } from "../admission.ts";
import { Books, type Carried, type RoomReport } from "../telemetry/recorder.ts";
import { closeQuietly } from "../../protocol/close.ts";
import { defineRoom, toMs, type Duration, type RoomDefinition } from "../definition.ts";
import { encodeFailure, failure } from "../core/step.ts";
import type { Command, Refreshed, RoomEvent } from "../core/event.ts";
import { codeOfThrown, type Failure, type FailureRecord } from "../telemetry/failure.ts";
import { mintId } from "./ids.ts";
import { Scheduler, type Ran, type Waiting } from "./scheduler.ts";
import type { Answer, Caller, OperatorCommand } from "../core/operate.ts";
import { migrate, UnreadableStorage } from "../store/schema.ts";
import { Performer } from "./effects.ts";
import type { Present } from "../store/members.ts";
import { aboutOf, applyTick, traceOf, type Tick } from "../core/tick.ts";
import { Sockets } from "./sockets.ts";
import { RoomState, type Connection } from "../store/state.ts";

/** The platform takes no alarm after the year 2189. */
const LATEST_ALARM = 6_900_000_000_000;
/** When to try again after an alarm that failed as a whole. */
const ALARM_RETRY = 30_000;

const relay = defineRoom({});

/** What a span says of itself. */
export type Attributes = Readonly<Record<string, string | number | undefined>>;

/**
 * A room without anybody who watches it: what is done with failures, counts and spans is a subclass's business
 * (ops/room.ts). Without a `definition` of its own it relays publications, signals and presence.
 */
export abstract class RoomObject<Env = unknown> extends DurableObject<Env> {
  readonly definition: RoomDefinition = relay;
  readonly #inbox = new Scheduler(
    (batch) => this.#reconcile() ?? this.#run(batch),
    () => this.now(),
  );
  readonly #sockets: Sockets;
  readonly #performer: Performer;
  readonly #books = new Books({
    report: (note) => this.report(note),
    tell: (report) => this.tell(report),
    untold: () => {
      if (this.#state) this.#sockets.save(this.#state.connections.values(), this.#state.log.head, this.#books);
    },
    now: () => this.now(),
  });
  #state: RoomState | undefined;
  #armed: number | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sockets = new Sockets(ctx);
    this.#performer = new Performer({
      sockets: this.#sockets,
      books: this.#books,
      outlet: () => this.definition.events?.to,
      env,
      submit: (event) => this.#inbox.submit(event),
      fail: (failed) => this.#fail(failed),
      now: () => this.now(),
    });
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
    this.#books.tally.add("wakeups");
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

  /** What is asked over HTTP with a token; the Worker has verified it. */
  async operate(caller: Caller, command: OperatorCommand): Promise<Answer> {
    const facts = { sockets: this.#sockets, counts: this.#books.tally.counts };
    const result = await this.#inbox.submit({ type: "operate", caller, command, facts });
    return result.ok ? { ok: true, value: result.value as object } : result;
  }

  /** Somebody may want to know of this. Must not throw. */
  protected abstract report(note: FailureRecord): void;

  /** The directory of live rooms is to learn this; nobody waits for it. Rejects when it did not. */
  protected abstract tell(report: RoomReport): Promise<void>;

  /** Runs something as a part of a trace. */
  protected abstract span<T>(name: string, attributes: Attributes, run: () => T): T;

  /** The clock, in ms since the epoch. */
  protected now(): number {
    return Date.now();
  }

  /** Opens a connection for our own Worker; anyone else is refused. */
  override async fetch(request: Request): Promise<Response> {
    const admission = openUpgrade(request);
    if (!admission) return answerRefused({ code: "forbidden" });
    const full = this.#sockets.full(admission.credentials.user);
    if (full) return answerRefused(full);
    const { traceparent, resume } = admission;
    const attributes = { traceparent, session: resume?.session };
    const connect = { type: "connect", admission, id: mintId() } as const;
    const result = await this.span("resume", attributes, () => this.#inbox.submit(connect));
    if (!result.ok) return answerRefused(result);
    const client = this.#sockets.takeClientEnd(result.value as Connection);
    return client ? new Response(null, { status: 101, webSocket: client }) : answerRefused({ code: "internal" });
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    try {
      this.#load();
    } catch (error) {
      // Storage that cannot be read: the client comes back later, when it perhaps can.
      this.#fail({ code: "storage_failed", where: "load", error });
      this.#books.tally.add("closes|storage_failed");
      closeQuietly(socket, codes.storage_failed.close, "storage_failed" satisfies CodeName);
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
    await this.span("alarm", {}, () => this.#ring(info));
  }

  async #ring(info: AlarmInvocationInfo | undefined): Promise<void> {
    this.#books.tally.add("alarms");
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
      this.#fail({ code: codeOfThrown(error), where: "alarm", error });
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
    return this.span("tick", { events: batch.length, traceparent: traceOf(batch) }, () => this.#tick(batch));
  }

  #tick(batch: readonly Waiting[]): Ran {
    const tick: Tick = { done: 0, effects: [], alarm: this.#armed };
    const began = this.now();
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
    this.#books.ticked(tick.done, (this.now() - began) / 1_000);
    let sockets = 0;
    try {
      const attributes = { sockets: state.connections.size };
      sockets = this.span("fan-out", attributes, () => this.#performer.perform(state, tick.effects));
    } catch (error) {
      // The tick is committed; whoever did not get its frames sees a gap and asks for them.
      this.#state = undefined;
      this.#fail({ code: codeOfThrown(error), where: "fan-out", error });
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
    const state = this.#state;
    this.#state = undefined;
    if (batch.length > 1) return batch.reduce((sockets, waiting) => sockets + this.#run([waiting]).sockets, 0);
    const code = codeOfThrown(error);
    for (const { event, resolve } of batch) {
      this.#fail({ ...aboutOf(event, state), code, where: "tick", error }, state);
      resolve?.({ ok: false, code });
      try {
        if (event.type === "frame") this.#tellFailure(event, code);
      } catch (second) {
        this.#fail({ code: codeOfThrown(second), where: "tick", error: second });
      }
    }
    return 0;
  }

  #tellFailure({ session, generation, frame }: Extract<RoomEvent, { type: "frame" }>, code: CodeName): void {
    const state = this.#load();
    // It was not there to be told so when the tick failed.
    state.active = true;
    const connection = state.connection(session, generation);
    if (connection) this.#sockets.send(connection, encodeFailure(frame, failure(code)));
  }

  #fail(failed: Failure, state = this.#state): void {
    const { kind, name } = state?.name ?? { kind: "", name: this.ctx.id.name ?? "" };
    // A room in which hooks or the disk fail tells so soon.
    if (this.#books.fail(failed, { kind, room: name }) && state) state.active = true;
  }

  async #gone(socket: WebSocket): Promise<void> {
    const pointer = this.#sockets.closed(socket);
    if (!pointer) return;
    const { session, generation } = pointer;
    await this.#inbox.submit({ type: "drop", session, generation });
  }

  #arm(next: number | undefined): void {
    const when = next === undefined ? undefined : Math.min(next, LATEST_ALARM);
    if (when === this.#armed) return;
    this.#armed = when;
    const set = when === undefined ? this.ctx.storage.deleteAlarm() : this.ctx.storage.setAlarm(when);
    set.catch((error: unknown) => {
      this.#armed = undefined;
      this.#fail({ code: "storage_failed", where: "setAlarm", error });
    });
  }

  /** The state, built from storage and sockets when this instance has none yet. */
  #load(): RoomState {
    try {
      return (this.#state ??= this.#build());
    } catch (error) {
      throw error instanceof UnreadableStorage ? error : new UnreadableStorage(String(error));
    }
  }

  #build(): RoomState {
    // Here, not in the constructor: storage can be wiped under a running room.
    migrate(this.ctx.storage);
    const carried: Carried[] = [];
    const survivors = this.#sockets.survivors(carried);
    this.#books.restore(carried);
    const state = new RoomState({
      definition: this.definition,
      sql: this.ctx.storage.sql,
      atomic: (run) => this.ctx.storage.transactionSync(run),
      pointers: [...survivors.keys()],
      room: this.ctx.id.name ?? "",
      alarm: this.#armed,
      now: this.now(),
    });
    this.#sockets.adopt(survivors, ({ session, generation }) => state.connection(session, generation));
    return state;
  }
}
