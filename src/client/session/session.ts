/**
 * The client's side of a session, across connections: what it sends, at the room's pace, and what it makes of what comes.
 * Puts together outbox, calls, position, presence, token and pace. Knows a transport, no socket.
 */
import { encode } from "../../protocol/codec.ts";
import type { NextStep } from "../../protocol/codes.ts";
import type { Json, ServerFrame } from "../../protocol/frames.ts";
import type { Address } from "../address.ts";
import type { Loss, State } from "../connection/state.ts";
import { Emitter } from "../emitter.ts";
import { RoomError } from "../error.ts";
import type { RoomEvents } from "../events.ts";
import type { SessionStore } from "../storage.ts";
import { Calls } from "./calls.ts";
import { handle, type Frame, type Message } from "./frames.ts";
import { Outbox, type Ack, type OutboxLimits, type PublishOptions } from "./outbox.ts";
import { Pace } from "./pace.ts";
import { Position } from "./position.ts";
import { Presence, type PresenceFrame } from "./presence.ts";
import { Token, type TokenOptions } from "./token.ts";
import { validate } from "./validate.ts";

/** What a session needs of whatever carries its frames. */
export interface Transport {
  /** Whether there is a connection in which the room has said welcome. */
  readonly isOpen: boolean;
  /** Returns whether the frame is on its way. */
  send(frame: string): boolean;
  /** Whether the room owes an answer now. */
  expectAnswer(isDue: boolean): void;
  /** The room has said welcome: from here on it is open, unless a listener closes it. */
  open(): void;
  /** Ends it as if it were lost in this way. */
  fail(loss: Loss): void;
}

/** What a {@link Session} is made from. */
export interface SessionOptions {
  readonly outbox: OutboxLimits;
  readonly store: SessionStore;
  readonly address: Address;
  readonly token: TokenOptions;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** The session of one client. Owns its transport. */
export class Session<T extends Transport = Transport> {
  readonly events = new Emitter<RoomEvents>();
  readonly calls = new Calls();
  readonly presence = new Presence();
  readonly outbox: Outbox;
  readonly position: Position;
  readonly token: Token;
  readonly transport: T;
  readonly #address: string;
  #pace: Pace | undefined;
  #paceTimer: ReturnType<typeof setTimeout> | undefined;
  /** Connections that were lost. */
  #losses = 0;
  /** Tells the attempts of this client from those of another with the same session. */
  readonly #client: string;
  #attempts = 0;

  /** @param attach makes the transport, which reports to the session */
  constructor({ outbox, store, address, token, random }: SessionOptions, attach: (session: Session) => T) {
    this.outbox = new Outbox(outbox, random);
    this.position = new Position(store, address.socket);
    this.token = new Token(token, address.session, (error) => {
      if (error instanceof RoomError && !error.retryable) this.transport.fail(this.token.missing(error));
      else this.events.emit("error", new RoomError("token_expired", String(error), true));
    });
    this.#address = address.socket;
    this.#client = Math.floor(random() * 2 ** 48).toString(36);
    this.transport = attach(this);
  }

  /** Publishes; see `RoomClient.publish`. */
  publish(data: Json, options?: PublishOptions): Promise<Ack> {
    const settled = this.outbox.add(data, options);
    this.#flush();
    return settled;
  }

