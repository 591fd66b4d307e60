/**
 * Keeps a connection to the room for as long as the program wants one: dials, waits, reconnects and gives up as the
 * state machine decides. Owns the current socket and the timer of the current state. Does not know what frames mean.
 */
import type { NextStep } from "../../protocol/codes.ts";
import type { ServerFrame } from "../../protocol/frames.ts";
import { after } from "../timer.ts";
import { watchPage } from "./page.ts";
import { RoomSocket, type SocketClass } from "./socket.ts";
import { transition, type Action, type Input, type Loss, type State } from "./state.ts";

/** How long a connection must be open before the next loss counts as the first. */
const STABLE_MS = 10_000;
/** How long the program may take to get a token. */
const TOKEN_TIMEOUT_MS = 30_000;

/** Where the tokens of a connection come from. */
export interface TokenGetter {
  /** Gets a token, at each try; `undefined` where cookies are the token. */
  forConnection(): Promise<string | undefined>;
  /** What it means that there is none. */
  missing(why: unknown): Loss;
}

/** What a connection asks of its owner, and reports to it. */
export interface ConnectionOwner {
  /** Where to connect, at each try. */
  address(): string;
  readonly token: TokenGetter;
  /** The frames of one message, and the length of the message. */
  receive(frames: readonly ServerFrame[], length: number): void;
  /** What to do after a loss, given what the room's code says. */
  afterLoss(loss: Loss): NextStep;
  /** The socket is gone, if there was one. */
  hungUp(): void;
  /** The state has another name. */
  changed(state: State): void;
  /** Round trip of a ping, in ms. */
  measured(latency: number): void;
}

/** What a {@link Connection} is made from. */
export interface ConnectionOptions {
  /** From 0 to 1. */
  readonly random: () => number;
  /** The longest time between two pings, in ms. */
  readonly pingInterval: number;
}

/** The connection of one client. */
export class Connection {
  readonly #Class: SocketClass;
  readonly #random: () => number;
  readonly #pingInterval: number;
  readonly #owner: ConnectionOwner;
  #state: State = { name: "idle" };
  #socket: RoomSocket | undefined;
  /** Counts dials and hang-ups, so that a token that comes too late is recognized. */
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The room asked the client not to come back before this moment. */
  #notBefore = 0;
  #unwatch: (() => void) | undefined;

  constructor(Class: SocketClass, { random, pingInterval }: ConnectionOptions, owner: ConnectionOwner) {
    this.#Class = Class;
    this.#random = random;
    this.#pingInterval = pingInterval;
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
    this.#unwatch ??= watchPage({
      online: () => void this.#wake("online"),
      // Some lines outlive it: those within the device, for instance.
      offline: () => void this.#socket?.probe(),
      visible: () => void this.#wake("wake"),
    });
    this.#input({ type: "connect" });
  }

  /** Asks an open line for a sign of life, and ends a wait. Resolves with whether there is a line, and it lives. */
  async check(): Promise<boolean> {
    return this.#wake("wake") ?? false;
  }

  /** Ends it until the next `connect()`. */
  close(reason: string): void {
    this.#input({ type: "close", reason });
  }

  /** Ends the line as if it were lost in this way. */
  fail(loss: Loss): void {
    this.#input({ type: "lost", ...loss });
  }

  /** The line may have died, or may work again: checks an open one, or tries again unless the room asked to wait. */
  #wake(type: "wake" | "online"): Promise<boolean> | undefined {
    if (this.isOpen) return this.#socket?.probe();
    if (performance.now() >= this.#notBefore) this.#input({ type });
    return undefined;
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
    const owner = this.#owner;
    const fail = (why: unknown) => this.fail(owner.token.missing(why));
    this.#after(TOKEN_TIMEOUT_MS, () => fail("too late"));
    let token: string | undefined;
    try {
      token = await owner.token.forConnection();
    } catch (error) {
      if (attempt === this.#attempt) fail(error);
      return;
    }
    // Closed, lost or dialled again while the program got the token.
    if (attempt !== this.#attempt) return;
    clearTimeout(this.#timer as never);
    try {
      this.#socket = new RoomSocket(
        this.#Class,
        { url: owner.address(), token, pingInterval: this.#pingInterval },
        {
          frames: (frames, length) => owner.receive(frames, length),
          latency: (ms) => owner.measured(ms),
          lost: (loss) => {
            this.#notBefore = performance.now() + (loss.retryAfter ?? 0);
            this.fail({ ...loss, next: owner.afterLoss(loss) });
          },
        },
      );
    } catch (error) {
      // What the platform says of it may quote the token.
      this.fail({ next: "later", reason: `no WebSocket: ${(error as Error).name}` });
    }
  }

  #after(ms: number, run: () => void): void {
    this.#timer = after(ms, run);
  }
}
