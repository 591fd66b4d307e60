/**
 * The client: what a program in a browser, Node, Workers, Deno or Bun uses to stay in a room whatever the network does.
 * Puts together the machine (when to connect), the wire (one socket), the outbox (what is not settled) and the
 * position. The published entry `edgerooms/client`.
 */
import { encode } from "../protocol/codec.ts";
import type { Json, ServerFrame } from "../protocol/frames.ts";
import { addressOf, type Address } from "./address.ts";
import { Calls } from "./session/calls.ts";
import { Emitter } from "./emitter.ts";
import { RoomError } from "./error.ts";
import type { Of, Person, RoomEvents, RoomTypes, Typed } from "./events.ts";
import { unfit } from "./session/validate.ts";
import { transition, type Action, type Input, type State } from "./connection/state.ts";
import { publicationsOf } from "./iterate.ts";
import type { ConnectOptions } from "./options.ts";
import { Outbox, type Ack, type PublishOptions } from "./session/outbox.ts";
import { Pace } from "./session/pace.ts";
import { watchPage } from "./connection/page.ts";
import { Place } from "./session/position.ts";
import { Renewal } from "./session/token.ts";
import { defaultStore, type Saved } from "./storage.ts";
import { Wire, type SocketClass } from "./connection/socket.ts";

export { RoomError, type RoomErrorCode } from "./error.ts";
export type { RoomEvents, RoomTypes } from "./events.ts";
export type { ConnectOptions } from "./options.ts";
export type { State } from "./connection/state.ts";
export type { Ack, PublishOptions } from "./session/outbox.ts";
export { memoryStore, type Saved, type SessionStore } from "./storage.ts";
export type { Json, Member, Publication, ResetReason } from "../protocol/frames.ts";

/** After this many ms in the room a connection counts as good, and the next loss as the first. */
const STABLE = 10_000;
/** How long getting a token may take, in ms. */
const TOKEN = 30_000;

/**
 * Joins a room and stays in it until `close()` or `leave()`.
 *
 * @throws TypeError when `url` is no URL or the platform has no WebSocket
 */
export function connect<T extends RoomTypes = RoomTypes>(url: string | URL, options: ConnectOptions): RoomClient<T> {
  const client = new RoomClient<T>(url, options);
  client.connect();
  return client;
}

/** A member's side of a room; made by {@link connect}. */
export class RoomClient<T extends RoomTypes = RoomTypes> {
  readonly #Class: SocketClass;
  readonly #address: Address;
  readonly #options: ConnectOptions;
  readonly #emitter = new Emitter<RoomEvents<T>>();
  readonly #outbox: Outbox;
  readonly #calls = new Calls();
  readonly #place: Place;
  readonly #renewal: Renewal;
  readonly #members = new Map<string, Person<T>>();
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  #state: State = { name: "idle" };
  #wire: Wire | undefined;
  #dials = 0;
  #unwatch: (() => void) | undefined;
  #presence: Json | undefined;
  /** Whether the room has shown that it knows {@link #presence}. */
  #shown = true;
  /** The room asked not to come back before this moment. */
  #notBefore = 0;
  #member = "";
  #pace: Pace | undefined;

  constructor(url: string | URL, options: ConnectOptions) {
    const Class = options.WebSocket ?? (globalThis as { WebSocket?: SocketClass }).WebSocket;
    if (!Class) throw new TypeError("no WebSocket");
    this.#Class = Class;
    const { count = 1_000, bytes = 1_000_000 } = options.outbox ?? {};
    this.#address = addressOf(url, options.room);
    this.#options = options;
    this.#outbox = new Outbox({ count, bytes });
    this.#place = new Place(options.storage ?? defaultStore(), this.#address.socket);
    this.#renewal = new Renewal(options, this.#address.session);
  }

  get state(): State {
    return this.#state;
  }

