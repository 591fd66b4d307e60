/**
 * A client that speaks the protocol by itself, as docs/reference/protocol.md asks and no better: keeps its position, repeats what
 * was not answered, acknowledges where it has credit. It never renews a token, so its connections run out.
 */
import { WebSocket } from "ws";
import { decodeServer } from "../../src/protocol/codec.ts";
import { nextStep } from "../../src/protocol/codes.ts";
import { PING, PONG, SUBPROTOCOL, WHO, type ClientFrame, type ServerFrame } from "../../src/protocol/frames.ts";
import type { ChaosClient, Plan, Status } from "./orders.ts";
import { noted, type Recorder } from "./record.ts";
import { isLarge } from "./rooms.ts";
import { brief } from "./saying.ts";
import { Talk, type Line } from "./talk.ts";
import { Tokens } from "./tokens.ts";

/** Publishes without an answer, at most; more are not made. */
const FLYING = 200;
/** Silence after which the line counts as dead, in ms. */
const SILENCE = 12_000;

/** One client. */
export class RawClient implements ChaosClient {
  readonly plan: Plan;
  readonly talk: Talk;
  readonly tokens: Tokens;
  readonly #recorder: Recorder;
  readonly #random: () => number;
  readonly #isGuest: boolean;
  readonly #unanswered = new Map<number, Line>();
  readonly #members = new Map<string, string>();
  #socket: WebSocket | undefined;
  #conn = "";
  #dials = 0;
  #session: string | undefined;
  /** Of the position; of what comes next it may be another. */
  #epoch = "";
  #entered = "";
  #count: number | undefined;
  #position = 0;
  #acked = 0;
  #nextRef = 1;
  #calls = 0;
  #open = false;
  #heard = 0;
  #again: ReturnType<typeof setTimeout> | undefined;
  #watchdog: ReturnType<typeof setTimeout> | undefined;

  /** @param isGuest never comes back once its connection is lost */
  constructor(plan: Plan, secret: string, recorder: Recorder, random: () => number, isGuest = false) {
    this.plan = plan;
    this.#recorder = recorder;
    this.#random = random;
    this.#isGuest = isGuest;
    this.talk = new Talk(plan, random);
    this.tokens = new Tokens(secret, plan, random);
    const { name: client, user, room } = plan;
    recorder.note({ what: "begin", client, user, room, sort: "raw" });
    void this.#dial();
  }

  get session(): string | undefined {
    return this.#session;
  }

