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
  type Said,
  type SessionKey,
  type Up,
} from "../relaying.ts";
import { Tally } from "../rules/tally.ts";
import type { Mirror } from "../store/mirror.ts";
import { UNTOLD_MS, type RoomState } from "../store/state.ts";
import type { Platform } from "./platform.ts";

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
/** Frames that may wait. Past it their senders are told to wait. */
const MAX_WAITING = 16_384;
/** And clients that want to connect. */
const MAX_JOINS = 512;

/** What an upstream works with. */
export interface UpstreamParts {
  readonly platform: Platform;
  readonly mirror: Mirror;
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
  readonly resolve: (admitted: Admitted) => void;
}

/** What one exchange carries. */
interface Batch {
  readonly joins: readonly Waiting[];
  readonly frames: readonly Forwarded[];
  readonly left: readonly SessionKey[];
  readonly ended: readonly SessionKey[];
  readonly wanted: ReadonlyMap<Wanted["connection"], number>;
}

/** What sessions say, and the connection that each of them has. */
interface Spoken {
  readonly said: readonly Said[];
  readonly speakers: readonly Forwarded["connection"][];
}

/** The way home of one relay. */
export class Upstream {
  readonly #parts: UpstreamParts;
  #joins: Waiting[] = [];
  #frames: Forwarded[] = [];
  /** Frames that are on their way. */
  #asked = 0;
  /** Handlers that must not end before the room has answered. */
  #idle: (() => void)[] = [];
  #left: SessionKey[] = [];
  #ended: SessionKey[] = [];
  /** What each connection asked for last: while the room is silent it may ask for ever. */
  #wanted = new Map<Wanted["connection"], number>();
  /** Whether there is a reason to ask besides those that wait. */
  #isDue = true;
  #isRunning = false;
  #isListDue = false;
  #failures = 0;
  /** Ends a pause. */
  #resume: (() => void) | undefined;
  /** Members that want to connect and are not connected yet. */
  #opening = 0;
  /** Sessions that the room has admitted and that are not connected yet: the room counts them already. */
  readonly #admitted = new Map<string, SessionKey>();
  #counted: { readonly of: RoomState["sessions"]; readonly version: string; readonly digest: string } | undefined;
  /** Connections that the room was told of last. */
  #told = 0;
  /** When the room was last heard, in ms since the epoch. */
  #heardAt = -Infinity;
  /** When it last answered, likewise. */
  #answeredAt = -Infinity;

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

  /** Members that want to connect and are not connected yet. */
  get opening(): number {
    return this.#opening;
  }