  /** Who is here, by id. */
  get members(): readonly Person<T>[] {
    return [...this.#members.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** The session, and the place in the log up to which everything was handed over. */
  get position(): Saved | undefined {
    return this.#place.saved;
  }

  /** Publishes that have no ack yet. */
  get pending(): number {
    return this.#outbox.size;
  }

  /** Calls `listener` at every event; returns what ends that. */
  on<K extends keyof RoomEvents<T>>(event: K, listener: (value: RoomEvents<T>[K]) => void): () => void {
    return this.#emitter.on(event, listener);
  }

  /** Publications from here on, until the client is closed: `for await (const item of room)`. */
  [Symbol.asyncIterator](): AsyncGenerator<Typed<T>, void> {
    return publicationsOf<Typed<T>>(this);
  }

  /** Connects, or tries again at once. Does nothing while there is a connection. */
  connect(): void {
    this.#unwatch ??= watchPage(() => {
      if (this.#state.name === "open") this.#wire?.probe();
      else if (performance.now() >= this.#notBefore) this.#input({ type: "wake" });
    });
    this.#input({ type: "connect" });
  }

  /**
   * Publishes. Settles once, also across reconnects.
   *
   * @returns the publication's offset and time once it is durable; rejects with a {@link RoomError}
   */
  async publish(data: Of<T, "publication">, options?: PublishOptions): Promise<Ack> {
    if (this.#state.name === "closed") throw new RoomError("closed", "The client is closed.", false);
    const settled = this.#outbox.add(data as Json, options);
    this.#flush();
    return settled;
  }

  /** Sends to whoever is here now. Lost when there is no connection. */
  signal(data: Of<T, "signal">, options: { to?: readonly string[] } = {}): void {
    // Too many of them would end the connection: past the room's rate they are lost here.
    if (this.#pace?.allowance(performance.now()) === 0) return;
    this.#tell(encode({ type: "signal", data: data as Json, ...options }));
  }

  /** Sets what the others see of this member; kept, and set again in a new session. */
  setPresence(data: Of<T, "presence">): void {
    this.#presence = data as Json;
    this.#shown = false;
    this.#showPresence();
  }

  /** Calls a method of the room. Never sent twice: when the connection is lost first, it is `outcome_unknown`. */
  async call(method: string, data: Json = null): Promise<Json> {
    const ref = this.#outbox.ref();
    const error = this.#offer(encode({ type: "call", ref, method, data }));
    if (error) throw error;
    return this.#calls.wait(ref);
  }

  /** Ends the session: the others are told at once, and nothing can be resumed. */
  leave(): void {
    this.#wire?.send(encode({ type: "leave" }));
    this.#place.forget();
    this.#input({ type: "close", reason: "left" });
  }

  /** Goes, and can resume: the session stays open for the room's resume window. */
  close(): void {
    this.#input({ type: "close", reason: "closed" });
  }

  #input(input: Input): void {
    const before = this.#state;
    const { state, actions } = transition(before, input, this.#options.random ?? Math.random);
    this.#state = state;
    for (const action of actions) this.#act(action);
    // Another step may have followed from within.
    if (state === before || state !== this.#state) return;
    if (state.name === "closed") {
      this.#unwatch?.();
      this.#unwatch = undefined;
      this.#outbox.close(`The client is closed: ${state.reason}.`);
    }
    if (state.name === before.name && state.name !== "waiting") return;
    if (state.name === "open") this.#later("stable", STABLE, () => this.#input({ type: "stable" }));
    this.#emitter.emit("state", state);
  }

  #act(action: Action): void {
    switch (action.type) {
      case "dial":
        void this.#dial();
        break;
      case "hangUp":
        this.#wire?.close();
        this.#wire = undefined;
        this.#dials++;
        for (const name of this.#timers.keys()) this.#later(name);
        this.#renewal.stop();
        this.#outbox.land();
        this.#calls.lose();
        break;
      case "wait":
        this.#later("step", action.delay, () => this.#input({ type: "timer" }));
        break;
    }
  }

  async #dial(): Promise<void> {
    const dial = ++this.#dials;
    const fail = (why: unknown) => this.#input({ type: "lost", next: "later", reason: `no token: ${String(why)}` });
    this.#later("step", TOKEN, () => fail("too late"));
    try {
      const token = await this.#renewal.token();
      // Closed, or lost, or dialled again while the token was fetched.
      if (dial !== this.#dials) return;
      this.#later("step");
      const url = new URL(this.#address.socket);
      for (const [key, value] of Object.entries({ credit: 1, ...this.#place.resume })) {
        url.searchParams.set(key, String(value));
      }
      this.#wire = new Wire(this.#Class, url.href, token, {
        frames: (frames, length) => this.#hear(frames, length),
        lost: (next, reason, retryAfter) => {
          let step = next;
          if (reason.startsWith("replaced")) {
            // Another holder of this session, a duplicated tab for instance: it keeps it, we take a new one.
            this.#place.forget(false);
            step = "reconnect";
          } else if (next === "renew" && this.#renewal.isFixed) step = "stop";
          this.#notBefore = performance.now() + (retryAfter ?? 0);
          this.#input({ type: "lost", next: step, reason, ...(retryAfter !== undefined && { retryAfter }) });
        },
        latency: (ms) => this.#emitter.emit("latency", ms),
      });
    } catch (error) {
      if (dial === this.#dials) fail(error);
    }
  }

  #hear(frames: readonly ServerFrame[], length: number): void {
    const wire = this.#wire;
    let gap = false;
    let beat = 0;
    let isBack = false;
    for (const frame of frames) {
      // A listener has closed the client. What it was not told of, it gets when it comes back.
      if (this.#wire !== wire) break;
      switch (frame.type) {
        case "welcome":
          this.#welcome(frame);
          isBack = frame.resumed;
          break;
        case "snapshot":
          this.#place.moveTo(frame.offset, true);
          this.#emitter.emit("reset", {
            reason: frame.reason,
            data: frame.data as Of<T, "snapshot">,
            offset: frame.offset,
          });
          break;
        case "pub":
          gap = !this.#publications(frame);
          break;
        case "ack":
          this.#outbox.ack(frame.ref, { offset: frame.offset, at: frame.at });
          break;
        case "signal":
          this.#emitter.emit("signal", { by: frame.by, data: frame.data as Of<T, "signal"> });
          break;
        case "presence":
          this.#shown ||= [...(frame.members ?? []), ...(frame.update ?? [])].some(
            ({ id, data }) => id === this.#member && encode(data as never) === encode(this.#presence as never),
          );
          this.#present(frame);
          break;
        case "reply":
          this.#calls.answer(frame.ref, frame.error ? RoomError.from(frame.error) : (frame.data ?? null));
          break;
        case "heartbeat":
          beat = frame.offset;
          break;
        case "error":
          this.#refused(RoomError.from(frame), frame.ref);
          break;
        case "goaway":
          this.#emitter.emit("goaway", { within: frame.within });
          break;
        case "bye":
          break;
      }
    }
    if (isBack && this.#wire === wire) this.#emitter.emit("resumed", { offset: this.#place.offset });
    this.#place.read(gap, beat, length, (frame, cost) => this.#send(frame, cost));
    this.#flush();
  }

  #welcome(frame: Extract<ServerFrame, { type: "welcome" }>): void {
    if (this.#place.begin(frame.session, frame.epoch, frame.resumed)) {
      this.#outbox.begin();
      this.#shown = false;
    }
    this.#outbox.knows(frame.ref);
    this.#member = frame.member;
    this.#pace = new Pace(frame.limits, performance.now());
    this.#renewal.keep(frame.session, frame.expires, this.#options.now ?? Date.now, (error) =>
      this.#emitter.emit("error", new RoomError("token_expired", String(error), true)),
    );
    this.#input({ type: "welcome" });
    if (this.#state.name !== "open") return;
    this.#present({ type: "presence", members: frame.members });
    this.#showPresence();
  }

  /** Hands over what is new. Returns whether it could: not when something is missing before. */
  #publications({ from, upto, items }: Extract<ServerFrame, { type: "pub" }>): boolean {
    if (from > this.#place.offset + 1) return false;
    const wire = this.#wire;
    for (const item of items) {
      if (item.offset <= this.#place.offset) continue;
      // Before it is handed over: a listener that closes the client must not be told of it again.
      this.#place.moveTo(item.offset);
      this.#emitter.emit("publication", item as Typed<T>);
      if (this.#wire !== wire) return true;
    }
    this.#place.moveTo(Math.max(upto, this.#place.offset));
    return true;
  }

  #present({ members, join = [], update = [], leave = [] }: Extract<ServerFrame, { type: "presence" }>): void {
    if (members) this.#members.clear();
    for (const member of [...(members ?? []), ...join, ...update]) this.#members.set(member.id, member as Person<T>);
    for (const id of leave) this.#members.delete(id);
    this.#emitter.emit("members", this.members);
  }

  #refused(error: RoomError, ref?: number): void {
    if (error.code === "rate_limited") this.#pace?.refused(error.retryAfter ?? 1_000);
    if (ref === undefined) this.#emitter.emit("error", error);
    else if (!this.#calls.answer(ref, error)) this.#outbox.refuse(ref, error);
  }

  /** Sends what the outbox holds, no faster than the room takes it. */
  #flush(): void {
    const limits = this.#wire?.limits;
    if (this.#state.name !== "open" || !limits || !this.#pace || this.#outbox.size === 0) return;
    const allowance = this.#pace.allowance(performance.now());
    // No more in flight than the room takes at once: should a slow line deliver them together, it takes them all.
    const flying = Math.min(limits.refs, limits.burst);
    for (const frame of this.#outbox.take(flying, limits.message, allowance)) this.#send(frame);
    if (this.#pace.wait > 0) this.#later("pace", this.#pace.wait, () => this.#flush());
  }

  #send(frame: string, cost = 1): boolean {
    if (this.#state.name !== "open" || !this.#wire?.send(frame)) return false;
    this.#pace?.spend(cost);
    return true;
  }

  /** Sends what a program made. Returns why not, if it cannot. */
  #offer(frame: string): RoomError | undefined {
    const error = unfit(frame, this.#wire?.limits?.message ?? Infinity);
    if (error || this.#send(frame)) return error;
    return new RoomError("not_connected", "Not connected.", true);
  }

  #tell(frame: string): boolean {
    const error = this.#offer(frame);
    if (!error || error.retryable) return true;
    this.#emitter.emit("error", error);
    return false;
  }

  #showPresence(): void {
    if (this.#presence === undefined || this.#shown) return;
    // What cannot be sent now will never be.
    this.#shown = !this.#tell(encode({ type: "presence", data: this.#presence }));
  }

  /** One timer per name; without `run`, none. */
  #later(name: string, delay = 0, run?: () => void): void {
    clearTimeout(this.#timers.get(name) as never);
    if (run) this.#timers.set(name, setTimeout(run, delay));
    else this.#timers.delete(name);
  }
}