  /** Sends a signal; see `RoomClient.signal`. */
  signal(data: Json, options: { to?: readonly string[] }): void {
    // Too many of them would end the connection: what is above the room's rate is lost here.
    if (this.#pace?.allowance(performance.now()) !== 0)
      this.#sendUnawaited(encode({ type: "signal", data, ...options }));
  }

  /** Sets what the others see; see `RoomClient.setPresence`. */
  setPresence(data: Json): void {
    this.presence.set(data);
    this.#showPresence();
  }

  /** Calls a method of the room; see `RoomClient.call`. */
  async call(method: string, data: Json): Promise<Json> {
    const ref = this.outbox.ref();
    const error = this.#offer(encode({ type: "call", ref, method, data }));
    if (error) throw error;
    const reply = this.calls.wait(ref);
    this.#expectAnswer();
    return reply;
  }

  /** Where to connect: with credit, and with the session and position to resume, if there are any. */
  address(): string {
    const url = new URL(this.#address);
    const attempt = `${this.#client}.${++this.#attempts}`;
    for (const [key, value] of Object.entries({ credit: 1, attempt, ...this.position.resume })) {
      url.searchParams.set(key, String(value));
    }
    return url.href;
  }

  /** The connection is lost, or there is none to lose. */
  hungUp(): void {
    this.#losses++;
    clearTimeout(this.#paceTimer as never);
    this.token.stop();
    this.outbox.requeue();
    this.calls.lose();
  }

  /** What to do after a loss, given what the room's code says. */
  afterLoss({ next, code }: Loss): NextStep {
    if (code === "replaced") {
      // Another client has taken the session over, a duplicated tab for instance: it keeps it, this one gets a new one.
      this.position.forget(false);
      return "reconnect";
    }
    if (code === "unauthorized" && next === "stop") return this.token.refuse() ? "later" : "stop";
    return next === "renew" && this.token.isFixed ? "stop" : next;
  }

  /** The connection has another state. */
  changed(state: State): void {
    if (state.name === "closed") this.outbox.close(`The client is closed: ${state.reason}.`);
    this.events.emit("state", state);
  }

  /** Round trip of a ping, in ms. */
  measured(latency: number): void {
    this.events.emit("latency", latency);
  }

  /** Handles the frames of one message of so many bytes. */
  receive(frames: readonly ServerFrame[], bytes: number): void {
    const losses = this.#losses;
    const isCurrent = () => losses === this.#losses;
    const message: Message = { isGap: false, heartbeat: 0, isAsked: false, isResumed: false, bytes, isCurrent };
    for (const frame of frames) {
      // A listener has closed the client. The frames that it was not told of come again when it is back.
      if (!isCurrent()) break;
      handle(this, frame, message);
    }
    if (message.isResumed && isCurrent()) this.events.emit("resumed", { offset: this.position.offset });
    // Nothing that costs goes out while the room takes nothing: each of those counts against the client.
    const mayCost = this.#pace?.allowance(performance.now());
    this.position.read(message, (frame, cost) => !(cost && !mayCost) && this.#send(frame, cost));
    this.#flush();
    this.#expectAnswer();
  }

  /** A connection begins. */
  welcome(frame: Frame<"welcome">): void {
    const isNew = this.position.begin(frame.session, frame.epoch, frame.resumed);
    if (isNew) this.outbox.begin();
    this.presence.begin(frame.member, isNew, frame.members);
    this.outbox.advance(frame.ref);
    this.#pace = new Pace(frame.limits, performance.now());
    this.token.keep(frame);
    this.presence.apply(frame);
    this.transport.open();
    // A listener may have closed the client.
    if (!this.transport.isOpen) return;
    this.showMembers(frame);
    this.#showPresence();
  }

  /** The list of members has changed. */
  showMembers(change: Omit<PresenceFrame, "type">): void {
    this.presence.apply(change);
    this.events.emit("members", this.presence.list);
  }

  /** The room refused the frame with this ref, or one without a ref. */
  refused(error: RoomError, ref: number | undefined): void {
    if (error.code === "rate_limited") this.#pace?.refused(error.retryAfter ?? 1_000);
    if (ref === undefined) this.events.emit("error", error);
    else if (!this.calls.answer(ref, error)) this.outbox.refuse(ref, error);
  }

  /** Sends what the outbox holds, no faster than the room takes it. */
  #flush(): void {
    const pace = this.#pace;
    if (!pace || !this.transport.isOpen || this.outbox.size === 0) return;
    const { refs, burst, message: bytes } = pace.limits;
    // No more in flight than the room takes at once: a slow line may deliver all of them together.
    const inFlight = Math.min(refs, burst);
    const frames = pace.allowance(performance.now());
    for (const frame of this.outbox.take({ inFlight, bytes, frames })) this.#send(frame);
    this.#expectAnswer();
    if (pace.wait === 0) return;
    clearTimeout(this.#paceTimer as never);
    this.#paceTimer = setTimeout(() => this.#flush(), pace.wait);
  }

  #expectAnswer(): void {
    this.transport.expectAnswer(this.outbox.inFlight + this.calls.size > 0);
  }

  #send(frame: string, cost = 1): boolean {
    if (!this.transport.isOpen || !this.transport.send(frame)) return false;
    this.#pace?.spend(cost);
    return true;
  }

  /** Sends what a program made. Returns the reason when it cannot. */
  #offer(frame: string): RoomError | undefined {
    const error = validate(frame, this.#pace?.limits.message ?? Infinity);
    if (error || this.#send(frame)) return error;
    return new RoomError("not_connected", "Not connected.", true);
  }

  /** Sends what no promise waits for. Returns `false` when it can never be sent. */
  #sendUnawaited(frame: string): boolean {
    const error = this.#offer(frame);
    if (!error || error.retryable) return true;
    this.events.emit("error", error);
    return false;
  }

  #showPresence(): void {
    const { due } = this.presence;
    if (due !== undefined && !this.#sendUnawaited(due)) this.presence.drop();
  }
}
