/**
 * One WebSocket between a client and the object, with what the runtime keeps of it: state, attachment, when the peer last
 * sent `ping`. The object sees it through a handle that dies with its instance. Knows nothing of frames.
 */
import { PING, PONG } from "../../../src/protocol/frames.ts";
import { answerCode } from "../../../src/protocol/close.ts";
import type { RoomSocket } from "../../../src/room/runtime/platform.ts";
import { Lane, type Item, type Weather } from "./link.ts";
import type { Chance } from "./random.ts";
import type { Timeline } from "./timeline.ts";

/** The platform's limit, in bytes of the serialized value; what rooms attach is about as long as JSON. */
const MAX_ATTACHMENT = 16_384;
/** How long TCP tries in vain before the runtime learns that a line is dead, in ms. */
const DEAD_AFTER = [14_000, 900_000] as const;

/** What a wire needs of the world around it. */
export interface WireParts {
  readonly timeline: Timeline;
  readonly chance: Chance;
  readonly weather: Weather;
  /** The room's clock. */
  readonly wall: () => number;
  /** The object gets a message. */
  readonly message: (wire: Wire, text: string) => void;
  /** The socket is over, and the object learns of it. */
  readonly closed: (wire: Wire) => void;
}

/** What the client's end does with what arrives. */
export interface Receiver {
  text(text: string, stamp: unknown): void;
  closed(code: number, reason: string): void;
}

/** One WebSocket. */
export class Wire {
  /** As the WebSocket interface has it, at the server's end. */
  state: 1 | 2 | 3 = 1;
  attachment: string | undefined;
  /** When the peer last sent `ping`, by the room's clock; 0 for never. */
  answeredAt = 0;
  readonly #up: Lane;
  readonly #down: Lane;
  readonly #parts: WireParts;
  #receiver: Receiver | undefined;
  #early: Item[] = [];
  #isHalfOpen = false;
  #isDoomed = false;

  constructor(parts: WireParts) {
    const { timeline, chance, weather } = parts;
    this.#parts = parts;
    this.#up = new Lane(timeline, chance, weather, (item) => this.#atServer(item));
    this.#down = new Lane(timeline, chance, weather, (item) => this.#atClient(item));
  }

  /** Bytes that the runtime holds for the peer. */
  get waiting(): number {
    return this.#down.waiting;
  }

  /** Whether the line is dead, whether or not an end has noticed. */
  get isHalfOpen(): boolean {
    return this.#isHalfOpen;
  }

  /** The client's end is in the hands of a client. */
  attach(receiver: Receiver): void {
    this.#receiver = receiver;
    for (const item of this.#early.splice(0)) this.#atClient(item);
  }

  sendDown(item: Item): void {
    this.#down.push(item);
    if (!this.#isHalfOpen || this.#isDoomed) return;
    this.#isDoomed = true;
    const [low, high] = DEAD_AFTER;
    this.#parts.timeline.after(this.#parts.chance.between(low, high), () => this.#goneAtServer());
  }

  sendUp(item: Item): void {
    this.#up.push(item);
  }

  /** The line breaks, and both ends notice soon. */
  cut(): void {
    const { timeline, chance } = this.#parts;
    this.#up.end();
    this.#down.end();
    timeline.after(chance.between(0, 200), () => this.#goneAtServer());
    timeline.after(chance.between(0, 200), () => this.#receiver?.closed(1006, ""));
  }

  /** The line breaks, and nobody notices. */
  halfOpen(): void {
    this.#isHalfOpen = true;
    this.#up.stall(Infinity);
    this.#down.stall(Infinity);
  }

  /** The client reads nothing for `ms`. */
  slow(ms: number): void {
    this.#down.stall(ms);
  }

  /** Nothing that the client sends arrives for `ms`; then all of it does, together. */
  stall(ms: number): void {
    this.#up.stall(ms);
  }

  /** The client reads again. */
  release(): void {
    this.#down.release();
  }

  /** The object was killed: what has left it still arrives, then the connection ends. */
  reset(): void {
    this.state = 3;
    this.#up.end();
    this.#down.push({ type: "gone" });
  }

  #goneAtServer(): void {
    if (this.state === 3) return;
    this.state = 3;
    this.#up.end();
    this.#down.end();
    this.#parts.closed(this);
  }

  #atServer(item: Item): void {
    if (this.state === 3) return;
    if (item.type === "gone") return this.#goneAtServer();
    if (item.type === "text") {
      if (item.text !== PING) return this.#parts.message(this, item.text);
      this.answeredAt = this.#parts.wall();
      return this.#down.push({ type: "text", text: PONG });
    }
    // The client's close is answered, or answers ours.
    if (this.state === 1) this.#down.push({ ...item, code: answerCode(item.code) });
    this.state = 3;
    this.#parts.closed(this);
  }

  #atClient(item: Item): void {
    const receiver = this.#receiver;
    if (!receiver) this.#early.push(item);
    else if (item.type === "text") receiver.text(item.text, item.stamp);
    else if (item.type === "close") receiver.closed(item.code, item.reason);
    else receiver.closed(1006, "");
  }
}

/** What an instance of the object holds of a wire. */
export class Handle implements RoomSocket {
  readonly wire: Wire;
  readonly bufferedAmount?: number;
  readonly #send: (wire: Wire, item: Item) => void;
  readonly #isAlive: () => boolean;

  /**
   * @param tells whether this runtime has `bufferedAmount`
   * @param send what leaves the object when its gate is open
   */
  constructor(wire: Wire, tells: boolean, send: (wire: Wire, item: Item) => void, isAlive: () => boolean) {
    this.wire = wire;
    this.#send = send;
    this.#isAlive = isAlive;
    if (tells) Object.defineProperty(this, "bufferedAmount", { get: () => wire.waiting });
  }

  get readyState(): number {
    return this.wire.state;
  }

  send(text: string): void {
    if (!this.#isAlive()) return;
    if (typeof text !== "string") throw new TypeError("a simulated socket sends text");
    if (this.wire.state !== 1) throw new TypeError("Can't call WebSocket send() after close().");
    this.#send(this.wire, { type: "text", text });
  }

  close(code?: number, reason?: string): void {
    if (!this.#isAlive() || this.wire.state !== 1) return;
    if (code !== undefined && answerCode(code) !== code) throw new DOMException("invalid code", "InvalidAccessError");
    if (reason !== undefined && Buffer.byteLength(reason) > 123) throw new DOMException("too long", "SyntaxError");
    this.wire.state = 2;
    this.#send(this.wire, { type: "close", code: code ?? 1005, reason: reason ?? "" });
  }

  serializeAttachment(value: unknown): void {
    if (!this.#isAlive()) return;
    const copy = JSON.stringify(value);
    if (copy.length > MAX_ATTACHMENT) throw new Error("An attachment is at most 16384 bytes.");
    this.wire.attachment = copy;
  }

  deserializeAttachment(): unknown {
    const { attachment } = this.wire;
    return attachment === undefined ? null : (JSON.parse(attachment) as unknown);
  }
}