  /** A client that was admitted with this session has connected or will not; `undefined`: it was not even admitted. */
  opened(session: string | undefined, isOpen: boolean): void {
    this.#opening--;
    if (session === undefined) return;
    this.#admitted.delete(session);
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

  /** Resolves when the room has answered every frame: an object with frames on their way must not be evicted. */
  async answered(): Promise<void> {
    if (this.#frames.length + this.#asked === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle.push(resolve);
    });
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
    for (const { connection, offset } of effects.wanted) this.#wanted.set(connection, offset);
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
    if (this.#frames.length < MAX_WAITING) this.#frames.push(forwarded);
    else this.#refuse(forwarded, "rate_limited");
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
        const spoken = bySpeaker(state, batch.frames);
        const up = this.#upOf(state, batch, spoken.said);
        const down = await this.#within(this.#parts.ask(up));
        this.#failures = 0;
        await this.#apply(batch, spoken.speakers, down);
        if (up.sessions) this.#isListDue = down.isUnsure === true;
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

  /** An exchange is over: where no frame waits, their handlers may end. */
  #rest(): void {
    this.#asked = 0;
    if (this.#frames.length === 0) for (const resolve of this.#idle.splice(0)) resolve();
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
      wanted: this.#wanted,
      frames,
    };
    this.#wanted = new Map();
    this.#isDue = this.#parts.mirror.isOverdue = false;
    return batch;
  }

  #upOf(state: RoomState, { joins, left, ended, wanted }: Batch, said: readonly Said[]): Up {
    const { log, epochs } = state;
    const digest = this.#digestOf(state);
    const oldest = Math.min(log.oldest, log.committed + 1);
    const back = wanted.size > 0 ? Math.min(...wanted.values()) : undefined;
    const isThere = (session: string) => this.#admitted.has(session) || state.sessions.get(session) !== undefined;
    const isHere = (session: string) => this.#admitted.has(session) || state.sessions.get(session)?.present === true;
    const connections = state.connections.size + this.#opening;
    this.#told = connections;
    return {
      version: RELAYING,
      relay: this.#parts.relay(),
      ...(epochs.current !== "" && { at: { epoch: epochs.current, offset: log.committed, oldest } }),
      ...(back !== undefined && { back }),
      connections,
      digest,
      ...(this.#isListDue && { sessions: this.#sessionsOf(state) }),
      // A member that has come back meanwhile has not gone.
      left: left.filter(({ session }) => !isHere(session)),
      ended: ended.filter(({ session }) => !isThere(session)),
      joins: joins.map(({ joining }) => joining),
      said,
    };
  }

  /** What the sessions come to. Only counted anew when one has changed: some relays ask many times a second. */
  #digestOf(state: RoomState): string {
    const version = `${state.sessions.changes} ${[...this.#admitted.keys()].join()}`;
    if (this.#counted?.of === state.sessions && this.#counted.version === version) return this.#counted.digest;
    const tally = new Tally();
    for (const { session, isPresent } of this.#sessionsOf(state)) tally.toggle(session, isPresent, 1);
    this.#counted = { of: state.sessions, version, digest: tally.digest };
    return tally.digest;
  }

  /** Sessions as the room counts them. */
  #sessionsOf({ sessions }: RoomState): NonNullable<Up["sessions"]> {
    const here = [...sessions.all()].filter(({ id }) => !this.#admitted.has(id));
    const listed = here.map(({ id, user, present }) => ({ session: id, user, isPresent: present }));
    return [...listed, ...[...this.#admitted.values()].map((key) => ({ ...key, isPresent: true }))];
  }

  async #apply(batch: Batch, speakers: Spoken["speakers"], down: Down): Promise<void> {
    const { learn, submit } = this.#parts;
    this.#heardAt = this.#answeredAt = this.#parts.platform.now();
    const { mirror } = this.#parts;
    const isAllTold = this.#left.length + this.#ended.length + this.#opening === 0 && !down.isUnsure;
    if (isAllTold) mirror.due = undefined;
    if (down.isUnsure) this.#isListDue = this.#isDue = true;
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
    this.#joins = [...batch.joins.filter((_each, i) => down.admitted[i] === undefined), ...this.#joins];
    for (const [i, { joining, resolve }] of batch.joins.entries()) {
      const admitted = down.admitted[i];
      if (!admitted) continue;
      const { user } = joining.admission.credentials;
      if (admitted.ok) this.#admitted.set(admitted.session, { user, session: admitted.session });
      resolve(admitted);
    }
    for (const [{ session, generation }, offset] of batch.wanted) {
      void submit({ type: "found", session, generation, offset });
    }
  }

  /** The exchange has failed, or its answer was lost. */
  #undo({ joins, frames, left, ended, wanted }: Batch, error: unknown): void {
    const { platform, failed, mirror } = this.#parts;
    failed(error);
    const now = platform.now();
    mirror.due = now + UNTOLD_MS;
    const isPatient = ({ since }: Waiting) => now - since < JOIN_PATIENCE_MS;
    for (const { resolve } of joins.filter((each) => !isPatient(each))) {
      resolve({ ok: false, code: "upstream_failed", retryAfter: 1_000 });
    }
    this.#joins = [...joins.filter(isPatient), ...this.#joins];
    this.#left = [...left, ...this.#left];
    this.#ended = [...ended, ...this.#ended];
    this.#wanted = new Map([...wanted, ...this.#wanted]);
    this.#isDue = true;
    // A publish or what somebody shows counts once, however often it is told.
    const isRepeatable = ({ frame }: Forwarded) => frame.type === "publish" || frame.type === "presence";
    for (const each of frames) if (each.frame.type === "call") this.#refuse(each, "upstream_failed");
    const again = frames.filter(isRepeatable).map((each) => ({ ...each, isRepeat: true as const }));
    this.#frames = [...again, ...this.#frames];
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

/** Frames by the connection that sent them, each in its order. */
function bySpeaker(state: RoomState, frames: readonly Forwarded[]): Spoken {
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
