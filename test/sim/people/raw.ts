/**
 * A person who speaks frames directly, and does what the SDK never does: repeats refs, acknowledges at odd times, syncs
 * backwards, takes sessions over, stops answering. It still keeps the rules that the protocol's promises depend on.
 */
import { PING, type ClientFrame, type ServerFrame } from "../../../src/protocol/frames.ts";
import type { Asked, Ear } from "../oracle/ear.ts";
import { ClientEnd } from "../world/client-end.ts";
import type { World } from "../world/world.ts";
import { tapOf } from "./socket.ts";

/** One connection of a raw person. */
export interface RawLine {
  readonly end: ClientEnd;
  readonly ear: Ear;
  /** Answers no heartbeat. */
  isSilent: boolean;
  readonly acknowledges: boolean;
  /** The last offset that it acknowledged. */
  acked: number;
}

/** What a raw person wants of a connection. */
export interface RawWish {
  readonly credit: boolean;
  readonly acknowledges: boolean;
  readonly asked?: Asked | undefined;
  /** How long its token is good, in ms. */
  readonly life: number;
  readonly grants?: readonly string[];
}

/** Somebody without the SDK. */
export class RawPerson {
  readonly user: string;
  /** The newest connection. */
  line: RawLine | undefined;
  /** Older ones that may be open still. */
  readonly lines: RawLine[] = [];
  session: string | undefined;
  epoch = "";
  nextRef = 1;
  /** Publishes of the session without an answer, and some with: what can be repeated. */
  sent: { readonly ref: number; readonly text: string; readonly to?: readonly string[] }[] = [];
  readonly #world: World;
  #published = 0;

  constructor(world: World, user: string) {
    this.#world = world;
    this.user = user;
  }

  get isOpen(): boolean {
    return this.line?.end.state === 1 && this.line.ear.session !== undefined && this.line.ear.bye === undefined;
  }

  /** Opens a connection, whether or not there is one. */
  connect(wish: RawWish): void {
    const world = this.#world;
    const { asked, credit } = wish;
    const ear = world.oracle.listen(this.user, asked, credit);
    const end = new ClientEnd(
      { open: () => {}, text: () => this.#hear(line), closed: () => {}, failed: () => {} },
      tapOf(world, ear),
    );
    const line: RawLine = { end, ear, isSilent: false, acknowledges: wish.acknowledges, acked: 0 };
    this.line = line;
    this.lines.push(line);
    const query = new URLSearchParams(credit ? { credit: "1" } : {});
    if (asked) {
      query.set("session", asked.session);
      if (asked.position) {
        query.set("epoch", asked.position.epoch);
        query.set("offset", String(asked.position.offset));
      }
    }
    const { wall } = world;
    const claims = {
      user: this.user,
      grants: wish.grants ?? ["join", "publish", "signal", "call"],
      issued: wall,
      expires: wall + wish.life,
    };
    world.edge.dial(end, query, JSON.stringify(claims)).catch((error: unknown) => world.fail(error));
  }

  send(...frames: readonly (ClientFrame | object)[]): void {
    if (!this.isOpen || frames.length === 0) return;
    this.line?.end.send(frames.length === 1 ? JSON.stringify(frames[0]) : JSON.stringify(frames));
  }

  /** Publishes new texts in one message. */
  publish(count: number, size: number, prefix = "", to?: readonly string[]): void {
    if (!this.isOpen) return;
    const { history } = this.#world.oracle;
    const frames = Array.from({ length: count }, () => {
      const text = `${prefix}${this.user}~${++this.#published}${size > 0 ? ` ${"y".repeat(size)}` : ""}`;
      history.wish(this.#world.oracle.stored(text), { by: this.user, to });
      return { ref: this.nextRef++, text, ...(to && { to }) };
    });
    this.sent.push(...frames);
    this.#sendAll(frames);
  }

  /** Sends again what was sent before, the oldest first. */
  repeat(from: number, count: number): void {
    this.#sendAll(this.sent.slice(from, from + count));
  }

  #sendAll(frames: readonly { readonly ref: number; readonly text: string; readonly to?: readonly string[] }[]): void {
    this.send(...frames.map(({ ref, text, to }) => ({ type: "publish", ref, data: text, ...(to && { to }) })));
  }

  #hear(line: RawLine): void {
    for (const frame of line.ear.frames) this.#frame(line, frame);
    line.ear.frames = [];
    const { position } = line.ear;
    if (!line.acknowledges || !line.ear.hasCredit || line.end.state !== 1 || position <= line.acked) return;
    line.acked = position;
    line.end.send(JSON.stringify({ type: "ack", offset: position }));
  }

  #frame(line: RawLine, frame: ServerFrame): void {
    if (frame.type === "heartbeat" && !line.isSilent) line.end.send(PING);
    else if (frame.type === "bye" && !line.end.isDeaf) line.end.close(1000);
    else if (frame.type === "epoch" && line === this.line) this.epoch = frame.epoch;
    else if (frame.type === "welcome" && line === this.line) {
      if (frame.session !== this.session) {
        this.sent = [];
        this.nextRef = 1;
      }
      this.session = frame.session;
      this.epoch = frame.epoch;
      this.nextRef = Math.max(this.nextRef, frame.ref + 1);
    }
  }
}
