/**
 * A relay's way to its room: one exchange at a time, with everything in it that waits. What an exchange that failed has asked
 * is asked again, but for what must not happen twice: its sender is told so. Decides nothing about members.
 */
import type { Forwarded, Wanted } from "../core/effects.ts";
import type { Reply, Result, RoomEvent } from "../core/event.ts";
import { encodeFailure, failure } from "../core/frames.ts";
import type { Told } from "../core/relay.ts";
import type { TickOutcome } from "../core/tick.ts";
import {
  RELAYING,
  type Admitted,
  type Down,
  type Joining,
  type RelayAddress,
  type GoneKey,
  type Up,
} from "../relaying.ts";
import { Counted, movingOf } from "./counted.ts";
import type { Mirror } from "../store/mirror.ts";
import type { RoomState } from "../store/state.ts";
import type { Platform } from "./platform.ts";
import { bySpeaker, type Spoken } from "./speakers.ts";

/** How long an exchange may take, in ms: more than a room under load needs. */
const TIMEOUT_MS = 10_000;
/** How long a client that wants to connect waits for a room that does not answer, in ms. */
const JOIN_PATIENCE_MS = 15_000;
/** After how long what failed is tried again, in ms: twice as long each time. */
const RETRY_MS = 250;
const MAX_RETRY_MS = 15_000;
/** After how long room and relay compare their sessions, in ms, at the next heartbeat. */
const AGREE_MS = 60_000;
/** Frames and UTF-16 units of one exchange, at most; the rest has the next. */
const MAX_FRAMES = 2_048;
const MAX_LENGTH = 4_194_304;
/** And calls: what is answered to them is as large as any message, and all of it is in one answer. */
const MAX_CALLS = 128;
/** Frames that may wait, and UTF-16 units of them. Past it their senders are told to wait. */
const MAX_WAITING = 16_384;
const MAX_WAITING_LENGTH = 16_777_216;
/** And clients that want to connect. */
const MAX_JOINS = 512;

/** What an upstream works with. */
export interface UpstreamParts {
  readonly platform: Platform;
  readonly mirror: Mirror;
  /** Whether this instance was woken by something else than a client that wants to connect. */
  readonly isWoken: () => boolean;
  /** Asks the room. */
  readonly ask: (up: Up) => Promise<Down>;
  readonly relay: () => RelayAddress;
  readonly state: () => RoomState;
  readonly submit: (event: RoomEvent) => Promise<Result>;
  /** To one connection, apart from a tick. */
  readonly answer: (frame: Forwarded, text: string) => void;
  /** The room says by which rules its relays go. */
  readonly learn: (rules: Down["rules"]) => void;
  readonly failed: (error: unknown) => void;
}

interface Waiting {
  readonly joining: Joining;
  readonly since: number;
  /** Its session is kept here since it has been asked for. */
  readonly isMoving: boolean;
  /** The room was asked before, and nobody knows what came of it. */
  readonly isRepeat?: true;
  readonly resolve: (admitted: Admitted, isSure: boolean) => void;
}

/** A frame that waits. `length`: in UTF-16 units. */
interface Queued extends Forwarded {
  readonly length: number;
}

/** What one exchange carries. */
interface Batch {
  readonly joins: readonly Waiting[];
  readonly frames: readonly Queued[];
  readonly left: readonly GoneKey[];
  readonly ended: readonly GoneKey[];
  readonly wanted: readonly Wanted[];
}

