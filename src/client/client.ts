/**
 * The client: what a program in a browser, Node, Workers, Deno or Bun uses to stay in a room whatever the network does.
 * Puts together the machine (when to connect), the wire (one socket), the outbox (what is not settled) and the
 * position. The published entry `edgerooms/client`.
 */
import { encode } from "../protocol/codec.ts";
import type { Json, ServerFrame } from "../protocol/frames.ts";
import { addressOf, type Address } from "./address.ts";
import { Calls } from "./calls.ts";
import { Emitter } from "./emitter.ts";
import { RoomError } from "./error.ts";
import type { Of, Person, RoomEvents, RoomTypes, Typed } from "./events.ts";
import { transition, type Action, type Input, type State } from "./machine.ts";
import type { ConnectOptions } from "./options.ts";
import { Outbox, type Ack } from "./outbox.ts";
import { Pace } from "./pace.ts";
import { Place } from "./place.ts";
import { Renewal } from "./renewal.ts";
import { defaultStore, type Saved } from "./storage.ts";
import { Wire, type SocketClass } from "./wire.ts";

export { RoomError, type RoomErrorCode } from "./error.ts";
export type { RoomEvents, RoomTypes } from "./events.ts";
export type { ConnectOptions } from "./options.ts";
export type { State } from "./machine.ts";
export type { Ack } from "./outbox.ts";
export { memoryStore, type SessionStore } from "./storage.ts";
export type { Json, Member, Publication, ResetReason } from "../protocol/frames.ts";

