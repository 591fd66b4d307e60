/**
 * The Durable Object of a relay: the only file of a relay that touches Cloudflare's runtime. It hands on what the runtime
 * delivers. It decides nothing.
 */
import { DurableObject } from "cloudflare:workers";
import { closeQuietly } from "../../protocol/close.ts";
import { codes } from "../../protocol/codes.ts";
import { PING, PONG } from "../../protocol/frames.ts";
import { answerFull, answerRefused, openUpgrade, type Credentials } from "../admission.ts";
import type { Mirrored, Pushed } from "../relaying.ts";
import type { EndRecord } from "../telemetry/end.ts";
import type { FailureRecord } from "../telemetry/failure.ts";
import type { RoomReport } from "../telemetry/recorder.ts";
import { homeOf, platformOf, relayOf } from "./cloudflare.ts";
import { RelayHost } from "./relay-host.ts";
import type { Refreshed } from "./object.ts";
import type { Attributes } from "./ticker.ts";

/** A relay without an observer: what is done with failures, counts and spans is a subclass's business (relay.ts). */
export abstract class RelayObject<Env = unknown> extends DurableObject<Env> {
  readonly #host: RelayHost;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#host = new RelayHost({
      platform: platformOf(ctx, () => this.now()),
      ask: (home, up) => homeOf(ctx, env, home).exchange(up),
      relayAt: (relay) => relayOf(ctx, env, relay),
      observer: {
        report: (record) => this.report(record),
        ended: (record) => this.ended(record),
        sendReport: (report) => this.sendReport(report),
        span: (name, attributes, run) => this.span(name, attributes, run),
      },
    });
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
    void ctx.blockConcurrencyWhile(() => this.#host.room.begin());
  }

  /** The room, or the relay before this one, tells what has happened. Only they call it. */
  async push(mirrored: Mirrored): Promise<Pushed> {
    return this.#host.push(mirrored);
  }

  /** A session's next token, verified by the caller; the room has said that the session is here. */
  async refresh(session: string, credentials: Credentials): Promise<Refreshed> {
    const result = await this.#host.room.command({ type: "refresh", session, credentials });
    return result.ok ? { ok: true, ...result.value } : result;
  }

  /** A failure. Must not throw. */
  protected abstract report(record: FailureRecord): void;

  /** The end of a connection. Must not throw. */
  protected abstract ended(record: EndRecord): void;

  /** What was counted. Rejects when it did not arrive. */
  protected abstract sendReport(report: RoomReport): Promise<void>;

  /** Runs something as a part of a trace. */
  protected abstract span<T>(name: string, attributes: Attributes, run: () => T): T;

  /** The clock, in ms since the epoch. */
  protected now(): number {
    return Date.now();
  }

  /** Opens a connection for our own Worker; anyone else is refused. */
  override async fetch(request: Request): Promise<Response> {
    const admission = openUpgrade(request);
    const via = admission?.via;
    if (!via) return answerRefused({ code: "forbidden" });
    const result = await this.#host.connect({ ...admission, via });
    if (result.ok) return new Response(null, { status: 101, webSocket: result.client });
    return "isFull" in result ? answerFull() : answerRefused(result);
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    await this.#host.room.message(socket, message);
  }

  override async webSocketClose(socket: WebSocket, code: number, reason: string): Promise<void> {
    // Without an answer the peer's closing handshake never ends.
    closeQuietly(socket, code, reason);
    await this.#host.room.closed(socket, code);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    closeQuietly(socket, codes.internal.close, "");
    await this.#host.room.closed(socket);
  }

  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    await this.span("alarm", {}, () => this.#host.room.alarm(info));
  }
}
