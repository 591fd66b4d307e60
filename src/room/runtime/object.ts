/**
 * The Durable Object: the only file of a room that touches Cloudflare's runtime. It gives the room its platform, and hands
 * on what the runtime delivers. It decides nothing.
 */
import { DurableObject } from "cloudflare:workers";
import { closeQuietly } from "../../protocol/close.ts";
import { codes, texts } from "../../protocol/codes.ts";
import { PING, PONG, type Json } from "../../protocol/frames.ts";
import type { Down, RelayAddress, Up } from "../relaying.ts";
import { answerElsewhere, answerRefused, openUpgrade, type Credentials } from "../admission.ts";
import type { Command, CommandResults, Result } from "../core/event.ts";
import { defineRoom, toMs, type Duration, type RoomDefinition } from "../definition.ts";
import type { Answer, Caller, OperatorCommand } from "../operator.ts";
import type { Present } from "../store/members.ts";
import type { EndRecord } from "../telemetry/end.ts";
import type { FailureRecord } from "../telemetry/failure.ts";
import type { RoomReport } from "../telemetry/recorder.ts";
import { RoomHost } from "./host.ts";
import { platformOf, relayOf } from "./cloudflare.ts";
import type { Recording } from "./recording.ts";
import type { Attributes } from "./ticker.ts";

const DEFAULT = defineRoom({});

/**
 * A room without an observer: what is done with failures, counts and spans is a subclass's business (room.ts).
 * Without a `definition` of its own it relays publications, signals and presence.
 */
export abstract class RoomObject<Env = unknown> extends DurableObject<Env> {
  readonly definition: RoomDefinition = DEFAULT;
  readonly #host: RoomHost;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#host = new RoomHost({
      platform: platformOf(ctx, () => this.now()),
      definition: () => this.definitionInForce,
      env,
      relayAt: (relay) => relayOf(ctx, env, relay),
      observer: {
        report: (record) => this.report(record),
        ended: (record) => this.ended(record),
        sendReport: (report) => this.sendReport(report),
        span: (name, attributes, run) => this.span(name, attributes, run),
        onFailedTick: () => this.onFailedTick,
      },
    });
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
    void ctx.blockConcurrencyWhile(() => this.#host.begin());
  }

  /**
   * Publishes in the room's own name. Rejects when the data is larger than 1 MiB (`too_large`), or nothing that JSON can carry
   * (`bad_request`), or the room is overloaded (`rate_limited`). Errors of all methods have a `code`, and perhaps a `retryAfter`.
   */
  async publish(data: Passed, options: { to?: readonly string[] } = {}): Promise<{ offset: number; at: number }> {
    return this.#ask({ type: "publish", data: data as Json, ...options });
  }

  /** Sends to everyone connected now; never stored. Rejects like {@link publish}. */
  async signal(data: Passed, options: { to?: readonly string[] } = {}): Promise<void> {
    await this.#ask({ type: "signal", data: data as Json, ...options });
  }

  /** The members who are here, by id in order of UTF-16 code units. */
  async members(): Promise<Present[]> {
    return this.#ask({ type: "members" });
  }

  /** Ends every session of a user. The same token may join again: to prevent that, {@link revoke}. */
  async kick(user: string): Promise<{ sessions: number }> {
    return this.#ask({ type: "kick", user });
  }

  /** Ends every session of a user and refuses tokens issued before now. */
  async revoke(user: string): Promise<{ sessions: number }> {
    return this.#ask({ type: "revoke", user, before: this.now() });
  }

  /**
   * Tells everyone to go, closes what is left after `within` (default "30s"), and takes no new connections meanwhile and
   * for `reopenAfter` (default none) after that.
   */
  async drain(
    within: Duration = "30s",
    reopenAfter: Duration = 0,
  ): Promise<{ until: number; reopens: number; connections: number }> {
    const times = { within: toMs(within, "within"), reopenAfter: toMs(reopenAfter, "reopenAfter") };
    return this.#ask({ type: "drain", ...times });
  }

  /** A session's next token, verified by the caller. The connection lives on with what this token allows. */
  async refresh(session: string, credentials: Credentials): Promise<Refreshed> {
    const result = await this.#host.command({ type: "refresh", session, credentials });
    return result.ok ? { ok: true, ...result.value } : result;
  }

  /** A relay of this room tells and asks. Only relays call it. */
  async exchange(up: Up): Promise<Down> {
    return this.#host.exchange(up);
  }

  /** What is asked over HTTP with a token; the Worker has verified it. */
  async operate(caller: Caller, command: OperatorCommand): Promise<Answer> {
    return this.#host.operate(caller, command);
  }

  /** The definition that the room goes by: the one of its class, unless a subclass adds to it. */
  protected get definitionInForce(): RoomDefinition {
    return this.definition;
  }

  /** A failure. Must not throw. */
  protected abstract report(record: FailureRecord): void;

  /** The end of a connection. Must not throw. */
  protected abstract ended(record: EndRecord): void;

  /** How the room is, for the directory of live rooms; nobody waits for it. Rejects when it did not arrive. */
  protected abstract sendReport(report: RoomReport): Promise<void>;

  /** Runs something as a part of a trace. */
  protected abstract span<T>(name: string, attributes: Attributes, run: () => T): T;

  /**
   * Gets a tick that failed as data: the room's rows and what was to happen. Keep it, and send it with a report: the tests of
   * edgerooms play it again. It holds what users said. Default: none.
   */
  protected readonly onFailedTick?: (recording: Recording) => void;

  /** The clock, in ms since the epoch. */
  protected now(): number {
    return Date.now();
  }

  /** Opens a connection for our own Worker; anyone else is refused. */
  override async fetch(request: Request): Promise<Response> {
    const admission = openUpgrade(request);
    if (!admission) return answerRefused({ code: "forbidden" });
    const result = await this.#host.connect(admission);
    if (result.ok) return new Response(null, { status: 101, webSocket: result.client });
    return result.regions ? answerElsewhere(result.regions) : answerRefused(result);
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    await this.#host.message(socket, message);
  }

  override async webSocketClose(socket: WebSocket, code: number, reason: string): Promise<void> {
    // Without an answer the peer's closing handshake never ends.
    closeQuietly(socket, code, reason);
    await this.#host.closed(socket, code);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    closeQuietly(socket, codes.internal.close, "");
    await this.#host.closed(socket);
  }

  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    await this.span("alarm", {}, () => this.#host.alarm(info));
  }

  async #ask<C extends Command>(command: C): Promise<CommandResults[C["type"]]> {
    const result: Result<CommandResults[C["type"]]> = await this.#host.command(command);
    if (result.ok) return result.value;
    const { code, message = texts[code], retryAfter } = result;
    // Properties of an error travel by RPC; its class does not.
    throw Object.assign(new Error(message), { code, ...(retryAfter !== undefined && { retryAfter }) });
  }
}

/** What callers hand over by RPC, whose types cannot carry the endless recursion of Json. It is checked all the same. */
type Passed = object | string | number | boolean | null;

/** What came of a token refresh. */
export type Refreshed =
  | {
      readonly ok: true;
      readonly expires?: number;
      /** The session is there. */ readonly relay?: RelayAddress | undefined;
    }
  | Extract<Result, { ok: false }>;