/** After this many ms in the room a connection counts as good, and the next loss as the first. */
const STABLE = 10_000;
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
  readonly #address: Address;
  readonly #options: ConnectOptions;
  readonly #emitter = new Emitter<RoomEvents<T>>();
  readonly #outbox: Outbox;
  readonly #calls = new Calls();
  readonly #place: Place;
  readonly #renewal: Renewal;
  readonly #members = new Map<string, Person<T>>();
  readonly #now: () => number;
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #wake = () => {
    if (this.#state.name === "open") this.#wire?.probe();
    else this.#input({ type: "wake" });
  };
  #state: State = { name: "idle" };
  #wire: Wire | undefined;
  #dials = 0;
  #presence: Json | undefined;
  #pace: Pace | undefined;

  constructor(url: string | URL, options: ConnectOptions) {
    if (!(options.WebSocket ?? (globalThis as { WebSocket?: SocketClass }).WebSocket)) {
      throw new TypeError("this platform has no WebSocket: pass one as the option WebSocket");
    }
    const { count = 1_000, bytes = 1_000_000 } = options.outbox ?? {};
    this.#address = addressOf(url, options.room);
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#outbox = new Outbox({ count, bytes });
    this.#place = new Place(options.storage ?? defaultStore(), this.#address.socket);
    this.#renewal = new Renewal(options.token, this.#address.session);
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
  async *[Symbol.asyncIterator](): AsyncGenerator<Typed<T>, void> {
    const items: Typed<T>[] = [];
    let wake: (() => void) | undefined;
    const stops = [
      this.on("publication", (item) => (items.push(item), wake?.())),
      this.on("state", ({ name }) => name === "closed" && wake?.()),
    ];
    try {
      while (true) {
        const item = items.shift();
        if (item) yield item;
        else if (this.#state.name === "closed") return;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      for (const stop of stops) stop();
    }
  }

  /** Connects, or tries again at once. Does nothing while there is a connection. */
  connect(): void {
    for (const [target, event] of wakers()) target.addEventListener(event, this.#wake);
    this.#input({ type: "connect" });
  }

  /**
   * Publishes. Settles once, also across reconnects.
   *
   * @returns the publication's offset and time once it is durable; rejects with a {@link RoomError}
   */
  async publish(data: Of<T, "publication">, options: { to?: readonly string[] } = {}): Promise<Ack> {
    if (this.#state.name === "closed") throw new RoomError("closed", "The client is closed.", false);
    const settled = this.#outbox.add(data as Json, options.to);
    this.#flush();
    return settled;
  }

  /** Sends to whoever is here now. Lost when there is no connection. */
  signal(data: Of<T, "signal">, options: { to?: readonly string[] } = {}): void {
    this.#send(encode({ type: "signal", data: data as Json, ...options }));
  }

  /** Sets what the others see of this member; kept and set again in a new session. */
  setPresence(data: Of<T, "presence">): void {
    this.#presence = data as Json;
    this.#send(encode({ type: "presence", data: this.#presence }));
  }

  /** Calls a method of the room. Never sent twice: when the connection is lost first, it is `outcome_unknown`. */
  call(method: string, data: Json = null): Promise<Json> {
    return this.#calls.make(
      (ref) => this.#state.name === "open" && this.#send(encode({ type: "call", ref, method, data })),
    );
  }

  /** Ends the session: the others are told at once, and nothing can be resumed. */
  leave(): void {
    this.#wire?.send(encode({ type: "leave" }));
    this.#place.forget();
    // What this turn has sent must be on its way first.
    queueMicrotask(() => this.#end("left"));
  }

  /** Goes, and can resume: the session stays open for the room's resume window. */
  close(): void {
    this.#end("closed");
  }

  #end(reason: string): void {
    for (const [target, event] of wakers()) target.removeEventListener(event, this.#wake);
    this.#input({ type: "close", reason });
  }

  #input(input: Input): void {
    const before = this.#state;
    const { state, actions } = transition(before, input, this.#options.random ?? Math.random);
    this.#state = state;
    for (const action of actions) this.#act(action);
    if (state === before) return;
    if (state.name === "open") this.#later("stable", STABLE, () => this.#input({ type: "stable" }));
    if (state.name === "closed") {
      for (const name of this.#timers.keys()) this.#later(name);
      this.#outbox.close(`The client is closed: ${state.reason}.`);
    }
    if (state.name !== before.name || state.name === "waiting") this.#emitter.emit("state", state);
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
        this.#outbox.land();
        for (const name of ["stable", "renew", "pace"]) this.#later(name);
        this.#calls.lose();
        break;
      case "wait":
        this.#later("retry", action.delay, () => this.#input({ type: "timer" }));
        break;
      case "stopWaiting":
        this.#later("retry");
        break;
    }
  }

  async #dial(): Promise<void> {
    const dial = ++this.#dials;
    try {
      const token = await this.#renewal.token();
      // Closed, or lost, or dialled again while the token was fetched.
      if (dial !== this.#dials) return;
      const url = new URL(this.#address.socket);
      url.searchParams.set("credit", "1");
      for (const [key, value] of Object.entries(this.#place.saved ?? {})) url.searchParams.set(key, String(value));
      const Class = this.#options.WebSocket ?? (globalThis as unknown as { WebSocket: SocketClass }).WebSocket;
      this.#wire = new Wire(
        Class,
        url.href,
        token,
        {
          frames: (frames, length) => this.#hear(frames, length),
          lost: (next, reason, retryAfter) => {
            // Another holder of this session, a duplicated tab for instance: it keeps it, we take a new one.
            if (reason.startsWith("replaced")) this.#place.forget();
            const step = reason.startsWith("replaced") ? "reconnect" : next;
            this.#input({ type: "lost", next: step, reason, ...(retryAfter !== undefined && { retryAfter }) });
          },
          latency: (ms) => this.#emitter.emit("latency", ms),
        },
        this.#now,
      );
    } catch (error) {
      if (dial === this.#dials) this.#input({ type: "lost", next: "later", reason: `no token: ${String(error)}` });
    }
  }

  #hear(frames: readonly ServerFrame[], length: number): void {
    let ahead = 0;
    let back = false;
    for (const frame of frames) {
      switch (frame.type) {
        case "welcome":
          this.#welcome(frame);
          back = frame.resumed;
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
          ahead = Math.max(ahead, this.#publications(frame));
          break;
        case "ack":
          this.#outbox.ack(frame.ref, { offset: frame.offset, at: frame.at });
          break;
        case "signal":
          this.#emitter.emit("signal", { by: frame.by, data: frame.data as Of<T, "signal"> });
          break;
        case "presence":
          this.#present(frame);
          break;
        case "reply":
          this.#calls.answer(frame.ref, frame.error ? toError(frame.error) : (frame.data ?? null));
          break;
        case "heartbeat":
          ahead = Math.max(ahead, frame.offset);
          break;
        case "error":
          if (frame.ref === undefined) this.#emitter.emit("error", toError(frame));
          else this.#refused(frame.ref, toError(frame));
          break;
        case "goaway":
          this.#emitter.emit("goaway", { within: frame.within });
          break;
        case "bye":
          break;
      }
    }
    if (back) this.#emitter.emit("resumed", { offset: this.#place.offset });
    this.#place.read(ahead, length, (frame) => this.#send(frame));
    this.#flush();
  }

  #welcome(frame: Extract<ServerFrame, { type: "welcome" }>): void {
    const isNew = this.#place.begin(frame.session, frame.epoch, frame.resumed, frame.offset);
    if (isNew) this.#outbox.begin();
    this.#outbox.knows(frame.ref);
    this.#pace = new Pace(frame.limits, this.#now());
    this.#renewBefore(frame.expires);
    this.#input({ type: "welcome" });
    this.#present({ type: "presence", members: frame.members });
    if (isNew && this.#presence !== undefined) this.setPresence(this.#presence as Of<T, "presence">);
  }

  /** Hands over what is new. Returns an offset to sync to when there is a gap, else 0. */
  #publications({ from, upto, items }: Extract<ServerFrame, { type: "pub" }>): number {
    if (from > this.#place.offset + 1) return upto;
    for (const item of items) {
      if (item.offset <= this.#place.offset) continue;
      // Before it is handed over: a listener that closes the client must not be told of it again.
      this.#place.moveTo(item.offset);
      this.#emitter.emit("publication", item as Typed<T>);
    }
    this.#place.moveTo(Math.max(upto, this.#place.offset));
    return 0;
  }

  #present({ members, join = [], update = [], leave = [] }: Extract<ServerFrame, { type: "presence" }>): void {
    if (members) this.#members.clear();
    for (const member of [...(members ?? []), ...join, ...update]) this.#members.set(member.id, member as Person<T>);
    for (const id of leave) this.#members.delete(id);
    this.#emitter.emit("members", this.members);
  }

  #refused(ref: number, error: RoomError): void {
    this.#outbox.refuse(ref, error);
    if (error.code !== "rate_limited") return;
    this.#pace?.empty();
    this.#later("pace", error.retryAfter ?? 1_000, () => this.#flush());
  }

  /** Sends what the outbox holds, no faster than the room takes it. */
  #flush(): void {
    const limits = this.#wire?.limits;
    if (this.#state.name !== "open" || !limits || !this.#pace || this.#outbox.size === 0) return;
    const allowance = this.#pace.allowance(this.#now());
    for (const frame of this.#outbox.take(limits.refs, limits.message, allowance)) this.#send(frame);
    if (this.#pace.wait > 0) this.#later("pace", this.#pace.wait, () => this.#flush());
  }

  #send(frame: string): boolean {
    if (!this.#wire?.send(frame)) return false;
    this.#pace?.spend();
    return true;
  }

  /** Replaces the token in time, so that the connection lives on. */
  #renewBefore(expires: number): void {
    const due = this.#renewal.dueIn(expires, this.#now());
    if (due === undefined) return;
    this.#later("renew", due, () => {
      this.#renewal.renew(this.#place.saved?.session ?? "").then(
        (next) => this.#renewBefore(next),
        // Not the end: when the token runs out the room says so, and a new connection gets a new one.
        (error: unknown) => this.#emitter.emit("error", new RoomError("token_expired", String(error), true)),
      );
    });
  }

  /** One timer per name; without `run`, none. */
  #later(name: string, delay = 0, run?: () => void): void {
    clearTimeout(this.#timers.get(name) as never);
    if (run) this.#timers.set(name, setTimeout(run, delay));
    else this.#timers.delete(name);
  }
}

function toError(error: {
  code: RoomError["code"];
  message: string;
  retryable: boolean;
  retryAfter?: number;
}): RoomError {
  return new RoomError(error.code, error.message, error.retryable, error.retryAfter);
}

interface Target {
  addEventListener(type: string, listener: () => void): void;
  removeEventListener(type: string, listener: () => void): void;
}

/** What tells a browser's page that a connection may work again. Elsewhere there is nothing. */
function wakers(): [Target, string][] {
  const { document, window } = globalThis as { document?: Target; window?: Target };
  return document && window
    ? [
        [window, "online"],
        [document, "visibilitychange"],
      ]
    : [];
}
