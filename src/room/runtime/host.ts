/**
 * A room and the place it runs in: turns what the platform delivers into events, and hands out what becomes of them. Runs
 * on Cloudflare behind object.ts, and in plain Node behind a simulation. It decides nothing.
 */
import { closeQuietly } from "../../protocol/close.ts";
import { decode, join } from "../../protocol/codec.ts";
import { codes, type CodeName } from "../../protocol/codes.ts";
import type { Refusal } from "../../protocol/refusal.ts";
import type { Admission } from "../admission.ts";
import type { Down, Regions, RelayAddress, RelayPort, Up } from "../relaying.ts";
import type { Answer, Caller, Facts, OperatorCommand, SocketFacts } from "../operator.ts";
import { dueEvents } from "../core/alarm.ts";
import type { Command, CommandResults, Result, RoomEvent } from "../core/event.ts";
import { acknowledgeOnly, encodeFailure, failure } from "../core/frames.ts";
import type { TickOutcome } from "../core/tick.ts";
import type { RoomDefinition } from "../definition.ts";
import type { Connection } from "../rules/connection.ts";
import type { Mirror } from "../store/mirror.ts";
import type { Continuation, RoomState } from "../store/state.ts";
import type { EndRecord } from "../telemetry/end.ts";
import { codeOfThrown, type Failure, type FailureRecord } from "../telemetry/failure.ts";
import type { Listing } from "../telemetry/listing.ts";
import { Recorder, type RoomReport } from "../telemetry/recorder.ts";
import { EffectRunner } from "./effects.ts";
import type { Platform, RoomSocket } from "./platform.ts";
import type { Recording } from "./recording.ts";
import { Relays } from "./relays.ts";
import { isLoad, isLook, Scheduler } from "./scheduler.ts";
import { Sockets } from "./sockets.ts";
import { RETRY_MS, Ticker, type Attributes } from "./ticker.ts";

/** What comes of a wish to connect. */
export type Opened =
  { readonly ok: true; readonly client: WebSocket } | ({ readonly ok: false; readonly regions?: Regions } & Refusal);

/** What is refused for overload may be tried again in a second. */
const OVERLOADED = { ok: false, code: "rate_limited", message: "The room is overloaded.", retryAfter: 1_000 } as const;
/** And so may a connection that there is no time to open. Its code is that of a room without a place. */
const CROWDED = { ...OVERLOADED, code: "room_full" } as const;

/** The close code of a socket that failed: RFC 6455 has it for what closed without a close frame. */
const FAILED = 1_006;

/** What observes a room. */
export interface Observer {
  /** A failure, at once. Must not throw. */
  readonly report: (record: FailureRecord) => void;
  /** The end of a connection, at once. Must not throw. */
  readonly ended: (record: EndRecord) => void;
  /** How the room is, now and then. Rejects when it did not arrive. */
  readonly sendReport: (report: RoomReport) => Promise<void>;
  /** Runs something as a part of a trace. */
  readonly span: <T>(name: string, attributes: Attributes, run: () => T) => T;
  /** Takes ticks that failed, as data; `undefined` when nobody wants them. */
  readonly onFailedTick?: () => ((recording: Recording) => void) | undefined;
}

/** What a host is made of. */
export interface HostParts {
  readonly platform: Platform;
  /** A function, because the class of the user's room has its fields only after this is made. */
  readonly definition: () => RoomDefinition;
  readonly env: unknown;
  readonly observer: Observer;
  /** How a relay is called. Absent where there are none. */
  readonly relayAt?: (relay: RelayAddress) => RelayPort;
  /** Relays that one object tells by itself. Default: 64. */
  readonly fan?: number;
  /** This is a relay: its copy of its room's log, and its way to its room. */
  readonly relay?: {
    readonly mirror: Mirror;
    readonly ticked: (state: RoomState, outcome: TickOutcome) => void;
    /** Resolves when the room has answered all frames. */
    readonly answered: () => Promise<void>;
  };
}

/** One room in its place. */
export class RoomHost {
  readonly #platform: Platform;
  readonly #definition: () => RoomDefinition;
  readonly #observer: Observer;
  readonly #sockets: Sockets;
  readonly #scheduler: Scheduler;
  readonly #ticker: Ticker;
  readonly #effects: EffectRunner;
  readonly #recorder: Recorder;
  readonly #relays: Relays;
  readonly #answered: (() => Promise<void>) | undefined;

