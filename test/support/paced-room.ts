/**
 * The room's end of a line for tests of pace: the room's own token bucket, answers in order, pongs, and a line that stalls
 * and then delivers everything together. Needs fake timers.
 */
import { PING, PONG, type ClientFrame } from "../../src/protocol/frames.ts";
import { fullBucket, take } from "../../src/room/rules/rate.ts";
import { publication } from "./dialled.ts";
import { LIMITS, type Line } from "./line.ts";

/** How one is. */
export interface PacedRoomOptions {
  /** Of each direction, in ms. */
  readonly latency?: number;
  readonly rate?: number;
  readonly burst?: number;
  /** Frames that something else has used up. */
  readonly used?: number;
  /** The user at the other end. */
  readonly me?: string;
}

/** The room's end of one line. */
export class PacedRoom {
  /** Frames that were taken, in order. */
  readonly taken: ClientFrame[] = [];
  /** Frames that were refused, in order. */
  readonly refused: ClientFrame[] = [];
  pings = 0;
  messages = 0;
  offset = 0;
  /** Whether the room has ended the connection for its rate. */
  isEnded = false;
  readonly #line: Line;
  readonly #options: Required<PacedRoomOptions>;
  readonly #bucket;
  /** What is on its way while the line stalls. */
  #stalled: string[] | undefined;

  constructor(line: Line, options: PacedRoomOptions = {}) {
    const { rate, burst } = LIMITS;
    this.#line = line;
    this.#options = { latency: 20, rate, burst, used: 0, me: "ann", ...options };
    this.#bucket = fullBucket(this.#rate, Date.now());
    this.#bucket.tokens -= this.#options.used;
    // Those of the welcome.
    for (const text of line.sent) if (text === PING) line.says("message", { data: PONG });
    line.send = (text) => {
      line.sent.push(text);
      if (this.#stalled) this.#stalled.push(text);
      else setTimeout(() => this.#arrive(text), this.#options.latency);
    };
  }

  get #rate() {
    return { perSecond: this.#options.rate, burst: this.#options.burst };
  }

  /** Nothing that the client sends arrives. */
  stall(): void {
    this.#stalled ??= [];
  }

  /** Everything that it has sent arrives together. */
  resume(): void {
    const texts = this.#stalled ?? [];
    this.#stalled = undefined;
    for (const text of texts) this.#arrive(text);
  }

  /** The data of the frames of one type that were taken. */
  of(type: ClientFrame["type"]): unknown[] {
    return this.taken.flatMap((frame) => (frame.type === type && "data" in frame ? [frame.data] : []));
  }

  #arrive(text: string): void {
    if (this.isEnded || this.#line.readyState !== 1) return;
    if (text === PING) {
      this.pings++;
      setTimeout(() => this.#line.says("message", { data: PONG }), this.#options.latency);
      return;
    }
    this.messages++;
    const answers = [JSON.parse(text) as ClientFrame].flat().flatMap((frame) => this.#handle(frame));
    if (answers.length > 0) setTimeout(() => this.#line.hears(...answers), this.#options.latency);
  }

  #handle(frame: ClientFrame): object[] {
    if (frame.type === "leave" || frame.type === "ack") return [];
    const verdict = take(this.#bucket, this.#rate, Date.now(), frame.type === "sync" ? 10 : 1);
    if (!verdict.ok) {
      this.refused.push(frame);
      const { retryAfter } = verdict;
      if (verdict.abuse) {
        this.isEnded = true;
        return [{ type: "bye", code: 4100, reason: "rate_limited", retryAfter }];
      }
      const error = { code: "rate_limited", message: "", retryable: true, retryAfter };
      if (frame.type === "call") return [{ type: "reply", ref: frame.ref, error }];
      return [{ type: "error", ...error, ...(frame.type === "publish" ? { ref: frame.ref } : { frame: frame.type }) }];
    }
    this.taken.push(frame);
    if (frame.type === "call") return [{ type: "reply", ref: frame.ref, data: frame.data }];
    if (frame.type === "presence") return [{ type: "presence", update: [{ id: this.#options.me, data: frame.data }] }];
    if (frame.type !== "publish") return [];
    const offset = ++this.offset;
    return [
      { type: "ack", ref: frame.ref, offset, at: 0 },
      { type: "pub", from: offset, upto: offset, items: [publication(offset, frame.data)] },
    ];
  }
}
