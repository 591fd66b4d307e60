/**
 * The client's side of a session, across connections: what it sends, at the room's pace, and what it makes of what comes.
 * Puts together outbox, calls, signals, position, presence, token and pace. Knows a transport, no socket.
 */
import type { NextStep } from "../../protocol/codes.ts";
import type { Json, ServerFrame } from "../../protocol/frames.ts";
import { MAX_PRESENCE_BYTES } from "../../protocol/limits.ts";
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
import type { Patience } from "./patience.ts";
import { Position } from "./position.ts";
import { Presence, type PresenceFrame } from "./presence.ts";
import { Signals } from "./signals.ts";
import { Token, type TokenOptions } from "./token.ts";
import { encodeFrame } from "./validate.ts";

/** Bytes that wait on this side of a slow line: what is soon out of date goes no sooner than they are gone. */
const BUFFERED_BYTES = 16_384;
/** The largest presence with its frame, in bytes. */
const LARGEST_PRESENCE_BYTES = MAX_PRESENCE_BYTES + '{"type":"presence","data":}'.length;

/** What became of a signal: a queued one may still be dropped. */
export type SignalFate = "sent" | "queued" | "dropped";

/** What a session needs of whatever carries its frames. */
export interface Transport {
  /** Whether there is a connection in which the room has said welcome. */
  readonly isOpen: boolean;
  /** Returns whether the frame is on its way. */
  send(frame: string): boolean;
  /** Bytes that wait on this side of the network, where the platform says. */
  readonly buffered: number | undefined;
  /** Asks for a sign of life behind everything that was sent; calls `answered` when it has come. */
  ping(answered: () => void): void;
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
  readonly own = new Map<number, number>();
  readonly presence = new Presence();
  readonly signals = new Signals();
  readonly calls = new Calls();
  readonly outbox: Outbox;
  readonly position: Position;
  readonly token: Token;
  readonly transport: T;
  readonly #address: string;
  #pace: Pace | undefined;
  #paceTimer: ReturnType<typeof setTimeout> | undefined;
  /** The kind that sends next: presence, signals, calls and publishes share what the room takes. */
  #turn = 0;
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
  signal(data: Json, { to, scope }: { to?: readonly string[]; scope?: "near" }): SignalFate {
    const frame = encodeFrame({ type: "signal", to, scope, data }, this.#limit);
    if (!this.transport.isOpen) {
      this.signals.dropped++;
      return "dropped";
    }
    this.signals.push(frame, performance.now());
    this.#flush();
    return this.signals.size > 0 ? "queued" : "sent";
  }

  /** Sets what the others see; see `RoomClient.setPresence`. */
  setPresence(data: Json): void {
    this.presence.set(encodeFrame({ type: "presence", data }, Math.min(this.#limit, LARGEST_PRESENCE_BYTES)));
    // Of several in one turn only the newest is sent.
    queueMicrotask(() => this.#flush());
  }

  /** Calls a method of the room; see `RoomClient.call`. */
  call(method: string, data: Json, options: Patience): Promise<Json> {
    if (!this.transport.isOpen) throw new RoomError("not_connected", "Not connected.", true);
    const ref = this.outbox.ref();
    const reply = this.calls.add(ref, encodeFrame({ type: "call", ref, method, data }, this.#limit), options);
    this.#flush();
    return reply;
  }

  /** Where to connect: with credit, and with the session and position to resume, if there are any. */
  address(): string {
    const attempt = `${this.#client}.${++this.#attempts}`;
    const asked = Object.entries({ credit: 1, attempt, ...this.position.resume });
    const query = asked.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join("&");
    return this.#address + (this.#address.includes("?") ? "&" : "?") + query;
  }

  /** The connection is lost, or there is none to lose. */
  hungUp(): void {
    this.#losses++;
    clearTimeout(this.#paceTimer as never);
    this.token.stop();
    this.outbox.requeue();
    this.calls.lose();
    this.signals.lose();
  }

  /** What to do after a loss, given what the room's code says. */
  afterLoss({ next, code }: Loss): NextStep {
    if (code === "replaced") {
      // Another client has taken the session over, a duplicated tab for instance: it keeps it, this one gets a new one.
      this.position.forget(false);
      return "reconnect";
    }
    if (code === "unauthorized" && next === "stop") return this.token.refuse() ? "later" : "stop";
    if (next !== "renew" || !this.token.isFixed) return next;
    // Time makes it good.
    return code === "token_early" ? "later" : "stop";
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
    const error = this.presence.validate(frame.limits.message);
    if (error) this.events.emit("error", error);
    this.transport.open();
    // A listener may have closed the client.
    if (this.transport.isOpen) this.events.emit("members", this.presence.list);
  }

  /** The list of members has changed. */
  showMembers(change: Omit<PresenceFrame, "type">): void {
    this.presence.apply(change);
    this.events.emit("members", this.presence.list);
  }

  /** The room has answered a frame. */
  answered(): void {
    this.#pace?.answered();
  }

  /** The room refused the frame with this ref, or one of this type without a ref. */
  refused(error: RoomError, { ref, frame }: Pick<Frame<"error">, "ref" | "frame">): void {
    const { code, retryAfter = 1_000 } = error;
    // What the room's own code refused it refuses again.
    const isForNow = code === "rate_limited" || code === "storage_failed";
    const isAgain = frame === "presence" && this.presence.refused(isForNow);
    if (code === "rate_limited" || isAgain) this.#pace?.refused(retryAfter);
    if (ref === undefined) {
      if (!isAgain) this.events.emit("error", error);
    } else if (!this.calls.answer(ref, error)) this.outbox.refuse(ref, error);
  }

  /** The largest message, in bytes, as far as it is known. */
  get #limit(): number {
    return this.#pace?.limits.message ?? Infinity;
  }

  /** Sends what waits, no faster than the room takes it: of each kind one in turn, so that none waits for all of another. */
  #flush(): void {
    clearTimeout(this.#paceTimer as never);
    const { transport, outbox, calls } = this;
    const pace = this.#pace;
    if (!pace || !transport.isOpen) return;
    const now = performance.now();
    let idle = 0;
    for (; idle < 4 && pace.allowance(now) > 0; this.#turn = (this.#turn + 1) % 4) {
      const frame = this.#next(pace, now);
      idle = frame ? 0 : idle + 1;
      if (frame && !this.#send(frame, 1, this.#turn > 1)) return;
    }
    const arrived = pace.ask(now);
    if (arrived) {
      const answered = () => {
        arrived();
        this.#flush();
      };
      // Behind what else is sent in this turn, so that this stays one message.
      queueMicrotask(() => transport.ping(answered));
    }
    transport.expectAnswer(outbox.inFlight + calls.size > 0 || pace.isAsking);
    const isWaiting = idle < 4 && outbox.size + calls.size > outbox.inFlight;
    if (isWaiting || this.presence.isDue || this.signals.size > 0)
      this.#paceTimer = setTimeout(() => this.#flush(), pace.wait);
  }

  /** A frame of the kind whose turn it is, if there is one. */
  #next(pace: Pace, now: number): string | undefined {
    if (this.#turn > 2) return this.outbox.take({ inFlight: pace.limits.refs, bytes: pace.limits.message });
    if (this.#turn > 1) return this.calls.next();
    // What is soon out of date waits here, where newer may take its place, until it would arrive soon.
    if (!pace.isQuick(now) || (this.transport.buffered ?? 0) > BUFFERED_BYTES) return undefined;
    return this.#turn > 0 ? this.signals.next(now) : this.presence.take();
  }

  #send(frame: string, cost = 1, isAnswered = false): boolean {
    if (!this.transport.isOpen || !this.transport.send(frame)) return false;
    this.#pace?.spend(cost, isAnswered);
    return true;
  }
}
