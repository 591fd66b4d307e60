/** One client of a rival: its socket, what it has received, and what it must prove. Speaks through a dialect. */
import { Credit } from "./credit.ts";
import { LeanSocket } from "./socket.ts";
import type { Sequence } from "./payload.ts";
import { signToken } from "./token.ts";

/** How a rival's clients speak. */
export interface Dialect {
  /** Path and query of the upgrade, for the first connection and for a resume. */
  path(template: string, member: Member): string;
  headers(token: string): readonly string[];
  /** What the client says when the socket opens, before it hears anything. */
  hello(member: Member): readonly string[];
  /** Whether an open socket is in the room at once. If not, the dialect calls {@link Member.enter}. */
  readonly readyWhenOpen: boolean;
  publish(who: number, n: number): string;
  /** A message that is not stored. Only the cost bench sends it. */
  signal?(who: number, n: number): string;
  /** Whether the dialect needs a whole message that begins with this byte. */
  whole(member: Member, first: number): boolean;
  /** Counts what is in a message. */
  read(member: Member, view: Buffer, length: number): void;
  /** The payloads of a whole message, for the client that checks all of them. */
  payloads(text: string): readonly string[];
}

/** What a dialect needs to resume. */
export interface Place {
  session: string;
  epoch: string;
  offset: number | string;
}

/** A client. */
export class Member {
  readonly dialect: Dialect;
  readonly room: string;
  readonly user: string;
  /** Its number as a publisher; -1 for a client that only listens. */
  who = -1;
  /** Publications received on this connection. */
  received = 0;
  /** Publications of its own that have come back. */
  own = 0;
  /** Messages received on this connection. */
  messages = 0;
  /** Acks of credit that it has sent. */
  acknowledged = 0;
  readonly place: Place = { session: "", epoch: "", offset: 0 };
  /** What it has acknowledged, in dialects with credit. */
  readonly credit = new Credit();
  resumed = false;
  /** Updates {@link place} with every message: only for a client that will resume. */
  notesPlace = false;
  /** Parses every payload, and fails when one is missing or out of order. */
  sequence: Sequence | undefined;
  failure: string | undefined;
  onReceived: ((count: number) => void) | undefined;
  onOwn: ((count: number) => void) | undefined;
  #socket: LeanSocket | undefined;
  #ready: { resolve: () => void; reject: (error: Error) => void } | undefined;
  #sent = 0;

  constructor(dialect: Dialect, room: string, user: string) {
    this.dialect = dialect;
    this.room = room;
    this.user = user;
  }

  /** Resolves when the client is in the room. */
  connect(port: number, template: string, token = signToken(this.user)): Promise<void> {
    const { dialect } = this;
    this.received = 0;
    this.messages = 0;
    return new Promise((resolve, reject) => {
      this.#ready = { resolve, reject };
      const socket = new LeanSocket(port, dialect.path(template, this), dialect.headers(token), {
        opened: () => {
          const hello = dialect.hello(this);
          if (hello.length > 0) socket.send(hello);
          if (dialect.readyWhenOpen) this.enter();
        },
        whole: (first) => this.sequence !== undefined || dialect.whole(this, first),
        message: (view, length) => this.#message(view, length),
        closed: (why) => this.fail(why),
      });
      this.#socket = socket;
    });
  }

  /** The dialect has heard that the client is in the room. */
  enter(): void {
    this.#ready?.resolve();
    this.#ready = undefined;
  }

  /** Something happened that must not. The run is void. */
  fail(why: string): void {
    this.failure ??= `${this.user}: ${why}`;
    this.#ready?.reject(new Error(this.failure));
    this.#ready = undefined;
  }

  /** The dialect has counted publications. */
  got(count: number): void {
    this.received += count;
    this.onReceived?.(count);
  }

  /** The dialect has counted publications of this client's own. */
  gotOwn(count: number): void {
    this.own += count;
    this.onOwn?.(count);
  }

  /** Publishes its next `count`, each as a message of its own, in one write. */
  publish(count: number): void {
    const texts: string[] = [];
    for (let i = 0; i < count; i++) texts.push(this.dialect.publish(this.who, ++this.#sent));
    this.#socket?.send(texts);
  }

  /** Sends its next signal. Signals are not counted. */
  signal(n: number): void {
    const text = this.dialect.signal?.(Math.max(0, this.who), n);
    if (text !== undefined) this.#socket?.send([text]);
  }

  get published(): number {
    return this.#sent;
  }

  /** Sends an ack of credit. */
  acknowledge(ack: string): void {
    this.acknowledged++;
    this.say(ack);
  }

  say(text: string): void {
    this.#socket?.send([text]);
  }

  /** Loses the network. */
  drop(): void {
    this.#socket?.destroy();
  }

  #message(view: Buffer, length: number): void {
    this.messages++;
    this.dialect.read(this, view, length);
    if (!this.sequence) return;
    try {
      for (const text of this.dialect.payloads(view.toString("latin1"))) this.sequence.add(text);
    } catch (error) {
      this.fail(String(error));
    }
  }
}
