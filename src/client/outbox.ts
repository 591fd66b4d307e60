/**
 * The publishes that are not settled yet: in order, bounded, each settled once. Knows refs and acks, no sockets.
 */
import { byteLength } from "../protocol/codec.ts";
import type { Json } from "../protocol/frames.ts";
import { RoomError } from "./error.ts";

/** Where and when a publish took effect. */
export interface Ack {
  readonly offset: number;
  readonly at: number;
}

interface Entry {
  /** The frame's ref; 0 before it is first sent. */
  ref: number;
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

  constructor(limits: OutboxLimits) {
    this.#limits = limits;
  }

  /** Publishes not settled. */
  get size(): number {
    return this.#flying.length + this.#waiting.length;
  }

  /** Takes a publish; settles with its ack, or with why there is none. */
  add(data: Json, to?: readonly string[]): Promise<Ack> {
    return new Promise((resolve, reject) => {
      // Encoded now: later changes to the object are not what was published.
      const body = `"data":${JSON.stringify(data) ?? "null"}${to ? `,"to":${JSON.stringify(to)}` : ""}`;
      const bytes = byteLength(body);
      if (this.size >= this.#limits.count || this.#bytes + bytes > this.#limits.bytes) {
        reject(new RoomError("outbox_full", "Too many publishes wait for their acks.", true));
        return;
      }
      this.#bytes += bytes;
      this.#waiting.push({ ref: 0, body, bytes, resolve, reject });
    });
  }

  /**
   * What may be sent now, as frames.
   *
   * @param flying publishes that may be unanswered at a time
   * @param bytes largest frame; a larger publish is rejected, because sending it would end the connection
   * @param count frames, at most
   */
  take(flying: number, bytes: number, count: number): string[] {
    const frames: string[] = [];
    while (frames.length < count && this.#flying.length < flying) {
      const entry = this.#waiting.shift();
      if (!entry) break;
      if (entry.bytes + 64 > bytes) {
        this.#settle(entry);
        entry.reject(new RoomError("too_large", `A message is at most ${bytes} bytes.`, false));
        continue;
      }
      entry.ref ||= this.#nextRef++;
      this.#flying.push(entry);
      frames.push(`{"type":"publish","ref":${entry.ref},${entry.body}}`);
    }
    return frames;
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
    this.land();
    const sent = this.#waiting.filter((entry) => entry.ref > 0);
    this.#waiting = this.#waiting.filter((entry) => entry.ref === 0);
    this.#nextRef = 1;
    this.#rejectAll(sent, "outcome_unknown", "The session ended before the ack.");
  }

  /** The server knows refs up to here; ours continue above. */
  knows(ref: number): void {
    this.#nextRef = Math.max(this.#nextRef, ref + 1);
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
      // Behind what flew before and keeps its refs: refs must go up.
      const at = this.#waiting.findIndex((other) => other.ref === 0);
      this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, entry);
    } else entry.reject(error);
  }

  /** Nothing will be sent any more. */
  close(message: string): void {
    this.land();
    const all = this.#waiting;
    this.#waiting = [];
    for (const entry of all) {
      const code = entry.ref > 0 ? "outcome_unknown" : "closed";
      this.#rejectAll([entry], code, message);
    }
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

  #rejectAll(entries: readonly Entry[], code: "outcome_unknown" | "closed", message: string): void {
    for (const entry of entries) {
      this.#settle(entry);
      entry.reject(new RoomError(code, message, false));
    }
  }
}