  status(): Status {
    return {
      client: this.plan.name,
      room: this.plan.room,
      open: this.#open,
      position: this.#position,
      pending: this.#unanswered.size,
      members: [...this.#members].map(([id, data]) => `${id} ${data}`),
      count: this.#count,
      endsAt: this.tokens.endsAt,
      said: this.talk.said,
      heard: this.#heard,
    };
  }

  say(length?: number): void {
    if (!this.#open || this.#unanswered.size >= FLYING) return;
    const line = this.talk.next(length);
    const ref = this.#nextRef++;
    this.#unanswered.set(ref, line);
    this.#recorder.note({ what: "say", client: this.plan.name, data: brief(line.data) });
    this.#send(publish(ref, line));
    const dice = this.#random();
    // An impatient one: it may, as long as it has no answer.
    if (dice > 0.9) this.#send(publish(ref, line));
    if (dice < 0.02) this.#send({ type: "presence", data: { mood: Math.floor(dice * 1_000) } });
    else if (dice < 0.04) this.#send({ type: "signal", data: "wave" });
    else if (dice < 0.05) this.#send({ type: "sync", offset: Math.floor(this.#position * (1 - dice)) });
    else if (dice < 0.1) this.#call();
  }

  /** Asks who is here, where nobody is told, and what a method says. */
  #call(): void {
    const ref = ++this.#calls;
    const asksWho = isLarge(this.plan.room) && ref % 2 === 0;
    const page = { after: ref % 4 === 0 ? this.plan.user : "", limit: 1 + (ref % 5) };
    if (asksWho) this.#send({ type: "call", ref, method: WHO, data: page });
    else this.#send({ type: "call", ref, method: "double", data: ref });
  }

  wake(): void {
    if (this.#again !== undefined) void this.#dial();
  }

  /** Ends its session; comes back as somebody new. */
  leave(): void {
    if (this.#open) this.#send({ type: "leave" });
  }

  /** Reads nothing for so many ms. */
  deaf(ms: number): void {
    const socket = this.#socket;
    if (!this.#open || !socket) return;
    socket.pause();
    setTimeout(() => socket.resume(), ms);
  }

  /** Its program is gone, without a word. */
  vanish(): void {
    this.talk.hush();
    this.#socket?.terminate();
  }

  /** Tries somebody else's session on a connection of its own, and leaves what it gets. */
  async steal(session: string): Promise<void> {
    const conn = `${this.plan.name}#${++this.#dials}`;
    const query = { session, epoch: this.#epoch, offset: this.#position };
    const socket = await this.#openSocket(conn, query);
    const timer = setTimeout(() => socket.terminate(), SILENCE);
    socket.on("message", (data) => {
      for (const frame of this.#note(conn, (data as Buffer).toString())) {
        if (frame.type === "welcome") this.#sendOn(socket, conn, [{ type: "leave" }]);
        if (frame.type === "bye") socket.close(1000);
      }
    });
    socket.on("close", () => clearTimeout(timer));
  }

  end(): void {
    const { open, position, pending, members, count } = this.status();
    const { name: client } = this.plan;
    this.#recorder.note({ what: "final", client, conn: this.#conn, open, position, pending, members, count });
  }

  async #dial(): Promise<void> {
    clearTimeout(this.#again);
    this.#again = undefined;
    const conn = (this.#conn = `${this.plan.name}#${++this.#dials}`);
    const position = this.#epoch === "" ? {} : { epoch: this.#epoch, offset: this.#position };
    const socket = await this.#openSocket(
      conn,
      this.#session === undefined ? {} : { session: this.#session, ...position },
    );
    this.#socket = socket;
    this.#watch(socket);
    socket.on("message", (data) => {
      this.#watch(socket);
      if (socket === this.#socket) this.#hear(this.#note(conn, (data as Buffer).toString()));
    });
    socket.on("close", () => {
      if (socket === this.#socket) this.#lost(1_000 * this.#random());
    });
  }

  async #openSocket(conn: string, resume: { session?: string; epoch?: string; offset?: number }): Promise<WebSocket> {
    const { name: client, user, room, port, credit } = this.plan;
    const token = await this.tokens.next();
    const url = new URL(`ws://127.0.0.1:${port}/rooms/${room}`);
    for (const [key, value] of Object.entries({ ...resume, ...(credit && { credit: 1 }) })) {
      url.searchParams.set(key, String(value));
    }
    this.#recorder.note({ what: "dial", client, conn, user, room, ...resume });
    const socket = new WebSocket(url.href, [SUBPROTOCOL, `bearer.${token}`], { perMessageDeflate: false });
    // `close` follows.
    socket.on("error", () => undefined);
    socket.on("close", (code) => this.#recorder.note({ what: "lost", client, conn, code }));
    return socket;
  }

  #note(conn: string, text: string): readonly ServerFrame[] {
    const frames = text === PONG ? [] : (decodeServer(text) ?? []);
    if (frames.length > 0) this.#recorder.note({ what: "in", client: this.plan.name, conn, frames: noted(frames) });
    return frames;
  }

  #lost(delay: number): void {
    clearTimeout(this.#watchdog);
    this.#open = false;
    this.#socket = undefined;
    clearTimeout(this.#again);
    if (this.#isGuest) return this.talk.hush();
    this.#again = setTimeout(() => void this.#dial(), delay);
  }

  #watch(socket: WebSocket): void {
    if (socket !== this.#socket) return;
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => socket.terminate(), SILENCE);
  }

  #hear(frames: readonly ServerFrame[]): void {
    let isBack = false;
    for (const frame of frames) {
      if (frame.type === "welcome") {
        this.#welcome(frame);
        isBack = true;
      } else if (frame.type === "snapshot") this.#moveTo((this.#acked = frame.offset));
      // What it has is of both epochs.
      else if (frame.type === "epoch") this.#entered = frame.epoch;
      else if (frame.type === "pub") this.#pub(frame);
      else if (frame.type === "ack") this.#settle(frame.ref, { what: "settled", offset: frame.offset });
      else if (frame.type === "error" && frame.ref !== undefined) {
        this.#settle(frame.ref, { what: "failed", code: frame.code });
      } else if (frame.type === "presence") this.#presence(frame);
      else if (frame.type === "heartbeat") this.#hearHeartbeat(frame.offset);
      else if (frame.type === "bye") this.#bye(frame);
    }
    if (isBack && this.#open && this.#unanswered.size > 0) {
      this.#send(...[...this.#unanswered].map(([ref, line]) => publish(ref, line)));
    }
    if (this.plan.credit && this.#open && this.#position - this.#acked >= 640) this.#acknowledge();
  }

  #welcome({ session, epoch, ref, members, count, resumed }: Extract<ServerFrame, { type: "welcome" }>): void {
    if (session !== this.#session) {
      // What was not answered may have taken effect: sending it again could double it.
      for (const lost of this.#unanswered.keys()) this.#settle(lost, { what: "failed", code: "outcome_unknown" });
      this.#nextRef = 1;
    }
    this.#session = session;
    this.#entered = epoch;
    // Without its snapshot it has no position.
    this.#epoch = resumed ? epoch : "";
    this.#acked = this.#position;
    this.#nextRef = Math.max(this.#nextRef, ref + 1);
    this.#members.clear();
    this.#count = count;
    this.#presence({ type: "presence", join: members });
    this.#open = true;
  }

  #pub({ from, upto, items }: Extract<ServerFrame, { type: "pub" }>): void {
    if (from > this.#position + 1) return this.#send({ type: "sync", offset: this.#position });
    this.#heard += items.length;
    if (upto > this.#position) this.#moveTo(upto);
  }

  #moveTo(offset: number): void {
    this.#position = offset;
    this.#epoch = this.#entered;
  }

  #presence(frame: Extract<ServerFrame, { type: "presence" }>): void {
    const { members, count = this.#count, join = [], update = [], leave = [] } = frame;
    this.#count = count;
    if (members) this.#members.clear();
    for (const { id, data } of [...(members ?? []), ...join, ...update]) {
      this.#members.set(id, JSON.stringify(data ?? null));
    }
    for (const id of leave) this.#members.delete(id);
  }

  #hearHeartbeat(offset: number): void {
    this.#socket?.send(PING);
    if (this.plan.credit && this.#position > this.#acked) this.#acknowledge();
    else if (offset > this.#position) this.#send({ type: "sync", offset: this.#position });
  }

  #bye({ code, reason, retryAfter = 0 }: Extract<ServerFrame, { type: "bye" }>): void {
    const socket = this.#socket;
    // A client that was replaced or has left begins anew.
    if (nextStep(code) === "stop") this.#session = undefined;
    if (reason === "done" || reason === "replaced") this.#epoch = "";
    this.#lost(retryAfter + 1_000 * this.#random());
    socket?.close(1000);
  }

  #acknowledge(): void {
    this.#acked = this.#position;
    this.#send({ type: "ack", offset: this.#position });
  }

  #settle(ref: number, how: { what: "settled"; offset: number } | { what: "failed"; code: string }): void {
    const line = this.#unanswered.get(ref);
    if (!line) return;
    this.#unanswered.delete(ref);
    this.#recorder.note({ client: this.plan.name, data: brief(line.data), ...how });
  }

  #send(...frames: ClientFrame[]): void {
    if (this.#socket && this.#open) this.#sendOn(this.#socket, this.#conn, frames);
  }

  #sendOn(socket: WebSocket, conn: string, frames: ClientFrame[]): void {
    if (socket.readyState !== WebSocket.OPEN) return;
    this.#recorder.note({ what: "out", client: this.plan.name, conn, frames: noted(frames) });
    // One frame in one message each: a long one must not make the message too large.
    for (const frame of frames) socket.send(JSON.stringify(frame));
  }
}

function publish(ref: number, { data, to }: Line): ClientFrame {
  return { type: "publish", ref, data, ...(to.length > 0 && { to }) };
}
