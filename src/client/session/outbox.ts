/**
 * The publishes that are not settled yet: in order, bounded, each settled once. Knows refs and acks, no sockets.
 */
import { byteLength } from "../../protocol/codec.ts";
import type { Json } from "../../protocol/frames.ts";
import { RoomError } from "../error.ts";
import { unfit } from "./validate.ts";

/** Where and when a publish took effect. */
export interface Ack {
  readonly offset: number;
  readonly at: number;
}

/** What a publish may carry besides its data. */
export interface PublishOptions {
  /** User ids it is for. Default: everyone. */
  to?: readonly string[];
  /** W3C trace context: goes with the publication to everyone who gets it. */
  traceparent?: string;
}

interface Entry {
  /** The frame's ref; 0 before it is first sent. */
  ref: number;
  /** Which publish it is, from the first on. */
  readonly nth: number;
  readonly body: string;
  readonly bytes: number;
  readonly resolve: (ack: Ack) => void;
  readonly reject: (error: RoomError) => void;
}

/** How much may wait. */
export interface OutboxLimits {
  readonly count: number;
  readonly bytes: number;
}

/** The outbox of one client. */
export class Outbox {
  readonly #limits: OutboxLimits;
  /** Sent and not answered, by ref. */
  #flying: Entry[] = [];
  /** Not sent. */
  #waiting: Entry[] = [];
  #bytes = 0;
  #nextRef = 1;
  /** Nothing is known yet of the session: it may come from the store. */
  #fresh = true;
  #added = 0;

  constructor(limits: OutboxLimits) {
    this.#limits = limits;
  }

  /** Publishes not settled. */
  get size(): number {
    return this.#flying.length + this.#waiting.length;
  }

  /** Takes a publish; settles with its ack, or with why there is none. */
  add(data: Json, { to, traceparent }: PublishOptions = {}): Promise<Ack> {
    return new Promise((resolve, reject) => {
      // Encoded now: later changes to the object are not what was published.
      const body = JSON.stringify({ type: "publish", to, traceparent, data: data ?? null }).slice(0, -1);
      const bytes = byteLength(body);
      if (this.size >= this.#limits.count || this.#bytes + bytes > this.#limits.bytes) {
        // What does not even fit into an empty one never will.
        const canFit = bytes <= this.#limits.bytes;
        reject(new RoomError("outbox_full", "The outbox is full.", canFit));
        return;
      }
      this.#bytes += bytes;
      this.#waiting.push({ ref: 0, nth: ++this.#added, body, bytes, resolve, reject });
    });
  }

  /**
   * What may be sent now, as frames.
   *
   * @param flying publishes that may be unanswered at a time
   * @param limit largest message, in bytes; what the room would refuse with the whole message is rejected here
   * @param count frames, at most
   */
  take(flying: number, limit: number, count: number): string[] {
    const frames: string[] = [];
    while (frames.length < count && this.#flying.length < flying) {
      const entry = this.#waiting.shift();
      if (!entry) break;
      entry.ref ||= this.ref();
      const frame = `${entry.body},"ref":${entry.ref}}`;
      const error = unfit(frame, limit);
      if (error) {
        this.#settle(entry);
        entry.reject(error);
        continue;
      }
      this.#flying.push(entry);
      frames.push(frame);
    }
    return frames;
  }

  /** The next ref. Calls take theirs from here, too: the answer to a frame may not say what kind it was. */
  ref(): number {
    return this.#nextRef++;
  }

  /** The connection is lost: what flew must be sent again, under the same refs and before anything else. */
  land(): void {
    this.#waiting.unshift(...this.#flying);
    this.#flying = [];
  }

  /**
   * Another session: what was sent in the old one may or may not have taken effect, and sending it again could double
   * it. What was never sent goes on, under the new session's refs.
   */
  begin(): void {
    this.#abandon(({ ref }) => ref > 0, "The session is over.");
    this.#nextRef = 1;
    this.#fresh = false;
  }

  /**
   * The server knows refs up to here; ours continue above. Far above when somebody else has or may have held the session,
   * as a copied tab does: it may have publishes in flight, and must not get the acks of ours.
   */
  knows(ref: number): void {
    if (this.#fresh || ref >= this.#nextRef) {
      this.#nextRef = Math.max(this.#nextRef, ref + 1) + Math.floor(Math.random() * 1e9);
    }
    this.#fresh = false;
  }

  ack(ref: number, ack: Ack): void {
    this.#find(ref)?.resolve(ack);
  }

  /** The room refused it. A refused ref is not remembered: the same publish may fly again under a new one. */
  refuse(ref: number, error: RoomError): void {
    const entry = this.#find(ref);
    if (!entry) return;
    if (error.code === "rate_limited") {
      entry.ref = 0;
      this.#bytes += entry.bytes;
      // Behind what flew before and keeps its refs, because refs must go up; before what was published later.
      const at = this.#waiting.findIndex((other) => other.ref === 0 && other.nth > entry.nth);
      this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, entry);
    } else entry.reject(error);
  }

  /** Nothing will be sent any more. */
  close(message: string): void {
    this.#abandon(() => true, message);
  }

  #find(ref: number): Entry | undefined {
    for (const list of [this.#flying, this.#waiting]) {
      const at = list.findIndex((entry) => entry.ref === ref);
      if (at < 0) continue;
      const [entry] = list.splice(at, 1);
      if (entry) this.#settle(entry);
      return entry;
    }
    return undefined;
  }

  #settle(entry: Entry): void {
    this.#bytes -= entry.bytes;
  }

  #abandon(isLost: (entry: Entry) => boolean, message: string): void {
    this.land();
    const lost = this.#waiting.filter(isLost);
    this.#waiting = this.#waiting.filter((entry) => !isLost(entry));
    for (const entry of lost) {
      this.#settle(entry);
      entry.reject(new RoomError(entry.ref > 0 ? "outcome_unknown" : "closed", message, false));
    }
  }
}
