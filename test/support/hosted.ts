/**
 * A room in plain Node: the real host over node:sqlite, with a clock that tests set, timers that run in its time, and
 * sockets that are plain objects. What a socket remembers survives `evict()`; a `crash()` takes the sockets along. For
 * tests of one rule; it simulates no network.
 */
import { decodeServer } from "../../src/protocol/codec.ts";
import type { ClientFrame, ServerFrame } from "../../src/protocol/frames.ts";
import type { Admission, Credentials } from "../../src/room/admission.ts";
import { defineRoom, type Definition } from "../../src/room/definition.ts";
import type { OperatorCommand } from "../../src/room/operator.ts";
import { RoomHost, type HostParts } from "../../src/room/runtime/host.ts";
import type { Platform, RoomSocket } from "../../src/room/runtime/platform.ts";
import type { EndRecord } from "../../src/room/telemetry/end.ts";
import type { FailureRecord } from "../../src/room/telemetry/failure.ts";
import type { RoomReport } from "../../src/room/telemetry/recorder.ts";
import type { Recording } from "../../src/room/runtime/recording.ts";
import { NodeStorage } from "./sqlite.ts";

type Frame<T extends ServerFrame["type"]> = Extract<ServerFrame, { type: T }>;

/** What a test says about a connection; the rest is usual. */
export interface Joining {
  readonly user?: string;
  readonly credentials?: Partial<Credentials>;
  readonly resume?: Admission["resume"];
  readonly credit?: boolean;
  readonly attempt?: Admission["attempt"];
}

/** How the place behaves. */
export interface Place {
  /** Whether sockets tell what they hold. Default: they do. */
  readonly tellsBuffered?: boolean;
  /** How the room calls its relays. Default: it has none. */
  readonly relayAt?: HostParts["relayAt"];
}

const CLOSING = 2;
const CLOSED = 3;
/** The platform's limit on what a socket remembers. */
const MAX_ATTACHMENT = 16_384;
const HOUR_MS = 3_600_000;

/** Both ends of one socket: what the room does with it, and what the client saw. */
export class Peer implements RoomSocket {
  readonly messages: string[] = [];
  readyState = 1;
  answeredAt = 0;
  /** Bytes that the client has not read; `undefined` where the runtime does not tell. */
  bufferedAmount?: number;
  /** A client that reads has nothing waiting. */
  reads = true;
  closedWith: { readonly code?: number; readonly reason?: string } | undefined;
  #attachment: unknown;
  readonly #room: HostedRoom;

  constructor(room: HostedRoom, tellsBuffered: boolean) {
    this.#room = room;
    if (tellsBuffered) this.bufferedAmount = 0;
  }

  send(text: string): void {
    if (this.readyState !== 1) throw new TypeError("the socket is closing");
    this.messages.push(text);
    if (!this.reads && this.bufferedAmount !== undefined) this.bufferedAmount += text.length;
  }

  close(code?: number, reason?: string): void {
    this.closedWith ??= { ...(code !== undefined && { code }), ...(reason !== undefined && { reason }) };
    this.readyState = Math.max(this.readyState, CLOSING);
  }

  serializeAttachment(value: unknown): void {
    if (JSON.stringify(value).length > MAX_ATTACHMENT) throw new Error("the attachment is too large");
    this.#attachment = structuredClone(value);
  }

