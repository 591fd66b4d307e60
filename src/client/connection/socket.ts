/**
 * One WebSocket from dial to end: frames in and out, with all frames of one turn in one message. Knows nothing of
 * sessions and never reconnects: every try is a new `RoomSocket`.
 */
import { decodeServer, join } from "../../protocol/codec.ts";
import { bearerProtocol } from "../../protocol/bearer.ts";
import { nextStep, type CodeName, type NextStep } from "../../protocol/codes.ts";
import { PING, PONG, SUBPROTOCOL, type Limits, type ServerFrame } from "../../protocol/frames.ts";
import type { Loss } from "./state.ts";
import { PROBE_MS, Watchdog } from "./watchdog.ts";

/** What the client reads of a platform's events. */
interface PlatformEvent {
  readonly data?: unknown;
  readonly code?: number;
  readonly reason?: string;
}
/** The part of the platform's WebSocket that the client needs. */
export interface Socket {
  readonly readyState: number;
  /** Bytes that were sent and have not left; not every platform says. */
  readonly bufferedAmount?: number;
  send(data: string): void;
  close(code?: number, reason?: string): void;
  // One for each event: a class that types its listeners by the event's name, such as that of `ws`, fits too.
  addEventListener(type: "message", listener: (event: PlatformEvent) => void): void;
  addEventListener(type: "close", listener: (event: PlatformEvent) => void): void;
  addEventListener(type: "error", listener: () => void): void;
}
/** The platform's WebSocket class, or one that behaves like it. */
export type SocketClass = new (url: string, protocols: string[]) => Socket;

/** What a socket reports to its owner. */
export interface SocketEvents {
  /** The frames of one message, and the length of the message. */
  frames(frames: readonly ServerFrame[], length: number): void;
  /** The socket is over. Called at most once. */
  lost(loss: Loss): void;
  /** Round trip of a ping, in ms. */
  latency(ms: number): void;
}

/** Where a socket goes. */
export interface Dial {
  readonly url: string;
  /** `undefined` where cookies are the token. */
  readonly token: string | undefined;
  /** The longest time between two pings, in ms. */
  readonly pingInterval: number;
}

/** How long the welcome may take. */
const OPENING_MS = 15_000;
/** Close codes of a line that was cut, or closed by something that does not know the protocol. */
const CUT = [1000, 1005, 1006];
/** Ready state of an open WebSocket. */
const OPEN = 1;

/** One connection. */
export class RoomSocket {
  readonly #socket: Socket;
  readonly #events: SocketEvents;
  readonly #watchdog: Watchdog;
  /** What to do at the answer of each ping, oldest first: pongs come in the order of their pings. */
  #pings: (() => void)[] = [];
  /** Those who wait for a sign of life. */
  #probes: ((isAlive: boolean) => void)[] = [];
  #outgoing: string[] = [];
  #isOver = false;
  #limits: Limits | undefined;

