/**
 * A member over a real socket that checks what it reads instead of keeping it: every offset once, in order, with the
 * text that belongs to it. Answers heartbeats, and acknowledges as the SDK does when it has credit.
 */
import { WebSocket } from "ws";
import { decodeServer } from "../../src/protocol/codec.ts";
import { PING, PONG, SUBPROTOCOL, type ClientFrame, type ServerFrame } from "../../src/protocol/frames.ts";
import type { Link } from "../serve/proxy.ts";
import { Changes } from "../support/patience.ts";

const ACK_EVERY = 640;
const ACK_BYTES = 262_144;

type Welcome = Extract<ServerFrame, { type: "welcome" }>;

/** Where to resume, as a query. */
export interface Resume {
  readonly session: string;
  readonly epoch: string;
  readonly offset: number;
}

export class Member {
  readonly user: string;
  readonly socket: WebSocket;
  /** Its TCP connection, when it goes through a proxy. */
  link: Link | undefined;
  welcome: Welcome | undefined;
  offset = 0;
  items = 0;
  /** The highest ref that was acknowledged. */
  acked = 0;
  /** What was announced of others, as `join bob`, `leave bob`, and when it was heard. */
  readonly heard: { readonly what: string; readonly at: number }[] = [];
  /** Reasons of the snapshots after the first, and the offsets they led to. */
  readonly resets: { readonly reason: string; readonly from: number; readonly to: number }[] = [];
  /** Heartbeats with their span, and how many were answered by the room's `pong`. */
  readonly heartbeats: number[] = [];
  pongs = 0;
  bye: string | undefined;
  closed = false;
  /** What was wrong with what it read; empty when nothing was. */
  readonly wrong: string[] = [];
  readonly #credit: boolean;
  readonly #changes = new Changes();
  #acknowledged = 0;
  #bytes = 0;
  #isAsked = false;

  constructor(user: string, url: URL, token: string, resume?: Resume) {
    this.user = user;
    this.#credit = url.searchParams.get("credit") === "1";
    this.offset = this.#acknowledged = resume?.offset ?? 0;
    for (const [key, value] of Object.entries(resume ?? {})) url.searchParams.set(key, String(value));
    this.socket = new WebSocket(url.href, [SUBPROTOCOL, `bearer.${token}`]);
    this.socket.on("message", (data) => this.#read((data as Buffer).toString()));
    this.socket.on("close", () => {
      this.closed = true;
      this.#changes.notify();
    });
    this.socket.on("error", () => this.#changes.notify());
  }

  /** Where it would resume. */
  get position(): Resume {
    if (!this.welcome) throw new Error(`${this.user} was never welcome`);
    const { session, epoch } = this.welcome;
    return { session, epoch, offset: this.offset };
  }

  heardAt(what: string): number | undefined {
    return this.heard.find((one) => one.what === what)?.at;
  }

  send(...frames: ClientFrame[]): void {
    this.socket.send(JSON.stringify(frames.length === 1 ? frames[0] : frames));
  }

  /** Waits for something that comes with a frame or with the close, and takes at most `aloneMs` on an idle machine. */
  async until(condition: () => boolean, what: string, aloneMs = 5_000): Promise<void> {
    await this.#changes.until(condition, () => `${what} (${this.user}; bye: ${this.bye ?? "none"})`, aloneMs);
  }

  /** Ends the TCP connection, whatever the network lets through. */
  vanish(): void {
    this.socket.terminate();
    this.link?.cut();
  }

  #read(text: string): void {
    if (text === PONG) this.pongs++;
    else for (const frame of decodeServer(text) ?? []) this.#frame(frame);
    this.#bytes += text.length;
    const due = this.#isAsked || this.offset - this.#acknowledged >= ACK_EVERY || this.#bytes >= ACK_BYTES;
    if (this.#credit && due && this.offset > this.#acknowledged && this.socket.readyState === WebSocket.OPEN) {
      this.send({ type: "ack", offset: this.offset });
      this.#acknowledged = this.offset;
      this.#bytes = 0;
    }
    this.#isAsked = false;
    this.#changes.notify();
  }

  #frame(frame: ServerFrame): void {
    if (frame.type === "welcome") this.welcome = frame;
    else if (frame.type === "ack") this.acked = Math.max(this.acked, frame.ref);
    else if (frame.type === "pub") this.#publications(frame);
    else if (frame.type === "presence") this.#presence(frame);
    else if (frame.type === "bye") this.bye = frame.reason;
    else if (frame.type === "error") this.wrong.push(`error ${frame.code}`);
    else if (frame.type === "heartbeat") {
      this.heartbeats.push(frame.next);
      this.#isAsked ||= frame.ack === true;
      if (this.socket.readyState === WebSocket.OPEN) this.socket.send(PING);
    } else if (frame.type === "snapshot") {
      if (frame.reason !== "new") this.resets.push({ reason: frame.reason, from: this.offset, to: frame.offset });
      if (frame.offset < this.offset) this.wrong.push(`a snapshot back from ${this.offset} to ${frame.offset}`);
      this.offset = this.#acknowledged = frame.offset;
    }
  }

  #publications({ from, upto, items }: Extract<ServerFrame, { type: "pub" }>): void {
    if (from !== this.offset + 1) this.wrong.push(`${from} after ${this.offset}`);
    if (items.length !== upto - from + 1) this.wrong.push(`${items.length} items from ${from} to ${upto}`);
    for (const [i, { offset, data }] of items.entries()) {
      if (offset !== from + i) this.wrong.push(`${offset} in place of ${from + i}`);
      if (typeof data !== "string" || !data.startsWith(`${offset}:`)) this.wrong.push(`other data at ${offset}`);
    }
    this.items += items.length;
    this.offset = upto;
  }

  #presence({ join = [], leave = [], members }: Extract<ServerFrame, { type: "presence" }>): void {
    const at = Date.now();
    for (const { id } of join) this.heard.push({ what: `join ${id}`, at });
    for (const id of leave) this.heard.push({ what: `leave ${id}`, at });
    if (members) this.heard.push({ what: "members", at });
  }
}

/** The n-th thing that the one publisher of a room says: its own offset, and as many characters as asked for. */
export function item(n: number, size: number): string {
  return `${n}:`.padEnd(size, "x");
}
