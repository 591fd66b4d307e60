/**
 * A relay's way to its room: one exchange at a time, with everything in it that waits. What an exchange that failed has asked
 * is asked again, but for what must not happen twice; who waits is told so. Decides nothing about members.
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
  type Said,
  type SessionKey,
  type Up,
} from "../relaying.ts";
import { Tally } from "../rules/tally.ts";
import type { RoomState } from "../store/state.ts";
import type { Platform } from "./platform.ts";

/** How long an exchange may take, in ms: more than a room under load needs. */
const TIMEOUT_MS = 10_000;
/** How long somebody who wants to connect waits for a room that does not answer, in ms. */
const JOIN_PATIENCE_MS = 15_000;
/** After how long what failed is tried again, in ms: twice as long each time. */
const RETRY_MS = 250;
const MAX_RETRY_MS = 15_000;
/** Frames and UTF-16 units of one exchange, at most; the rest has the next. */
const MAX_FRAMES = 2_048;
const MAX_LENGTH = 4_194_304;
/** Frames that may wait. Past it their senders are told to wait. */
const MAX_WAITING = 16_384;
/** And those who want to connect. */
const MAX_JOINS = 512;

/** What an upstream works with. */
export interface UpstreamParts {
  readonly platform: Platform;
  /** Asks the room. */
  readonly ask: (up: Up) => Promise<Down>;
  readonly relay: () => RelayAddress;
  readonly state: () => RoomState;
  readonly submit: (event: RoomEvent) => Promise<Result>;
  /** To one connection, apart from a tick. */
  readonly tell: (frame: Forwarded, text: string) => void;
  /** The room says by which rules its relays go. */
  readonly learn: (rules: Down["rules"]) => void;
  readonly failed: (error: unknown) => void;
}

interface Waiting {
  readonly joining: Joining;
  readonly since: number;
  readonly resolve: (admitted: Admitted) => void;
}

/** What one exchange carries. */
interface Batch {
  readonly joins: readonly Waiting[];
  readonly frames: readonly Forwarded[];
  readonly left: readonly SessionKey[];
  readonly ended: readonly SessionKey[];
  readonly wanted: readonly Wanted[];
  readonly said: readonly Said[];
  /** The connection that each of `said` came from. */
  readonly speakers: readonly Forwarded["connection"][];
}

/** The way home of one relay. */
export class Upstream {
  readonly #parts: UpstreamParts;
  #joins: Waiting[] = [];
  #frames: Forwarded[] = [];
  #left: SessionKey[] = [];
  #ended: SessionKey[] = [];
  #wanted: Wanted[] = [];
  /** Whether there is a reason to ask besides those that wait. */
  #isDue = false;
  #isRunning = false;
  #isListDue = false;
  #failures = 0;
  /** Those who want to connect and are not connected yet. */
  #opening = 0;
  /** Connections that the room was told of last. */
  #told = 0;
  /** When the room was last heard, in ms since the epoch. */
  #heardAt = -Infinity;

  constructor(parts: UpstreamParts) {
    this.#parts = parts;
  }

  /** Asks the room to let somebody in. */
  admit(joining: Joining): Promise<Admitted> {
    this.#opening++;
    return new Promise((resolve) => {
      this.#joins.push({ joining, since: this.#parts.platform.now(), resolve });
      this.#run();
    });
  }

  /** Those who want to connect and are not connected yet. */
  get opening(): number {
    return this.#opening;
  }

  /** Somebody who was admitted has connected, or will not. */
  opened(): void {
    this.#opening--;
  }

  /** The room was heard by other means. */
  heard(isGap: boolean): void {
    this.#heardAt = this.#parts.platform.now();
    if (isGap) this.ask();
  }

  /** There is a reason to ask. */
  ask(): void {
    this.#isDue = true;
    this.#run();
  }