  deserializeAttachment(): unknown {
    return structuredClone(this.#attachment ?? null);
  }

  /** Every frame that the room sent, in order. */
  get frames(): ServerFrame[] {
    return this.messages.flatMap((message) => decodeServer(message) ?? []);
  }

  of<T extends ServerFrame["type"]>(type: T): Frame<T>[] {
    return this.frames.filter((frame): frame is Frame<T> => frame.type === type);
  }

  get items() {
    return this.of("pub").flatMap(({ items }) => items);
  }

  get welcome(): Frame<"welcome"> {
    const [welcome] = this.of("welcome");
    if (!welcome) throw new Error("there is no welcome");
    return welcome;
  }

  /** The client sends one message. Resolves when its frames are through, which a busy room needs time for. */
  say(...frames: (ClientFrame | object)[]): Promise<void> {
    return this.#room.host.message(this, JSON.stringify(frames.length === 1 ? frames[0] : frames));
  }

  /** The client answers a heartbeat. */
  ping(): void {
    this.answeredAt = this.#room.now;
  }

  /** The client reads everything that waits for it. */
  drain(): void {
    if (this.bufferedAmount !== undefined) this.bufferedAmount = 0;
  }

  /** The connection ends; the room is told. */
  async end(): Promise<void> {
    this.readyState = CLOSED;
    this.#room.sockets.delete(this);
    await this.#room.settled(this.#room.host.closed(this));
  }
}

/** One room, and everything that a test can do to it. */
export class HostedRoom {
  readonly storage = new NodeStorage();
  readonly failures: FailureRecord[] = [];
  /** How connections ended so far. */
  readonly ends: EndRecord[] = [];
  readonly reports: RoomReport[] = [];
  readonly recordings: Recording[] = [];
  /** What becomes of a report; a test may lose it. */
  sendReport = (report: RoomReport): Promise<void> => Promise.resolve(void this.reports.push(report));
  /** What the runtime holds. */
  readonly sockets = new Set<Peer>();
  definition: ReturnType<typeof defineRoom>;
  now = 1_800_000_000_000;
  host: RoomHost;
  /** What the room needs of its place; a test may let a part of it fail. */
  readonly place: Platform;
  #timers: { readonly at: number; readonly nth: number; readonly run: () => void }[] = [];
  #nth = 0;
  #requests = 0;
  readonly #tellsBuffered: boolean;
  readonly #relayAt: HostParts["relayAt"];

  constructor(definition: Definition = {}, { tellsBuffered = true, relayAt }: Place = {}) {
    this.definition = defineRoom(definition);
    this.#relayAt = relayAt;
    this.#tellsBuffered = tellsBuffered;
    this.place = this.#platform();
    this.host = this.#begin();
  }

  /** Codes of the failures so far. */
  get codes(): string[] {
    return this.failures.map(({ code }) => code);
  }

  /** Opens a connection, or throws the code of the refusal. */
  async join(joining: Joining = {}): Promise<Peer> {
    const result = await this.connect(joining);
    if (!result.ok) throw new Error(result.code);
    // Sound: `open` makes every client's end.
    return result.client as unknown as Peer;
  }

  /** Asks for a connection. */
  connect({ user = "ann", credentials, resume, credit = false, attempt }: Joining = {}) {
    const usual = {
      user,
      grants: ["join", "publish", "signal", "call"],
      issued: 0,
      expires: this.now + HOUR_MS,
    } as const;
    const requestId = `request-${++this.#requests}`;
    return this.settled(
      this.host.connect({
        kind: "test",
        room: "one",
        credentials: { ...usual, ...credentials },
        requestId,
        receivedAt: this.now,
        ...(resume && { resume }),
        credit,
        ...(attempt && { attempt }),
      }),
    );
  }

  /** What an operator asks over HTTP. */
  operate(command: OperatorCommand) {
    const credentials: Credentials = { user: "operator", grants: ["admin", "publish"], issued: 0, expires: Infinity };
    return this.settled(this.host.operate({ kind: "test", room: "one", credentials, requestId: "r" }, command));
  }

