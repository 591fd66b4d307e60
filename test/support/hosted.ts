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
import { HostedTime, turns, type Timed } from "./hosted-time.ts";
import { NodeStorage } from "./sqlite.ts";

type Frame<T extends ServerFrame["type"]> = Extract<ServerFrame, { type: T }>;

/** What a test says about a connection; the rest is usual. */
export interface Joining {
  readonly user?: string;
  readonly credentials?: Partial<Credentials>;
  readonly resume?: Admission["resume"];
  readonly credit?: boolean;
  readonly attempt?: Admission["attempt"];
  readonly spread?: Admission["spread"];
}

/** How the place behaves. */
export interface Place {
  /** Whether sockets tell what they hold. Default: they do. */
  readonly tellsBuffered?: boolean;
  /** Where several objects live in the same time. Default: one of its own. */
  readonly time?: HostedTime;
  /** How the object is called. Default: `one`. */
  readonly name?: string;
  /** What lives in it. Default: a room. */
  readonly make?: (parts: Pick<HostParts, "platform" | "observer">) => RoomHost;
  /** How the room calls relays. Default: it has none. */
  readonly relayAt?: HostParts["relayAt"];
  /** Relays that it tells by itself. */
  readonly fan?: number;
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
  host: RoomHost;
  /** What the room needs of its place; a test may let a part of it fail. */
  readonly place: Platform;
  #requests = 0;
  readonly #time: HostedTime;
  readonly #timed: Timed = { storage: this.storage, ring: (scheduledTime) => this.#ring(scheduledTime) };
  readonly #about: Place;

  constructor(definition: Definition = {}, about: Place = {}) {
    this.definition = defineRoom(definition);
    this.#about = about;
    this.#time = about.time ?? new HostedTime();
    this.#time.add(this.#timed);
    this.place = this.#platform();
    this.host = this.#begin();
  }

  get now(): number {
    return this.#time.now;
  }

  set now(now: number) {
    this.#time.now = now;
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
  connect(joining: Joining = {}) {
    return this.settled(this.host.connect(this.admissionOf(joining)));
  }

  /** What the Worker says of a client that wants to connect. */
  admissionOf({ user = "ann", credentials, resume, credit = false, attempt, spread }: Joining = {}): Admission {
    const usual = {
      user,
      grants: ["join", "publish", "signal", "call"],
      issued: 0,
      expires: this.now + HOUR_MS,
    } as const;
    return {
      kind: "test",
      room: "one",
      credentials: { ...usual, ...credentials },
      requestId: `request-${++this.#requests}`,
      receivedAt: this.now,
      ...(resume && { resume }),
      credit,
      ...(attempt && { attempt }),
      ...(spread && { spread }),
    };
  }

  /** What an operator asks over HTTP. */
  operate(command: OperatorCommand) {
    const credentials: Credentials = { user: "operator", grants: ["admin", "publish"], issued: 0, expires: Infinity };
    return this.settled(this.host.operate({ kind: "test", room: "one", credentials, requestId: "r" }, command));
  }

  /** Waits for something that the room does, giving it the time that it needs. */
  settled<T>(work: Promise<T>): Promise<T> {
    return this.#time.settled(work);
  }

  /** Lets time pass: timers run and the alarm rings when their time has come. */
  pass(ms: number): Promise<void> {
    return this.#time.pass(ms);
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
    this.#time.forget(this.#timed);
    this.host = this.#begin();
    await turns();
  }

  #begin(): RoomHost {
    const observer: HostParts["observer"] = {
      report: (record) => void this.failures.push(record),
      ended: (record) => void this.ends.push(record),
      sendReport: (report) => this.sendReport(report),
      span: (_name, _attributes, run) => run(),
      onFailedTick: () => (recording) => void this.recordings.push(recording),
    };
    const { make, relayAt, fan } = this.#about;
    const parts = { platform: this.place, observer };
    const definition = () => this.definition;
    const host =
      make?.(parts) ??
      new RoomHost({ ...parts, definition, env: {}, ...(relayAt && { relayAt }), ...(fan !== undefined && { fan }) });
    void host.begin();
    return host;
  }

  #platform(): Platform {
    const { name = "one", tellsBuffered = true } = this.#about;
    return {
      name,
      storage: this.storage,
      sockets: {
        open: () => {
          const peer = new Peer(this, tellsBuffered);
          this.sockets.add(peer);
          return { server: peer, client: peer as unknown as WebSocket };
        },
        all: () => [...this.sockets],
        answeredAt: (socket) => (socket as Peer).answeredAt,
      },
      now: () => this.now,
      mintId: () => `id-${this.#time.next()}`,
      later: (ms, run) => this.#time.later(this.#timed, ms, run),
    };
  }

  async #ring(scheduledTime: number): Promise<void> {
    await this.storage.deleteAlarm();
    void this.host.alarm({ scheduledTime, retryCount: 0 });
    await turns();
  }
}