  constructor({ platform, definition, env, observer, relay, relayAt, fan }: HostParts) {
    this.#platform = platform;
    this.#answered = relay?.answered;
    this.#definition = definition;
    this.#observer = observer;
    const continuations = new Map<string, Continuation>();
    const fail = (failed: Failure) => this.#fail(failed);
    this.#sockets = new Sockets(platform);
    this.#recorder = new Recorder({
      report: observer.report,
      ended: observer.ended,
      sendReport: async (report) => {
        await observer.sendReport(report);
        this.#reported(report.listing);
      },
      restored: () => {
        const { loaded } = this.#ticker;
        if (loaded) this.#effects.save(loaded);
      },
      now: () => platform.now(),
    });
    this.#effects = new EffectRunner({
      platform,
      sockets: this.#sockets,
      recorder: this.#recorder,
      outlet: () => definition().events?.to,
      env,
      submit: (event) => this.#scheduler.submit(event),
      fail,
      continuations,
      ticked: (state, outcome) => {
        relay?.ticked(state, outcome);
        this.#relays.ticked(state, outcome, relay?.mirror.next);
      },
    });
    this.#ticker = new Ticker({
      platform,
      definition,
      sockets: this.#sockets,
      recorder: this.#recorder,
      effects: () => this.#effects,
      continuations,
      mirror: relay?.mirror,
      span: observer.span,
      fail,
      onFailedTick: observer.onFailedTick ?? (() => undefined),
    });
    this.#scheduler = new Scheduler((batch) => this.#ticker.run(batch), platform);
    this.#relays = new Relays({
      platform,
      queue: this.#scheduler,
      relayAt,
      fan,
      loaded: () => this.#ticker.loaded,
      state: () => this.#ticker.load(),
      fail,
    });
    this.#recorder.counters.add("wakeups");
  }

  /** The state, made if there is none. */
  get state(): RoomState {
    return this.#ticker.load();
  }

  /** Its definition has changed: what is in memory goes by the old one. */
  reload(): void {
    const { loaded } = this.#ticker;
    if (loaded) this.#effects.save(loaded);
    this.#ticker.forget();
  }

  /** Something failed outside of the room's own doing. */
  failed(failed: Failure): void {
    this.#fail(failed);
  }

  /** What happens in this room. Resolves when it has committed. */
  submit(event: RoomEvent): Promise<Result> {
    return this.#scheduler.submit(event);
  }

  /** A relay tells and asks. */
  exchange(up: Up): Promise<Down> {
    return this.#relays.exchange(up);
  }

  /** Sends to one connection, apart from a tick. One that cannot be found at the moment must come back instead. */
  answer({ session, generation }: Connection, text: string): void {
    try {
      const state = this.#ticker.load();
      const connection = state.connection(session, generation);
      if (connection) this.#effects.answer(state, connection, text);
    } catch {
      this.#sockets.hangUp(session, generation, "restarting");
    }
  }

  /** What must be known before anything else happens: when the alarm is set to ring. */
  async begin(): Promise<void> {
    this.#ticker.setArmed((await this.#platform.storage.getAlarm()) ?? undefined);
  }

  /** Opens a connection. `client`: the client's end of its socket. `regions`: it is to be opened at a relay. */
  async connect(admission: Admission): Promise<Opened> {
    this.#ticker.wake();
    const regions = this.#relays.regionsFor(admission);
    if (regions) return { ok: false, code: "restarting", regions };
    return this.open({ type: "connect", admission, id: this.#platform.mintId() });
  }

  /** Opens the connection that an event asks for. */
  async open(event: Extract<RoomEvent, { type: "connect" | "admitted" }>): Promise<Opened> {
    const { credentials, traceparent, resume } = event.admission;
    if (this.#scheduler.isCrowded) return CROWDED;
    const { maxConnections, maxConnectionsPerUser } = this.#definition();
    // Sockets that were told to go before the room slept count as well.
    this.#ticker.wake();
    const full = this.#sockets.full(credentials.user, Math.min(maxConnections, maxConnectionsPerUser));
    if (full) return { ok: false, ...full };
    const attributes = { traceparent, session: resume?.session };
    const result = await this.#observer.span("resume", attributes, () => this.#scheduler.submit(event));
    if (!result.ok) return result;
    // Sound: what a connect gives is its connection.
    const client = this.#sockets.takeClientEnd(result.value as Connection);
    return client ? { ok: true, client } : { ok: false, code: "internal" };
  }

  /** A socket has delivered a message. Resolves when its frames are through. */
  async message(socket: RoomSocket, message: string | ArrayBuffer): Promise<void> {
    const state = this.#wake(socket);
    const connection = this.#sockets.connectionOf(socket);
    if (!state || !connection) return;
    const { session, generation } = connection;
    const frames = decode(message, this.#definition().maxMessage);
    if (acknowledgeOnly(state, connection, frames)) return this.#remember(state, connection);
    // What makes the load smaller is never refused.
    const isRelief = frames.every(({ type }) => type === "ack" || type === "leave");
    if (!isRelief && this.#scheduler.isOverloadedFor(session)) {
      const error = failure(OVERLOADED.code, OVERLOADED);
      this.#recorder.counters.add("errors|rate_limited", frames.length);
      this.#effects.answer(state, connection, join(frames.map((frame) => encodeFailure(frame, error))));
      return;
    }
    const events = frames.map((frame): RoomEvent => ({ type: "frame", session, generation, frame }));
    const length = typeof message === "string" ? message.length : message.byteLength;
    // Waiting for the tick keeps the event open: an object with waiting frames must not be evicted.
    await this.#scheduler.submitFrames(events, length);
    await this.#answered?.();
  }

  /** A socket has closed, with this close code, or failed. */
  async closed(socket: RoomSocket, close = FAILED): Promise<void> {
    const pointer = this.#sockets.closed(socket);
    if (!pointer) return;
    const { session, generation } = pointer;
    await this.#scheduler.submit({ type: "drop", session, generation, close });
  }

  /** The alarm rings. Never throws: that would be tried again six times and then never. */
  async alarm({ scheduledTime, retryCount = 0 }: { scheduledTime?: number; retryCount?: number } = {}): Promise<void> {
    this.#recorder.counters.add("alarms");
    try {
      this.#ticker.ring(scheduledTime);
      // An earlier try was killed, by its time or its memory. The platform gives up after some: this one rings again.
      if (retryCount > 0) await this.#armBeforehand();
      const now = this.#platform.now();
      this.#ticker.release(now);
      const state = this.#ticker.load();
      const events = dueEvents(state, now, () => this.#answeredAt(state));
      const results = await this.#scheduler.submitAll(events);
      // A tick that does something sets the alarm. None did where nothing was due yet, or all of it failed.
      if (!results.some(({ ok }) => ok)) this.#ticker.run([]);
    } catch (error) {
      this.#fail({ code: codeOfThrown(error), source: "alarm", error });
      this.#ticker.armRetry();
    }
  }

  /** What a server-side caller asks for. */
  async command<C extends Command>(command: C): Promise<Result<CommandResults[C["type"]]>> {
    const result = await this.#ask({ type: "command", command });
    // Sound: `apply` pairs each command with its result.
    return result as Result<CommandResults[C["type"]]>;
  }

  /** What is asked over HTTP with a token; the Worker has verified it. */
  async operate(caller: Caller, command: OperatorCommand): Promise<Answer> {
    const result = await this.#ask({ type: "operate", caller, command, facts: this.#factsFor(command) });
    return result.ok ? { ok: true, value: result.value as object } : result;
  }

  /** Refuses at once what would make a load larger that is too large already. */
  async #ask(event: Extract<RoomEvent, { type: "command" | "operate" }>): Promise<Result> {
    if (isLook(event) && this.#scheduler.isLookedAt) return OVERLOADED;
    if (!isLoad(event)) return this.#scheduler.submit(event);
    if (this.#scheduler.isFull) return OVERLOADED;
    return this.#scheduler.submit(event, lengthOf(event.command));
  }

  #remember(state: RoomState, connection: Connection): void {
    if (this.#sockets.isCarrier(connection)) this.#effects.save(state);
    else this.#sockets.remember(connection, state.changed);
  }

  async #armBeforehand(): Promise<void> {
    const { storage } = this.#platform;
    const at = this.#platform.now() + RETRY_MS;
    await storage.setAlarm(at);
    await storage.sync();
    this.#ticker.setArmed(at);
  }

  /** Makes sure that the state is in memory; storage that cannot be read sends the client back for later. */
  #wake(socket: RoomSocket): RoomState | undefined {
    try {
      return this.#ticker.load();
    } catch (error) {
      this.#fail({ code: "storage_failed", source: "load", error });
      this.#recorder.counters.add("closes|storage_failed");
      closeQuietly(socket, codes.storage_failed.close, "storage_failed" satisfies CodeName);
      return undefined;
    }
  }

  #answeredAt(state: RoomState): Record<string, number> {
    const answered: Record<string, number> = {};
    for (const connection of state.connections.values()) {
      answered[connection.session] = this.#sockets.answeredAt(connection);
    }
    return answered;
  }

  #factsFor({ type }: OperatorCommand): Facts {
    const { counts } = this.#recorder.counters;
    // A room that slept has to know its sockets before it can tell of them.
    if (type === "sessions") this.#ticker.wake();
    const sockets: Record<string, SocketFacts> = {};
    for (const connection of type === "sessions" ? (this.#ticker.loaded?.connections.values() ?? []) : []) {
      const unread = this.#sockets.unread(connection);
      const answeredAt = this.#sockets.answeredAt(connection);
      sockets[connection.session] = { answeredAt, ...(unread !== undefined && { unread }) };
    }
    return { sockets, counts, relays: type === "stats" ? this.#relays.views : [] };
  }

  /** A report has arrived. Most say nothing that has to be written down. */
  #reported({ kind, undelivered }: Listing): void {
    // One without a kind is not kept: the room tells it again when it knows its name.
    if (kind !== "" && this.#ticker.loaded?.undelivered.isNews(undelivered)) {
      void this.#scheduler.submit({ type: "reported", undelivered });
    }
  }

  #fail(failed: Failure): void {
    const state = this.#ticker.loaded;
    const { kind, name } = state?.name ?? { kind: "", name: this.#platform.name };
    // A room in which hooks or the disk fail reports so soon.
    if (this.#recorder.fail(failed, { kind, room: name }) && state) state.isActive = true;
  }
}

/** UTF-16 units of what a caller brings, as JSON. */
function lengthOf(command: Command | OperatorCommand): number {
  try {
    return JSON.stringify(command).length;
  } catch {
    // JSON cannot carry it: it is refused when its turn comes.
    return 0;
  }
}