/** The way home of one relay. */
export class Upstream {
  readonly #parts: UpstreamParts;
  #joins: Waiting[] = [];
  #frames: Queued[] = [];
  /** How long they are together, in UTF-16 units. */
  #length = 0;
  /** Frames that are on their way. */
  #asked = 0;
  /** Frames that ever waited. */
  #heard = 0;
  /** Handlers that must not end before the room has answered so many of them. */
  #idle: { readonly upto: number; readonly resolve: () => void }[] = [];
  #left: GoneKey[] = [];
  #ended: GoneKey[] = [];
  /** The answer that was taken last. */
  #answer: string | undefined;
  /** By connection: one that asks again and again wants one thing. */
  #wanted = new Map<Wanted["connection"], number>();
  /** Whether there is a reason to ask besides those that wait. */
  #isDue = false;
  #hasTicked = false;
  #isRunning = false;
  #isListDue = false;
  #failures = 0;
  /** Ends a pause. */
  #resume: (() => void) | undefined;
  /** Members that want to connect and are not connected yet. */
  #opening = 0;
  readonly #counted = new Counted();
  /** Connections that the room was told of last. */
  #told = 0;
  /** When the room was last heard, in ms since the epoch. */
  #heardAt = -Infinity;
  /** When it last answered, likewise. */
  #answeredAt = -Infinity;

  constructor(parts: UpstreamParts) {
    this.#parts = parts;
  }

  /**
   * Asks the room to let somebody in.
   *
   * @param isMoving whether its session is kept here since it was asked for
   * @returns what the room says, and whether it was never asked before: else an answer may have been lost that said yes
   */
  admit(joining: Joining, isMoving: boolean): Promise<{ readonly admitted: Admitted; readonly isSure: boolean }> {
    this.#opening++;
    return new Promise((done) => {
      const resolve = (admitted: Admitted, isSure: boolean) => done({ admitted, isSure });
      this.#joins.push({ joining, isMoving, since: this.#parts.platform.now(), resolve });
      this.#run();
    });
  }

  /** A client that was admitted with this session has connected or will not; `undefined`: it was not even admitted. */
  opened(session: string | undefined, isOpen: boolean): void {
    this.#opening--;
    if (session === undefined) return;
    this.#counted.settle(session);
    // The room counts a member that is not here.
    if (!isOpen) this.ask();
  }

  /** The room was heard by other means. */
  heard(isGap: boolean): void {
    this.#heardAt = this.#parts.platform.now();
    // It is there again.
    this.#resume?.();
    if (isGap) this.ask();
  }