  /** Waits for something that the room does, giving it the time that it needs. */
  async settled<T>(work: Promise<T>): Promise<T> {
    const state = { isDone: false };
    const watched = work.finally(() => (state.isDone = true));
    await turns();
    for (let i = 0; !state.isDone && i < 1_000; i++) await this.pass(this.#untilNextTimer());
    if (!state.isDone) throw new Error("the room does not come to an end");
    return watched;
  }

  /** Lets time pass: timers run and the alarm rings when their time has come. */
  async pass(ms: number): Promise<void> {
    const end = this.now + ms;
    await turns();
    for (;;) {
      const [timer] = this.#timers.toSorted((a, b) => a.at - b.at || a.nth - b.nth);
      const alarm = (await this.storage.getAlarm()) ?? Infinity;
      const next = Math.min(timer?.at ?? Infinity, alarm);
      if (next > end) break;
      this.now = Math.max(this.now, next);
      if (timer && timer.at <= alarm) this.#fire(timer);
      else await this.#ring(alarm);
      await turns();
    }
    this.now = end;
  }

  /** Time passes until the alarm, which rings. Returns how long that took, in ms. */
  async ring(): Promise<number> {
    const alarm = await this.storage.getAlarm();
    if (alarm === null) throw new Error("no alarm is set");
    const before = this.now;
    await this.pass(Math.max(0, alarm - this.now));
    return this.now - before;
  }

  /** The runtime runs the alarm's handler, as it does when an earlier try was killed. */
  alarm(retryCount: number): Promise<void> {
    return this.settled(this.host.alarm({ scheduledTime: this.now, retryCount }));
  }

  /** The room is out of memory; its sockets stay. */
  async evict(): Promise<void> {
    await this.pass(100);
    await this.#replace();
  }

  /** The object dies: what is not in storage is gone, and so are the sockets. */
  async crash(): Promise<void> {
    for (const peer of this.sockets) peer.readyState = CLOSED;
    this.sockets.clear();
    await this.#replace();
  }

  /** Rows of a query. */
  rows(query: string): Record<string, SqlStorageValue>[] {
    return this.storage.sql.exec(query).toArray();
  }

  /** How many rows something writes. */
  async written(run: () => Promise<unknown>): Promise<number> {
    const before = this.#changes();
    await run();
    return this.#changes() - before;
  }

  #changes(): number {
    return Number(this.rows("SELECT total_changes() AS n")[0]?.["n"]);
  }

  async #replace(): Promise<void> {
    this.#timers = [];
    this.host = this.#begin();
    await turns();
  }

  #begin(): RoomHost {
    const host = new RoomHost({
      platform: this.place,
      definition: () => this.definition,
      env: {},
      ...(this.#relayAt && { relayAt: this.#relayAt }),
      observer: {
        report: (record) => void this.failures.push(record),
        ended: (record) => void this.ends.push(record),
        sendReport: (report) => this.sendReport(report),
        span: (_name, _attributes, run) => run(),
        onFailedTick: () => (recording) => void this.recordings.push(recording),
      },
    });
    void host.begin();
    return host;
  }

  #platform(): Platform {
    return {
      name: "one",
      storage: this.storage,
      sockets: {
        open: () => {
          const peer = new Peer(this, this.#tellsBuffered);
          this.sockets.add(peer);
          return { server: peer, client: peer as unknown as WebSocket };
        },
        all: () => [...this.sockets],
        answeredAt: (socket) => (socket as Peer).answeredAt,
      },
      now: () => this.now,
      mintId: () => `id-${++this.#nth}`,
      later: (ms, run) => {
        const timer = { at: this.now + ms, nth: ++this.#nth, run };
        this.#timers.push(timer);
        return () => void (this.#timers = this.#timers.filter((each) => each !== timer));
      },
    };
  }

  #fire(timer: { readonly run: () => void }): void {
    this.#timers = this.#timers.filter((each) => each !== timer);
    timer.run();
  }

  async #ring(scheduledTime: number): Promise<void> {
    await this.storage.deleteAlarm();
    void this.host.alarm({ scheduledTime, retryCount: 0 });
    await turns();
  }

  #untilNextTimer(): number {
    const next = Math.min(...this.#timers.map(({ at }) => at));
    return next === Infinity ? 0 : Math.max(0, next - this.now);
  }
}

/** Everything that needs no time happens. */
function turns(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
