/**
 * Keeps a connection to the room for as long as the program wants one: dials, waits, reconnects and gives up as the
 * state machine decides. Owns the current socket and the timer of the current state. Does not know what frames mean.
 */
import type { NextStep } from "../../protocol/codes.ts";
import type { ServerFrame } from "../../protocol/frames.ts";
import { watchPage } from "./page.ts";
import { RoomSocket, type SocketClass } from "./socket.ts";
import { transition, type Action, type Input, type State } from "./state.ts";

/** How long a connection must be open before the next loss counts as the first. */
const STABLE_MS = 10_000;
/** How long the program may take to get a token. */
const TOKEN_TIMEOUT_MS = 30_000;

/** What a connection asks of its owner, and reports to it. */
export interface ConnectionOwner {
  /** Where to connect, at each try. */
  address(): string;
  /** Gets a token, at each try. */
  getToken(): Promise<string>;
  /** The frames of one message, and the length of the message. */
  receive(frames: readonly ServerFrame[], length: number): void;
  /** What to do after a loss, given what the room's code says. */
  afterLoss(next: NextStep, reason: string): NextStep;
  /** The socket is gone, if there was one. */
  hungUp(): void;
  /** The state has another name. */
  changed(state: State): void;
  /** Round trip of a ping, in ms. */
  measured(latency: number): void;
}

/** The connection of one client. */
export class Connection {
  readonly #Class: SocketClass;
  readonly #random: () => number;
  readonly #owner: ConnectionOwner;
  #state: State = { name: "idle" };
  #socket: RoomSocket | undefined;
  /** Counts dials and hang-ups, so that a token that comes too late is recognized. */
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The room asked the client not to come back before this moment. */
  #notBefore = 0;
  #unwatch: (() => void) | undefined;

  constructor(Class: SocketClass, random: () => number, owner: ConnectionOwner) {
    this.#Class = Class;
    this.#random = random;
    this.#owner = owner;
  }

  get state(): State {
    return this.#state;
  }

  get isOpen(): boolean {
    return this.#state.name === "open";
  }

  /** Sends a frame. Returns whether there is an open socket. */
  send(frame: string): boolean {
    return this.#socket?.send(frame) ?? false;
  }

  /** Whether the room owes an answer now. */
  expectAnswer(isDue: boolean): void {
    this.#socket?.expectAnswer(isDue);
  }

  /** Bytes that wait on this side of the network, where the platform says. */
  get buffered(): number | undefined {
    return this.#socket?.buffered;
  }

  /** Sends a ping behind everything that was sent so far. Calls `answered` when its answer has come. */
  ping(answered: () => void): void {
    this.#socket?.ping(answered);
  }

  /** The room has said welcome. */
  open(): void {
    this.#input({ type: "welcome" });
  }

  /** Connects, or tries again at once. Does nothing while there is a connection. */
  connect(): void {
    this.#unwatch ??= watchPage(() => this.#wake());
    this.#input({ type: "connect" });
  }

  /** Ends it until the next `connect()`. */
  close(reason: string): void {
    this.#input({ type: "close", reason });
  }

  /** The network or the page is back: checks an open line, or tries again unless the room asked to wait. */
  #wake(): void {
    if (this.isOpen) this.#socket?.probe();
    else if (performance.now() >= this.#notBefore) this.#input({ type: "wake" });
  }

  /** Something happened: takes the step that follows. */
  #input(input: Input): void {
    const before = this.#state;
    const { state, actions } = transition(before, input, this.#random);
    this.#state = state;
    for (const action of actions) this.#act(action);
    // An action may have led to another step.
    if (state !== this.#state || state.name === before.name) return;
    if (state.name === "open") this.#after(STABLE_MS, () => this.#input({ type: "stable" }));
    if (state.name === "closed") {
      this.#unwatch?.();
      this.#unwatch = undefined;
    }
    this.#owner.changed(state);
  }

  #act(action: Action): void {
    clearTimeout(this.#timer as never);
    switch (action.type) {
      case "dial":
        void this.#dial();
        break;
      case "hangUp":
        this.#attempt++;
        this.#socket?.close();
        this.#socket = undefined;
        this.#owner.hungUp();
        break;
      case "wait":
        this.#after(action.delay, () => this.#input({ type: "timer" }));
        break;
    }
  }

  async #dial(): Promise<void> {
    const attempt = ++this.#attempt;
    const fail = (why: unknown) => this.#input({ type: "lost", next: "later", reason: `no token: ${String(why)}` });
    this.#after(TOKEN_TIMEOUT_MS, () => fail("too late"));
    try {
      const token = await this.#owner.getToken();
      // Closed, lost or dialled again while the program got the token.
      if (attempt !== this.#attempt) return;
      clearTimeout(this.#timer as never);
      const owner = this.#owner;
      this.#socket = new RoomSocket(this.#Class, owner.address(), token, {
        frames: (frames, length) => owner.receive(frames, length),
        latency: (ms) => owner.measured(ms),
        lost: (next, reason, retryAfter = 0) => {
          this.#notBefore = performance.now() + retryAfter;
          this.#input({ type: "lost", next: owner.afterLoss(next, reason), reason, retryAfter });
        },
      });
    } catch (error) {
      if (attempt === this.#attempt) fail(error);
    }
  }

  #after(ms: number, run: () => void): void {
    this.#timer = setTimeout(run, ms);
  }
}
