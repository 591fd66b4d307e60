/**
 * Keeps a connection to the room for as long as the program wants one: dials, waits, reconnects and gives up as the
 * state machine decides. Owns the current socket and the timer of the current state. Does not know what frames mean.
 */
import type { NextStep } from "../../protocol/codes.ts";
import type { Limits } from "../../protocol/frames.ts";
import { RoomSocket, type SocketClass, type SocketEvents } from "./socket.ts";
import { transition, type Action, type Input, type State } from "./state.ts";

/** How long a connection must be open before the next loss counts as the first. */
const STABLE_MS = 10_000;
/** How long the program may take to get a token. */
const TOKEN_TIMEOUT_MS = 30_000;

/** What a connection asks of its owner, and reports to it. */
export interface ConnectionOwner extends Pick<SocketEvents, "frames" | "latency"> {
  /** Where to connect, at each try. */
  url(): string;
  /** Gets a token, at each try. */
  token(): Promise<string>;
  /** The state has another name. */
  changed(state: State): void;
  /** What to do after a loss, given what the room's code says. */
  afterLoss(next: NextStep, reason: string): NextStep;
  /** The socket is gone, if there was one. */
  hungUp(): void;
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

  /** What the room takes, once it has said so. */
  get limits(): Limits | undefined {
    return this.#socket?.limits;
  }

  /** Sends a frame. Returns whether there is an open socket. */
  send(frame: string): boolean {
    return this.#socket?.send(frame) ?? false;
  }

  /** Whether the room owes an answer now. */
  expectAnswer(isDue: boolean): void {
    this.#socket?.expectAnswer(isDue);
  }

  /** The room has said welcome. */
  open(): void {
    this.input({ type: "welcome" });
  }

  /** The network or the page is back: checks an open line, or tries again unless the room asked to wait. */
  wake(): void {
    if (this.isOpen) this.#socket?.probe();
    else if (performance.now() >= this.#notBefore) this.input({ type: "wake" });
  }

  /** Something happened: takes the step that follows. */
  input(input: Input): void {
    const before = this.#state;
    const { state, actions } = transition(before, input, this.#random);
    this.#state = state;
    for (const action of actions) this.#act(action);
    // An action may have led to another step.
    if (state !== this.#state || state.name === before.name) return;
    if (state.name === "open") this.#after(STABLE_MS, () => this.input({ type: "stable" }));
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
        this.#after(action.delay, () => this.input({ type: "timer" }));
        break;
    }
  }

  async #dial(): Promise<void> {
    const attempt = ++this.#attempt;
    const fail = (why: unknown) => this.input({ type: "lost", next: "later", reason: `no token: ${String(why)}` });
    this.#after(TOKEN_TIMEOUT_MS, () => fail("too late"));
    try {
      const token = await this.#owner.token();
      // Closed, lost or dialled again while the program got the token.
      if (attempt !== this.#attempt) return;
      clearTimeout(this.#timer as never);
      const lost: SocketEvents["lost"] = (next, reason, retryAfter) => this.#lost(next, reason, retryAfter);
      this.#socket = new RoomSocket(this.#Class, this.#owner.url(), token, { ...this.#owner, lost });
    } catch (error) {
      if (attempt === this.#attempt) fail(error);
    }
  }

  #lost(next: NextStep, reason: string, retryAfter = 0): void {
    this.#notBefore = performance.now() + retryAfter;
    this.input({ type: "lost", next: this.#owner.afterLoss(next, reason), reason, retryAfter });
  }

  #after(ms: number, run: () => void): void {
    this.#timer = setTimeout(run, ms);
  }
}