  constructor(Class: SocketClass, { url, token, pingInterval }: Dial, events: SocketEvents) {
    this.#events = events;
    this.#socket = new Class(url, token ? [SUBPROTOCOL, bearerProtocol(token)] : [SUBPROTOCOL]);
    this.#socket.addEventListener("message", ({ data }) => this.#hear(data));
    this.#socket.addEventListener("close", ({ code = 1006, reason = "" }) => {
      const next = CUT.includes(code) ? this.#afterCut : nextStep(code);
      // Rooms give their word for the code as the reason.
      const told = code === 4401 ? "unauthorized" : (reason as CodeName) || undefined;
      this.#end({ next, code: told, reason: reason || `closed with ${code}` });
    });
    // `close` follows, but not on every platform when the upgrade fails.
    this.#socket.addEventListener("error", () => this.#end({ next: this.#afterCut, reason: "the connection failed" }));
    this.#watchdog = new Watchdog(OPENING_MS, pingInterval, {
      ask: () => this.ping(),
      giveUp: () => this.#end({ next: "reconnect", reason: "the line is dead" }),
    });
  }

  get #isOpen(): boolean {
    return !this.#isOver && this.#socket.readyState === OPEN;
  }

  /** A line that was open proves that connecting works. */
  get #afterCut(): NextStep {
    return this.#limits ? "reconnect" : "later";
  }

  /** Bytes that were sent and have not left, where the platform says. */
  get buffered(): number | undefined {
    return this.#socket.bufferedAmount;
  }

  /** Sends a frame together with the other frames of this turn. Returns whether the socket is open. */
  send(frame: string): boolean {
    if (!this.#isOpen) return false;
    this.#outgoing.push(frame);
    if (this.#outgoing.length === 1) queueMicrotask(() => this.#flush());
    return true;
  }

  /** Whether the room owes an answer now. While it does, silence is noticed sooner. */
  expectAnswer(isDue: boolean): void {
    if (this.#isOpen) this.#watchdog.expectAnswer(isDue);
  }

  /** Asks for a sign of life, and gives the line up when nothing comes within 3 s. Resolves with whether it lives. */
  probe(): Promise<boolean> {
    return new Promise((resolve) => {
      if (!this.#isOpen) return resolve(false);
      this.#probes.push(resolve);
      this.#watchdog.ask(PROBE_MS);
    });
  }

  /** Sends a ping behind everything that was sent so far: its answer wakes no room, and is reported as `latency`. */
  ping(answered?: () => void): void {
    if (!this.#isOpen) return;
    this.#flush();
    const at = performance.now();
    this.#pings.push(() => {
      answered?.();
      this.#events.latency(performance.now() - at);
    });
    this.#socket.send(PING);
  }

  /** Ends it without a report to the owner. What this turn has sent goes out first. */
  close(): void {
    if (this.#isOver) return;
    this.#flush();
    this.#isOver = true;
    this.#watchdog.stop();
    this.#answerProbes(false);
    if (this.#socket.readyState <= OPEN) this.#socket.close(1000);
  }

  #flush(): void {
    const { message = Infinity, batch = 1 } = this.#limits ?? {};
    let together: string[] = [];
    let length = 2;
    const push = () => {
      if (together.length > 0 && this.#isOpen) this.#socket.send(join(together));
    };
    for (const frame of this.#outgoing) {
      // At most three bytes for each UTF-16 unit: never over the limit, whatever the text.
      const bytes = frame.length * 3 + 1;
      if (together.length >= batch || length + bytes > message) {
        push();
        together = [];
        length = 2;
      }
      together.push(frame);
      length += bytes;
    }
    this.#outgoing = [];
    push();
  }

  #hear(data: unknown): void {
    if (this.#isOver || typeof data !== "string") return;
    const frames = decodeServer(data) ?? [];
    for (const frame of frames) if (frame.type === "welcome") this.#limits = frame.limits;
    // Until then nothing is a sign of life: what talks need not be a room.
    if (this.#limits) this.#watchdog.heard();
    this.#answerProbes(true);
    if (data === PONG) return this.#pings.shift()?.();
    if (frames.length === 0) return;
    // To a heartbeat the ping is the answer.
    if (frames.some(({ type }) => type === "welcome" || type === "heartbeat")) this.#watchdog.ask();
    this.#events.frames(frames, data.length);
    const bye = frames.find((frame) => frame.type === "bye");
    if (!bye) return;
    const { code, reason, message, retryAfter } = bye;
    this.#end({ next: nextStep(code), code: reason, reason: message ? `${reason}: ${message}` : reason, retryAfter });
  }

  #answerProbes(isAlive: boolean): void {
    for (const answer of this.#probes.splice(0)) answer(isAlive);
  }

  #end(loss: Loss): void {
    if (this.#isOver) return;
    this.close();
    this.#events.lost(loss);
  }
}
