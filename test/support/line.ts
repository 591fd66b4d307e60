/** A platform's socket whose other end is the test: for the client in virtual time, without a room or a runtime. */
import type { Socket, SocketClass } from "../../src/client/connection/socket.ts";
import { PING, PONG, type ClientFrame, type ServerFrame } from "../../src/protocol/frames.ts";

/** What rooms tell in `welcome` unless a test says otherwise. */
export const LIMITS = { message: 2_048, batch: 64, rate: 50, burst: 100, refs: 256 };

/** One socket. The test opens it, speaks for the room, and reads what the client sent. */
export class Line implements Socket {
  readonly url: URL;
  /** What it asks to resume, as a query; empty for a new session. */
  readonly resume: string;
  readonly protocols: readonly string[];
  readyState = 0;
  /** Messages as they were sent, pings among them. */
  readonly sent: string[] = [];
  closed = 0;
  readonly #listeners = new Map<string, (event: object) => void>();

  constructor(url: string, protocols: string[]) {
    this.url = new URL(url);
    const asked = new URL(url).searchParams;
    for (const other of ["credit", "attempt"]) asked.delete(other);
    this.resume = asked.toString();
    this.protocols = protocols;
  }
  send(data: string): void {
    this.sent.push(data);
  }
  close(): void {
    this.closed++;
    this.readyState = 2;
  }
  addEventListener(type: string, listener: (event: object) => void): void {
    this.#listeners.set(type, listener);
  }

  /** Delivers an event to the client. */
  says(type: string, event: object = {}): void {
    this.#listeners.get(type)?.(event);
  }
  /** Delivers one message of frames. */
  hears(...frames: object[]): void {
    this.says("message", { data: JSON.stringify(frames) });
  }
  /** The network is gone. */
  cut(): void {
    this.readyState = 3;
    this.says("close", { code: 1006, reason: "" });
  }
  /** Answers a ping. */
  pongs(): void {
    this.says("message", { data: PONG });
  }
  /**
   * Opens it and says welcome, with what a test wants said differently; more frames may follow in the message. The ping that
   * comes for it is answered.
   */
  welcome(different: Partial<Extract<ServerFrame, { type: "welcome" }>> = {}, ...frames: object[]): void {
    this.readyState = 1;
    const welcome = { type: "welcome", session: "s", member: "ann", epoch: "e", offset: 0, resumed: false, ref: 0 };
    const members = [{ id: different.member ?? "ann" }];
    const rest = { expires: Date.now() + 3_600_000, limits: LIMITS, heartbeat: { next: 30_000 }, members };
    this.hears({ ...welcome, ...rest, ...different }, ...frames);
    this.pongs();
  }

  /** The frames that were sent, one by one. */
  get frames(): ClientFrame[] {
    return this.sent.filter((text) => text !== PING).flatMap((text) => JSON.parse(text) as ClientFrame | ClientFrame[]);
  }
  of<T extends ClientFrame["type"]>(type: T): Extract<ClientFrame, { type: T }>[] {
    return this.frames.filter((frame): frame is Extract<ClientFrame, { type: T }> => frame.type === type);
  }
}

/** A class of sockets, and all sockets that were made of it. `opened` is called with each. */
export function lines(opened: (line: Line) => void = () => undefined): { Class: SocketClass; all: Line[] } {
  const all: Line[] = [];
  class Kept extends Line {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      all.push(this);
      opened(this);
    }
  }
  return { Class: Kept, all };
}
