/**
 * A place in plain Node for the real hosts of a room and of a relay: real SQLite, and sockets that only count. What such a
 * room costs is its own code, without a network. Knows nothing of what is measured.
 */
import type { Platform, RoomSocket, RoomStorage, SocketHost } from "../../src/room/runtime/platform.ts";
import { NodeStorage } from "../../test/support/sqlite.ts";

/** Time, as a place has it: the machine's, or one that a run moves. */
export interface Clock {
  /** In ms since the epoch. */
  now(): number;
  /** Runs something after `ms`, unless it is called off by what this returns. */
  later(ms: number, run: () => void): () => void;
}

/** The machine's time. */
export const realClock: Clock = {
  now: () => Date.now(),
  later(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** Time that passes when it is told to. */
export class MovedClock implements Clock {
  #now = 1_800_000_000_000;
  #timers: { readonly at: number; readonly run: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  later(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run };
    this.#timers.push(timer);
    return () => void (this.#timers = this.#timers.filter((each) => each !== timer));
  }

  /** Lets time pass, and everything happen that is due meanwhile. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (await turns(); ; await turns()) {
      const [next] = this.#timers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at);
      if (!next) break;
      this.#timers = this.#timers.filter((each) => each !== next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = end;
  }

  /** Lets as much time pass as something needs. */
  async until<T>(work: Promise<T>): Promise<T> {
    const state = { isDone: false };
    void work.finally(() => (state.isDone = true)).catch(() => {});
    await turns();
    while (!state.isDone) await this.pass(1);
    return work;
  }
}

/** A client that reads everything, answers heartbeats, and checks that no publication is missing or doubled. */
export class Seat implements RoomSocket {
  readyState = 1;
  readonly bufferedAmount = 0;
  /** The last publication that it has. */
  offset: number | undefined;
  publications = 0;
  /** UTF-8 bytes of its messages; counted only where asked for. */
  bytes = 0;
  readonly #place: Place;
  #attachment: unknown = null;

  constructor(place: Place) {
    this.#place = place;
  }

  send(text: string): void {
    this.bytes += this.#place.sent(text);
    const { from, upto } = readOffsets(text);
    if (from === 0) return;
    if (this.offset !== undefined && from !== this.offset + 1) throw new Error(`${from} after ${this.offset}`);
    this.offset = upto;
    this.publications += upto - from + 1;
  }

  close(code?: number): void {
    throw new Error(`the room closed a socket: ${code}`);
  }

  serializeAttachment(value: unknown): void {
    this.#attachment = value;
  }

  deserializeAttachment(): unknown {
    return this.#attachment;
  }
}

let last = { text: "", from: 0, upto: 0 };

/** Which publications a message has. Most sockets get the very same text: it is read once. */
function readOffsets(text: string): { readonly from: number; readonly upto: number } {
  if (text === last.text) return last;
  const found = [...text.matchAll(/"type":"pub","from":(\d+),"upto":(\d+)/g)];
  last = { text, from: Number(found[0]?.[1] ?? 0), upto: Number(found.at(-1)?.[2] ?? 0) };
  return last;
}

/** Where one object runs. */
export class Place implements Platform {
  readonly name: string;
  readonly storage: RoomStorage;
  readonly sockets: SocketHost;
  readonly seats: Seat[] = [];
  /** UTF-8 bytes of all messages to sockets so far; counted only where asked for. */
  bytes = 0;
  /** Called when the alarm is due. */
  onAlarm: (scheduledTime: number) => void = () => {};
  readonly #clock: Clock;
  readonly #counts: boolean;
  #cancelAlarm = () => {};

  constructor(name: string, clock: Clock, countsBytes: boolean) {
    this.name = name;
    this.#clock = clock;
    this.#counts = countsBytes;
    this.storage = this.#storage();
    this.sockets = {
      open: () => {
        const server = new Seat(this);
        this.seats.push(server);
        // Sound: the host only hands the client's end on.
        return { server, client: server as unknown as WebSocket };
      },
      all: () => this.seats,
      answeredAt: () => clock.now(),
    };
  }

  now(): number {
    return this.#clock.now();
  }

  mintId(): string {
    return crypto.randomUUID().replaceAll("-", "");
  }

  later(ms: number, run: () => void): () => void {
    return this.#clock.later(ms, run);
  }

  /** A socket gets a message. Returns its bytes, where they are counted. */
  sent(text: string): number {
    const bytes = this.#counts ? Buffer.byteLength(text) : 0;
    this.bytes += bytes;
    return bytes;
  }

  #storage(): RoomStorage {
    const storage = new NodeStorage();
    return {
      sql: storage.sql,
      transactionSync: (run) => storage.transactionSync(run),
      getAlarm: () => storage.getAlarm(),
      setAlarm: async (at) => {
        await storage.setAlarm(at);
        this.#cancelAlarm();
        this.#cancelAlarm = this.#clock.later(Math.max(0, at - this.#clock.now()), () => {
          void storage.deleteAlarm().then(() => this.onAlarm(at));
        });
      },
      deleteAlarm: () => {
        this.#cancelAlarm();
        return storage.deleteAlarm();
      },
      sync: () => storage.sync(),
    };
  }
}

/** Everything that needs no time happens. */
function turns(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
