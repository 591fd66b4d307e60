/**
 * The publishes that are not settled yet: in order, bounded, each settled once. Knows refs and acks, no sockets.
 */
import { byteLength } from "../../protocol/codec.ts";
import type { Json } from "../../protocol/frames.ts";
import { RoomError } from "../error.ts";
import { whilePatient, type Patience } from "./patience.ts";
import { encodeFrame, tooLarge } from "./validate.ts";

/** Where and when a publish took effect. */
export interface Ack {
  /** The same as in the publication, where this client gets it. */
  readonly ref: number;
  readonly offset: number;
  readonly at: number;
}

/** What a publish may carry besides its data. */
export interface PublishOptions extends Patience {
  /** The user ids it is for. Default: everyone. */
  to?: readonly string[] | undefined;
  /** W3C trace context: goes with the publication to every receiver. */
  traceparent?: string | undefined;
}

interface Entry {
  /** The frame's ref; 0 before it is first sent. */
  ref: number;
  /** Whether it may have taken effect: it was sent, and not refused since. */
  isSent: boolean;
  /** Which publish of the client it is, from 1. */
  readonly nth: number;
  readonly body: string;
  readonly bytes: number;
  readonly resolve: (ack: Ack) => void;
  readonly reject: (error: RoomError) => void;
}

/** How many publishes, and how many bytes of them, may be unsettled. */
export interface OutboxLimits {
  readonly count: number;
  readonly bytes: number;
}

/** How much may be sent now. */
export interface SendLimits {
  /** Publishes that may be unanswered at a time. */
  readonly inFlight: number;
  /** The largest message, in bytes. */
  readonly bytes: number;
}

/** A new ref jumps by up to so much where another client may use the refs that follow. */
const REF_JUMP = 1e9;

/** The outbox of one client. */
export class Outbox {
  readonly #limits: OutboxLimits;
  readonly #random: () => number;
  /** Sent and not answered, by ref. */
  #inFlight: Entry[] = [];
  /** Not sent, or to be sent again. */
  #queue: Entry[] = [];
  #bytes = 0;
  #nextRef = 1;
  /** Nothing is known of the session yet: it may come from the store. */
  #isFresh = true;
  #added = 0;

  constructor(limits: OutboxLimits, random: () => number) {
    this.#limits = limits;
    this.#random = random;
  }

  /** Publishes that are not settled. */
  get size(): number {
    return this.#inFlight.length + this.#queue.length;
  }

  /** Publishes that the room has not answered. */
  get inFlight(): number {
    return this.#inFlight.length;
  }