  /**
   * Resolves when the room has answered every frame that is here now: an object with frames on their way must not be evicted.
   * Not when it has answered all: where somebody always speaks, that is never. Past so many that wait others keep it awake.
   */
  async answered(): Promise<void> {
    if (this.#frames.length + this.#asked === 0 || this.#idle.length >= MAX_WAITING) return;
    await new Promise<void>((resolve) => {
      this.#idle.push({ upto: this.#heard, resolve });
    });
  }

  /** There is a reason to ask. */
  ask(): void {
    this.#isDue = true;
    this.#run();
  }

  /** A tick is committed. */
  ticked(state: RoomState, { effects, outgoing }: TickOutcome): void {
    // An instance that has just woken may have something to tell that the last one could not.
    if (!this.#hasTicked) this.#isDue ||= this.#parts.isWoken();
    this.#hasTicked = true;
    for (const each of effects.forwarded) this.#forward(each);
    for (const each of effects.farewells) {
      if ("gone" in each) this.#left.push(each.gone);
      else this.#ended.push(each.over);
    }
    for (const each of effects.wanted) this.#want(each);
    // A push may have been lost; and a kick, however often the room is heard.
    const now = this.#parts.platform.now();
    const isSilent = now - this.#heardAt >= (state.heartbeat?.interval ?? 0);
    if (outgoing.isHeartbeat && (isSilent || now - this.#answeredAt >= AGREE_MS)) this.#isDue = true;
    if (this.#parts.mirror.isOverdue) this.#isDue = true;
    // The room must know whether there is somebody to tell.
    if (state.connections.size > 0 !== this.#told > 0 && this.#opening === 0) this.#isDue = true;
    this.#run();
  }

  #forward(forwarded: Forwarded): void {
    if (this.#frames.length >= MAX_WAITING || this.#length >= MAX_WAITING_LENGTH)
      return this.#refuse(forwarded, "rate_limited");
    const { length } = JSON.stringify(forwarded.frame);
    this.#frames.push({ ...forwarded, length });
    this.#length += length;
    this.#heard++;
  }

  #want({ connection, offset }: Wanted): void {
    this.#wanted.set(connection, Math.min(offset, this.#wanted.get(connection) ?? Infinity));
  }

  get #hasWork(): boolean {
    const waiting = [this.#joins, this.#frames, this.#left, this.#ended];
    return this.#isDue || this.#wanted.size > 0 || waiting.some(({ length }) => length > 0);
  }

  #run(): void {
    if (this.#isRunning || !this.#hasWork) return;
    this.#isRunning = true;
    void this.#loop();
  }

  async #loop(): Promise<void> {
    // What else this turn brings goes along.
    await Promise.resolve();
    while (this.#hasWork) {
      const batch = this.#take();
      this.#asked = batch.frames.length;
      try {
        const state = this.#parts.state();
        const spoken = bySpeaker(batch.frames);
        const up = this.#upOf(state, batch, spoken.said);
        const down = await this.#within(this.#parts.ask(up));
        this.#failures = 0;
        await this.#apply(batch, spoken.speakers, down);
        this.#answer = down.nth;
        // One list is enough: what it has not settled waits for the next heartbeat.
        this.#isListDue = down.isUnsure === true;
        if (this.#isListDue && !up.sessions) this.#isDue = true;
        this.#rest();
      } catch (error) {
        this.#undo(batch, error);
        this.#rest();
        // Where nobody waits, the next heartbeat asks again.
        if (this.#failures > 5 && this.#joins.length + this.#frames.length === 0) break;
        await this.#pause(Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** this.#failures++));
      }
    }
    this.#isRunning = false;
  }

  /** An exchange is over: handlers whose frames do not wait any more may end. */
  #rest(): void {
    this.#asked = 0;
    // What is told again waits before all that is newer.
    const answered = this.#heard - this.#frames.length;
    const first = this.#idle.findIndex(({ upto }) => upto > answered);
    for (const { resolve } of this.#idle.splice(0, first === -1 ? Infinity : first)) resolve();
  }

  #take(): Batch {
    let taken = 0;
    let length = 0;
    let calls = 0;
    for (const { frame, length: more } of this.#frames) {
      if (taken === MAX_FRAMES || length >= MAX_LENGTH || calls === MAX_CALLS) break;
      taken++;
      length += more;
      if (frame.type === "call") calls++;
    }
    const frames = this.#frames.splice(0, taken);
    this.#length -= length;
    const wanted = [...this.#wanted].map(([connection, offset]) => ({ connection, offset }));
    this.#wanted.clear();
    const batch = {
      joins: this.#joins.splice(0, MAX_JOINS),
      left: this.#left.splice(0),
      ended: this.#ended.splice(0),
      wanted,
      frames,
    };
    this.#isDue = this.#parts.mirror.isOverdue = false;
    return batch;
  }

  #upOf(state: RoomState, { joins, left, ended, wanted }: Batch, said: Up["said"]): Up {
    const { log, epochs, sessions } = state;
    const oldest = Math.min(log.oldest, log.committed + 1);
    const back = wanted.length > 0 ? Math.min(...wanted.map(({ offset }) => offset)) : undefined;
    // One that may be refused is no reason to write anything down.
    const connections = state.connections.size + this.#counted.coming;
    this.#told = connections + joins.length;
    return {
      version: RELAYING,
      relay: this.#parts.relay(),
      ...(this.#answer !== undefined && { heard: this.#answer }),
      ...(epochs.current !== "" && { at: { epoch: epochs.current, offset: log.committed, oldest } }),
      ...(back !== undefined && { back }),
      connections,
      digest: this.#counted.digest(sessions, movingOf(joins)),
      ...(this.#isListDue && { sessions: this.#counted.list(sessions) }),
      // A member that has come back meanwhile has not gone.
      left: left.filter(({ session }) => !this.#counted.isPresent(sessions, session)),
      ended: ended.filter(({ session }) => !this.#counted.isKept(sessions, session)),
      joins: joins.map(({ joining }) => joining),
      said,
    };
  }

  async #apply(batch: Batch, speakers: Spoken["speakers"], down: Down): Promise<void> {
    const { learn, submit } = this.#parts;
    this.#heardAt = this.#answeredAt = this.#parts.platform.now();
    const { mirror } = this.#parts;
    const isAllTold = this.#left.length + this.#ended.length + this.#opening === 0 && !down.isUnsure;
    if (isAllTold) mirror.due = undefined;
    learn(down.rules);
    const replies = speakers.flatMap(({ session, generation }, i): Reply[] => {
      const replied = down.replies[i];
      if (!replied) return [];
      // What failed now may have taken effect before, in an exchange whose answer was lost: its client must ask.
      const isUnsure =
        replied.isFailed && batch.frames.some(({ connection, isRepeat }) => isRepeat && connection === speakers[i]);
      return [{ session, generation, replied: isUnsure ? { texts: [], rejected: 0, over: true } : replied }];
    });
    // The room was told of the session before it moved it here: should it not open now, it is still kept.
    const isMoved = (session: string) => down.admitted.some((each) => each?.ok === true && each.session === session);
    const dismissals = down.dismissals.filter(({ session }) => !isMoved(session));
    const result = await submit({ type: "mirrored", mirrored: { ...down, dismissals }, replies });
    // What the room has answered must reach its sender: it is asked again.
    if (!result.ok) throw new Error(`an answer of the room could not be taken: ${result.code}`);
    if ((result.value as Told).isGap) this.#isDue = true;
    // The answer had no place for some: they are asked for again.
    this.#joins = [...batch.joins.filter((_each, i) => !down.admitted[i]), ...this.#joins];
    for (const [i, { joining, isRepeat, resolve }] of batch.joins.entries()) {
      const admitted = down.admitted[i];
      if (!admitted) continue;
      const { user } = joining.admission.credentials;
      if (admitted.ok) this.#counted.admit({ user, session: admitted.session });
      resolve(admitted, !isRepeat);
    }
    for (const { connection, offset } of batch.wanted) {
      const { session, generation } = connection;
      void submit({ type: "found", session, generation, offset });
    }
  }

  /** The exchange has failed, or its answer was lost. */
  #undo({ joins, frames, left, ended, wanted }: Batch, error: unknown): void {
    const { platform, failed, mirror } = this.#parts;
    failed(error);
    const now = platform.now();
    mirror.due ??= now + mirror.patience;
    const isPatient = ({ since }: Waiting) => now - since < JOIN_PATIENCE_MS;
    for (const { resolve } of joins.filter((each) => !isPatient(each))) {
      resolve({ ok: false, code: "upstream_failed", retryAfter: 1_000 }, false);
    }
    const patient = joins.filter(isPatient).map((each) => ({ ...each, isRepeat: true as const }));
    this.#joins = [...patient, ...this.#joins];
    this.#left = [...left, ...this.#left];
    this.#ended = [...ended, ...this.#ended];
    for (const each of wanted) this.#want(each);
    this.#isDue = true;
    // A publish or what somebody shows counts once, however often it is told.
    const isRepeatable = ({ frame }: Forwarded) => frame.type === "publish" || frame.type === "presence";
    for (const each of frames) if (each.frame.type === "call") this.#refuse(each, "upstream_failed");
    const again = frames.filter(isRepeatable).map((each) => ({ ...each, isRepeat: true as const }));
    this.#frames = [...again, ...this.#frames];
    this.#length += again.reduce((sum, { length }) => sum + length, 0);
  }

  #refuse(forwarded: Forwarded, code: "rate_limited" | "upstream_failed"): void {
    const error = failure(code, code === "rate_limited" ? { retryAfter: 1_000 } : {});
    this.#parts.answer(forwarded, encodeFailure(forwarded.frame, error));
  }

  #within<T>(asked: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = this.#parts.platform.later(TIMEOUT_MS, () => reject(new Error("the room does not answer")));
      asked.then(resolve, reject).finally(cancel);
    });
  }

  /** Waits, unless the room is heard before. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#parts.platform.later(ms, resolve);
      this.#resume = () => {
        cancel();
        resolve();
      };
    });
  }
}