  /** A tick is committed. */
  ticked(state: RoomState, { effects, outgoing }: TickOutcome): void {
    for (const each of effects.forwarded) this.#forward(each);
    for (const each of effects.farewells) {
      if ("gone" in each) this.#left.push(each.gone);
      else this.#ended.push(each.over);
    }
    this.#wanted.push(...effects.wanted);
    // The heads are compared now and then: a push may have been lost.
    const silent = this.#parts.platform.now() - this.#heardAt;
    if (outgoing.isHeartbeat && silent >= (state.heartbeat?.interval ?? 0)) this.#isDue = true;
    // The room must know that there is somebody to tell.
    if (state.connections.size > 0 && this.#told === 0) this.#isDue = true;
    this.#run();
  }

  #forward(forwarded: Forwarded): void {
    if (this.#frames.length < MAX_WAITING) this.#frames.push(forwarded);
    else this.#refuse(forwarded, "rate_limited");
  }

  get #hasWork(): boolean {
    const waiting = [this.#joins, this.#frames, this.#left, this.#ended, this.#wanted];
    return this.#isDue || waiting.some(({ length }) => length > 0);
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
      try {
        const up = this.#upOf(batch);
        const down = await this.#within(this.#parts.ask(up));
        this.#failures = 0;
        await this.#apply(batch, down, up);
      } catch (error) {
        this.#undo(batch, error);
        // Where nobody waits, the next heartbeat asks again.
        if (this.#failures > 5 && this.#joins.length + this.#frames.length === 0) break;
        await this.#pause(Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** this.#failures++));
      }
    }
    this.#isRunning = false;
  }

  #take(): Batch {
    const frames: Forwarded[] = [];
    let length = 0;
    while (frames.length < MAX_FRAMES && length < MAX_LENGTH) {
      const next = this.#frames.shift();
      if (!next) break;
      frames.push(next);
      length += JSON.stringify(next.frame).length;
    }
    const batch = {
      joins: this.#joins.splice(0, MAX_JOINS),
      left: this.#left.splice(0),
      ended: this.#ended.splice(0),
      wanted: this.#wanted.splice(0),
      frames,
      ...bySpeaker(this.#parts.state(), frames),
    };
    this.#isDue = false;
    return batch;
  }

  #upOf({ joins, left, ended, wanted, said }: Batch): Up {
    const state = this.#parts.state();
    const { log, epochs, sessions } = state;
    const tally = new Tally();
    for (const { id, present } of sessions.all()) tally.toggle(id, present, 1);
    const oldest = Math.min(log.oldest, log.committed + 1);
    const from = wanted.reduce((least, { offset }) => Math.min(least, offset), log.committed);
    const list = () => [...sessions.all()].map(({ id, user, present }) => ({ session: id, user, isPresent: present }));
    const connections = state.connections.size + this.#opening;
    this.#told = connections;
    return {
      version: RELAYING,
      relay: this.#parts.relay(),
      ...(epochs.current !== "" && { at: { epoch: epochs.current, offset: from, oldest } }),
      connections,
      digest: tally.digest,
      ...(this.#isListDue && { sessions: list() }),
      left,
      ended,
      joins: joins.map(({ joining }) => joining),
      said,
    };
  }

  async #apply(batch: Batch, down: Down, { sessions }: Up): Promise<void> {
    const { learn, submit } = this.#parts;
    this.#heardAt = this.#parts.platform.now();
    if (sessions) this.#isListDue = false;
    if (down.isUnsure) this.#isListDue = this.#isDue = true;
    learn(down.rules);
    const replies = batch.speakers.flatMap(({ session, generation }, i): Reply[] => {
      const replied = down.replies[i];
      return replied ? [{ session, generation, replied }] : [];
    });
    const result = await submit({ type: "mirrored", mirrored: down, replies });
    if (result.ok && (result.value as Told).isGap) this.#isDue = true;
    for (const [i, { resolve }] of batch.joins.entries()) {
      resolve(down.admitted[i] ?? { ok: false, code: "restarting" });
    }
    for (const { connection, offset } of batch.wanted) {
      const { session, generation } = connection;
      void submit({ type: "found", session, generation, offset });
    }
  }

  /** The exchange has failed, or its answer was lost. */
  #undo({ joins, frames, left, ended, wanted }: Batch, error: unknown): void {
    const { platform, failed } = this.#parts;
    failed(error);
    const now = platform.now();
    const isPatient = ({ since }: Waiting) => now - since < JOIN_PATIENCE_MS;
    for (const { resolve } of joins.filter((each) => !isPatient(each))) {
      resolve({ ok: false, code: "upstream_failed", retryAfter: 1_000 });
    }
    this.#joins = [...joins.filter(isPatient), ...this.#joins];
    this.#left = [...left, ...this.#left];
    this.#ended = [...ended, ...this.#ended];
    this.#wanted = [...wanted, ...this.#wanted];
    this.#isDue = true;
    // A publish or what somebody shows counts once, however often it is told.
    const isRepeatable = ({ frame }: Forwarded) => frame.type === "publish" || frame.type === "presence";
    for (const each of frames) if (each.frame.type === "call") this.#refuse(each, "upstream_failed");
    this.#frames = [...frames.filter(isRepeatable), ...this.#frames];
  }

  #refuse(forwarded: Forwarded, code: "rate_limited" | "upstream_failed"): void {
    const error = failure(code, code === "rate_limited" ? { retryAfter: 1_000 } : {});
    this.#parts.tell(forwarded, encodeFailure(forwarded.frame, error));
  }

  #within<T>(asked: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = this.#parts.platform.later(TIMEOUT_MS, () => reject(new Error("the room does not answer")));
      asked.then(resolve, reject).finally(cancel);
    });
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#parts.platform.later(ms, resolve);
    });
  }
}

/** Frames by the connection that sent them, each in its order. */
function bySpeaker(state: RoomState, frames: readonly Forwarded[]): Pick<Batch, "said" | "speakers"> {
  const grouped = new Map<Forwarded["connection"], Forwarded["frame"][]>();
  for (const { connection, frame } of frames) {
    const mine = grouped.get(connection);
    if (mine) mine.push(frame);
    else grouped.set(connection, [frame]);
  }
  const said: Said[] = [];
  const speakers: Forwarded["connection"][] = [];
  for (const [connection, spoken] of grouped) {
    const { user, session, since, traceparent, rejectedRef } = connection;
    const known = state.sessions.owned(session, user);
    speakers.push(connection);
    said.push({
      sender: {
        user,
        session,
        name: known?.name ?? null,
        grants: known?.grants ?? [],
        requestId: known?.requestId ?? "",
        connectedAt: known?.connectedAt ?? since,
        traceparent,
        rejected: rejectedRef,
      },
      frames: spoken,
    });
  }
  return { said, speakers };
}
