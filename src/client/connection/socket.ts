/**
 * One WebSocket from dial to end: frames in and out, several frames of one turn in one message, the watchdog that
 * notices a dead line, by a clock that nobody sets. Knows nothing of sessions, and never comes back: every try is a new Wire.
 */
import { decodeServer, join } from "../../protocol/codec.ts";
import { nextStep, type NextStep } from "../../protocol/codes.ts";
import { BEARER_PREFIX, PING, PONG, SUBPROTOCOL, type Limits, type ServerFrame } from "../../protocol/frames.ts";

/** What of the platform's WebSocket is needed; pass another class to use one's own. */
export interface Socket {
  readonly readyState: number;
  send(data: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: string, listener: (event: { data?: unknown; code?: number; reason?: string }) => void): void;
}
export type SocketClass = new (url: string, protocols: string[]) => Socket;

/** What the owner of a wire is told. */
export interface WireEvents {
  /** The frames of one message, and its length. */
  frames(frames: readonly ServerFrame[], length: number): void;
  /** It is over, once. */
  lost(next: NextStep, reason: string, retryAfter?: number): void;
  /** Round trip of a ping, in ms. */
  latency(ms: number): void;
}

/** Silence past the next heartbeat's time that means the line is dead, in ms. */
const LATE = 10_000;
/** Until the welcome, in ms. */
const OPENING = 15_000;
/** How long an answer to a probe may take, in ms. */
const PROBE = 3_000;
/** Ready states of the WebSocket interface. */
const OPEN = 1;

/** One connection. */
export class Wire {
  readonly #socket: Socket;
  readonly #events: WireEvents;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #deadline = 0;
  /** When the next heartbeat is due; before the first, when the welcome is. */
  #due: number;
  #pinged: number | undefined;
  #outgoing: string[] = [];
  #over = false;
  limits: Limits | undefined;

  constructor(Class: SocketClass, url: string, token: string, events: WireEvents) {
    this.#events = events;
    this.#due = performance.now() + OPENING - LATE;
    this.#socket = new Class(url, [SUBPROTOCOL, BEARER_PREFIX + token]);
    this.#socket.addEventListener("message", ({ data }) => this.#hear(data));
    this.#socket.addEventListener("close", ({ code = 1006, reason }) => {
      this.#end(nextStep(code), reason || `closed with ${code}`);
    });
    // `close` follows, but not on every platform when the upgrade fails.
    this.#socket.addEventListener("error", () => this.#end("later", "the connection failed"));
    this.#watch();
    this.#arm();
  }

  /** Sends a frame with whatever else this turn sends. `false`: the socket is not open. */
  send(frame: string): boolean {
    if (this.#over || this.#socket.readyState !== OPEN) return false;
    this.#outgoing.push(frame);
    if (this.#outgoing.length === 1) queueMicrotask(() => this.#flush());
    return true;
  }

  /** Asks for a sign of life, and gives the answer 3 s: after sleep or a change of network. */
  probe(): void {
    if (this.#over || this.#socket.readyState !== OPEN) return;
    this.#ping();
    this.#deadline = Math.min(this.#deadline, performance.now() + PROBE);
    this.#arm();
  }

  /** Ends it without telling the owner. What this turn has sent goes out first. */
  close(): void {
    if (this.#over) return;
    this.#flush();
    this.#over = true;
    clearTimeout(this.#timer as never);
    if (this.#socket.readyState <= OPEN) this.#socket.close(1000);
  }

  #flush(): void {
    const { message = Infinity, batch = 1 } = this.limits ?? {};
    let together: string[] = [];
    let length = 2;
    const push = () => {
      if (together.length > 0 && this.#socket.readyState === OPEN) this.#socket.send(join(together));
    };
    for (const frame of this.#outgoing) {
      // Three bytes a unit at most: never over the limit, whatever the text.
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
    if (this.#over || typeof data !== "string") return;
    this.#watch();
    if (data === PONG) {
      if (this.#pinged !== undefined) this.#events.latency(performance.now() - this.#pinged);
      this.#pinged = undefined;
      return;
    }
    const frames = decodeServer(data);
    if (!frames) return;
    for (const frame of frames) {
      if (frame.type === "welcome") {
        this.limits = frame.limits;
        this.#beat(frame.heartbeat);
      } else if (frame.type === "heartbeat") this.#beat(frame);
    }
    this.#events.frames(frames, data.length);
    const bye = frames.find((frame) => frame.type === "bye");
    if (bye) this.#end(nextStep(bye.code), bye.message ? `${bye.reason}: ${bye.message}` : bye.reason, bye.retryAfter);
  }

  #ping(): void {
    if (this.#socket.readyState !== OPEN) return;
    this.#pinged = performance.now();
    this.#socket.send(PING);
  }

  #beat({ next }: { readonly next: number }): void {
    this.#due = performance.now() + next;
    this.#watch();
    // The deadline may be nearer than it was.
    this.#arm();
    this.#ping();
  }

  /** Something was heard: from here the line may be silent until the next heartbeat is late. */
  #watch(): void {
    this.#deadline = Math.max(performance.now(), this.#due) + LATE;
  }

  /** A timer that looks at the deadline when it rings, instead of one per message. */
  #arm(): void {
    clearTimeout(this.#timer as never);
    this.#timer = setTimeout(
      () => {
        if (performance.now() < this.#deadline) this.#arm();
        else this.#end("reconnect", "the line is dead");
      },
      Math.max(0, this.#deadline - performance.now()),
    );
  }

  #end(next: NextStep, reason: string, retryAfter?: number): void {
    if (this.#over) return;
    this.close();
    this.#events.lost(next, reason, retryAfter);
  }
}