  /** Takes a publish. The promise settles with its ack, or with the reason why there is none. */
  add(data: Json, { to, traceparent, ...patience }: PublishOptions = {}): Promise<Ack> {
    let entry: Entry | undefined;
    const settled = new Promise<Ack>((resolve, reject) => {
      // Encoded now: later changes to the object are not what was published.
      const body = encodeFrame({ type: "publish", to, traceparent, data }).slice(0, -1);
      const bytes = byteLength(body);
      if (this.size >= this.#limits.count || this.#bytes + bytes > this.#limits.bytes) {
        // What does not fit into an empty outbox never will.
        const canFit = bytes <= this.#limits.bytes;
        reject(new RoomError("outbox_full", "The outbox is full.", canFit));
        return;
      }
      this.#bytes += bytes;
      entry = { ref: 0, isSent: false, nth: ++this.#added, body, bytes, resolve, reject };
      this.#queue.push(entry);
    });
    return whilePatient(settled, patience, (error) => this.#withdraw(entry, error));
  }

  /**
   * Takes the next publish that may be sent now, as a frame. Rejects what the room would refuse together with its message.
   */
  take({ inFlight, bytes }: SendLimits): string | undefined {
    while (this.inFlight < inFlight) {
      const [entry] = this.#queue;
      const before = this.#inFlight.at(-1);
      // One that was refused waits until those that followed it are refused as well.
      if (!entry || (before && before.nth > entry.nth)) break;
      this.#queue.shift();
      // Refs rise in the order of publishing, whatever had to have another.
      if (!entry.isSent && (before?.ref ?? 0) >= entry.ref) entry.ref = this.ref();
      // The room takes nothing that follows a publish that it has refused: so they keep their order.
      const after = before && before.ref < entry.ref;
      const frame = `${entry.body},"ref":${entry.ref}${after ? `,"after":${before.ref}` : ""}}`;
      const error = tooLarge(frame, bytes);
      if (!error) {
        entry.isSent = true;
        this.#inFlight.push(entry);
        return frame;
      }
      this.#settle(entry);
      entry.reject(error);
    }
    return undefined;
  }

  /** The next ref. Calls take theirs from here, too: an answer may not say what kind of frame it is for. */
  ref(): number {
    return this.#nextRef++;
  }

  /** The connection is lost: what was in flight is sent again, under the same refs and before anything else. */
  requeue(): void {
    for (const entry of this.#inFlight) this.#enqueue(entry);
    this.#inFlight = [];
  }

  /**
   * Another session begins. What was sent in the old one may have taken effect, and sending it again could double it:
   * its outcome is unknown. What was never sent goes on, under refs of the new session.
   */
  begin(): void {
    this.#abandon(({ isSent }) => isSent, "The session is over.");
    this.#renumber(Infinity);
    this.#nextRef = 1;
    this.#isFresh = false;
  }

  /**
   * The room has seen refs up to `ref`: ours continue above. They jump far above when another client holds or may have
   * held the session, as a copied tab does: it may have publishes in flight, and must not get the acks of ours.
   */
  advance(ref: number): void {
    if (this.#isFresh || ref >= this.#nextRef) {
      this.#nextRef = ref + 1 + Math.floor(this.#random() * REF_JUMP);
    }
    this.#isFresh = false;
    this.#renumber(ref);
  }

  /** The room has stored it. Returns whether it was waited for: the acks of another holder of the session may come too. */
  ack(ref: number, ack: Ack): boolean {
    const entry = this.#remove(ref);
    // A room that does not know `after` takes publishes that follow a refused one: that one's ref can take effect no more.
    if (entry) this.#renumber(ref);
    entry?.resolve(ack);
    return entry !== undefined;
  }

  /** The room refused it. For now: then it is sent again, under its ref and in its place. */
  refuse(ref: number, error: RoomError): void {
    const entry = this.#remove(ref);
    if (!entry) return;
    if (error.code === "rate_limited") {
      entry.isSent = false;
      this.#bytes += entry.bytes;
      this.#enqueue(entry);
    } else entry.reject(error);
  }

  /** Nothing will be sent any more. */
  close(message: string): void {
    this.#abandon(() => true, message);
  }

  /** Back to where it was published. */
  #enqueue(entry: Entry): void {
    const at = this.#queue.findIndex(({ nth }) => nth > entry.nth);
    this.#queue.splice(at < 0 ? this.#queue.length : at, 0, entry);
  }

  /** What took no effect under a ref up to `ref`, and never will, gets another when it is sent; so does what follows it. */
  #renumber(ref: number): void {
    let isLate = false;
    for (const entry of this.#queue) if (!entry.isSent && (isLate ||= entry.ref <= ref)) entry.ref = 0;
    // What may have taken effect goes before all that is new: a ref that is above its own would end it.
    this.#queue.sort((a, b) => Number(a.ref === 0) - Number(b.ref === 0));
  }

  #remove(ref: number): Entry | undefined {
    for (const list of [this.#inFlight, this.#queue]) {
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
    this.requeue();
    const lost = this.#queue.filter(isLost);
    this.#queue = this.#queue.filter((entry) => !isLost(entry));
    for (const entry of lost) {
      this.#settle(entry);
      entry.reject(new RoomError(entry.isSent ? "outcome_unknown" : "closed", message, false));
    }
  }

  /**
   * The program waits no longer. A publish that was not sent is taken out; of one that was, the outcome is unknown, and
   * it stays until the room has answered, so that it has no effect twice.
   */
  #withdraw(entry: Entry | undefined, error: RoomError): void {
    const at = this.#queue.findIndex((other) => other === entry && !other.isSent);
    if (at >= 0) this.#queue.splice(at, 1).forEach((other) => this.#settle(other));
    entry?.reject(at < 0 ? new RoomError("outcome_unknown", error.message, false) : error);
  }
}
