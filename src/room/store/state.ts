/**
 * Everything a room knows while it is in memory: the stores that own the tables, and its connections. Storage is the
 * truth; this can be thrown away between any two events and built again from the rows and the sockets' pointers.
 */
import type { Admission } from "../admission.ts";
import { nextDeadline, type Beat } from "../rules/deadlines.ts";
import type { RoomDefinition } from "../definition.ts";
import { Epochs } from "./epochs.ts";
import type { RoomEvent } from "../core/event.ts";
import { Backlog, fullBucket, hasCredit, type Bucket } from "../rules/rate.ts";
import { Timers } from "./timers.ts";
import { listedFor, type Listing } from "../telemetry/listing.ts";
import { Log } from "./log.ts";
import { Roster } from "./members.ts";
import { Revocations } from "./revocations.ts";
import { Outbox } from "./outbox.ts";
import { Idempotency } from "./idempotency.ts";
import { Meta } from "./schema.ts";
import { Sessions, type Session } from "./sessions.ts";

/** One live WebSocket of a session, as the engine knows it. */
export interface Connection {
  readonly session: string;
  readonly user: string;
  readonly generation: number;
  /** When it opened, in ms since the epoch. */
  readonly since: number;
  /** The trace that its upgrade belongs to. */
  readonly traceparent: string | undefined;
  /** Offset up to which it was sent everything it may see. Behind the log's head only while it lacks credit. */
  fed: number;
  /** Offset up to which it has acknowledged; `undefined` for clients that did not ask for credit. */
  acked: number | undefined;
  readonly bucket: Bucket;
  readonly backlog: Backlog;
  /** Heartbeats in a row left unanswered. */
  missed: number;
  /** It lacked credit when presence changed: it needs the whole list once it has caught up. */
  presenceStale: boolean;
  /** What its {@link Pointer} says is out of date. */
  dirty: boolean;
}

/** What survives of a connection with its socket while the room is out of memory. Kept small: storage is the truth. */
export interface Pointer {
  readonly session: string;
  readonly generation: number;
  readonly since: number;
  readonly traceparent?: string;
  readonly missed?: number;
  readonly bucket?: Bucket;
  readonly acked?: number;
  /** Only while it is behind. */
  readonly fed?: number;
  readonly presenceStale?: boolean;
}

/** What a room is built from. */
export interface Parts {
  readonly definition: RoomDefinition;
  readonly sql: SqlStorage;
  /** Runs a function in a transaction that a throw undoes; may be nested. */
  readonly atomic: <T>(run: () => T) => T;
  /** The name of the object; empty where the runtime does not tell. */
  readonly room: string;
  /** What hibernated sockets point to. */
  readonly pointers: readonly Pointer[];
  /** When the alarm is set to ring, or was if it is ringing; `undefined` when it is not set. */
  readonly alarm: number | undefined;
  readonly now: number;
}

/** One room in memory. */
export class RoomState {
  readonly definition: RoomDefinition;
  readonly sql: SqlStorage;
  readonly atomic: <T>(run: () => T) => T;
  readonly meta: Meta;
  readonly sessions: Sessions;
  readonly roster: Roster;
  readonly log: Log;
  readonly jobs: Timers;
  readonly revocations: Revocations;
  readonly posts: Idempotency;
  readonly outbox: Outbox;
  /** Live connections by session. */
  readonly connections = new Map<string, Connection>();
  readonly epochs: Epochs;
  beat: Beat | undefined;
  /** Whether anything happened since the last beat that storage may not show. */
  active = false;
  /** Whether something changed that {@link nextDeadline} looks at. */
  deadlinesChanged = true;
  /** Whether the directory has been told that the room is live. */
  isListed: boolean;
  /** Nobody was connected when this instance began, and nothing has been published since. */
  #isCold: boolean;
  #lost: readonly Session[];
  readonly #room: string;

  constructor(parts: Parts) {
    const { definition, sql, atomic, room, pointers, alarm, now } = parts;
    this.#room = room;
    this.definition = definition;
    this.sql = sql;
    this.atomic = atomic;
    this.meta = new Meta(sql);
    this.sessions = new Sessions(sql, definition.maxConnectionsPerUser);
    this.roster = new Roster(this.sessions);
    this.log = new Log(sql, definition.retain);
    this.jobs = new Timers(sql);
    this.revocations = new Revocations(sql);
    this.posts = new Idempotency(sql);
    this.outbox = new Outbox(sql);
    for (const pointer of pointers) this.#restore(pointer, now);
    this.epochs = new Epochs(this.meta);
    this.#isCold = this.connections.size === 0;
    this.#lost = [...this.sessions.all()].filter((s) => s.droppedAt === null && !this.connections.has(s.id));
    this.isListed = this.connections.size + this.#lost.length > 0;
    if (this.connections.size > 0) {
      const stored = this.#storedBeat();
      const due = Math.max(stored.due, alarm ?? 0);
      // Without an alarm, set or ringing, nobody knows: a whole interval from now, and nobody counts as silent.
      this.beat = { interval: stored.interval, due: alarm === undefined && due <= now ? now + stored.interval : due };
    }
  }

  /** The kind and name of this room, as the first admission told them; before that nobody knows its kind. */
  get name(): { kind: string; name: string } {
    return { kind: this.meta.get("kind") ?? "", name: this.meta.get("name") ?? this.#room };
  }

  /** `until`: everyone is closed. `reopens`: connections are taken again. `undefined` when the room is not draining. */
  get drain(): { until: number; reopens: number } | undefined {
    // Before there was a hold, one number was both.
    const [until, reopens = until] = this.meta.get("drain")?.split(" ").map(Number) ?? [];
    return until === undefined || reopens === undefined ? undefined : { until, reopens };
  }

  /** What the directory of live rooms is told. */
  get listing(): Listing {
    const { kind, name } = this.name;
    return {
      kind,
      room: name,
      connections: this.connections.size,
      members: this.roster.size,
      sessions: this.sessions.size,
      offset: this.log.committed,
      ttl: listedFor(this.definition.heartbeat.idle),
    };
  }

  /** Drops that nobody told of: sessions that storage calls connected and that lost their socket in a reset. */
  takeLost(): RoomEvent[] {
    const lost = this.#lost;
    this.#lost = [];
    return lost.map(({ id, generation }) => ({ type: "drop", session: id, generation }));
  }

  /** The connection that sent something, unless a newer one replaced it or its session is over. */
  connection(session: string, generation: number): Connection | undefined {
    const connection = this.connections.get(session);
    return connection?.generation === generation ? connection : undefined;
  }

  /** Something is about to be published: history goes on, unless this instance cannot know what was before it. */
  continueEpoch(): void {
    if (this.#isCold) this.beginEpoch();
  }

  /** A connection is about to open: with the first one begins an epoch, whether or not the room was out of memory. */
  beginEpoch(): void {
    if (this.connections.size === 0) this.epochs.begin(this.log.committed, this.log.oldest);
    this.#isCold = false;
  }

  /** A session's new connection, not yet fed anything. */
  connect(session: Session, admission: Admission, now: number): Connection {
    const connection: Connection = {
      session: session.id,
      user: session.user,
      generation: session.generation,
      since: now,
      traceparent: admission.traceparent,
      fed: this.log.head,
      acked: admission.credit ? this.log.head : undefined,
      bucket: fullBucket(this.definition.rate, now),
      backlog: new Backlog(),
      missed: 0,
      presenceStale: false,
      dirty: true,
    };
    this.connections.set(session.id, connection);
    const { every } = this.definition.heartbeat;
    this.beat ??= { due: now + every, interval: every };
    return connection;
  }

  /** Whether a connection may be sent more publications now. */
  mayFeed({ acked, fed }: Connection): boolean {
    return acked === undefined || hasCredit(fed - acked, this.log.bytesBetween(acked, fed));
  }

  /** The connection is no longer one of ours, whatever its socket still does. */
  release(connection: Connection): void {
    if (this.connections.get(connection.session) === connection) this.connections.delete(connection.session);
    if (this.connections.size === 0) this.beat = undefined;
  }

  /**
   * When the alarm must ring. Also writes the beat down where the alarm's own time does not tell it: then waking from
   * storage finds it again, and a heartbeat that rings for itself costs no row but the alarm's.
   */
  nextAlarm(): number | undefined {
    const { sessions, definition, beat } = this;
    // Whom a drain has closed it need not wake again; whoever comes after it ends it.
    const drain = this.connections.size > 0 ? this.drain?.until : undefined;
    const outbox = definition.events && this.outbox.next;
    const next = nextDeadline(sessions.all(), definition, [beat?.due, drain, this.jobs.next, outbox]);
    if (beat) {
      const stored = this.#storedBeat();
      const told = next === beat.due ? stored.due <= beat.due : stored.due === beat.due;
      if (!told || stored.interval !== beat.interval) this.meta.set("beat", `${beat.due} ${beat.interval}`);
    }
    this.deadlinesChanged = false;
    return next;
  }

  #storedBeat(): Beat {
    const [due = 0, interval = this.definition.heartbeat.every] = this.meta.get("beat")?.split(" ").map(Number) ?? [];
    return { due, interval };
  }

  #restore(pointer: Pointer, now: number): void {
    const { session, generation, since, traceparent, missed = 0, bucket, acked, presenceStale = false } = pointer;
    const stored = this.sessions.get(session);
    if (stored?.generation !== generation || stored.droppedAt !== null) return;
    this.connections.set(session, {
      session,
      user: stored.user,
      generation,
      since,
      traceparent,
      fed: pointer.fed ?? this.log.head,
      acked,
      bucket: bucket ?? fullBucket(this.definition.rate, now),
      backlog: new Backlog(),
      missed,
      presenceStale,
      dirty: false,
    });
  }
}

/** What a connection's socket must remember. */
export function pointerOf(connection: Connection, head: number): Pointer {
  const { session, generation, since, traceparent, missed, bucket, acked, fed, presenceStale } = connection;
  return {
    session,
    generation,
    since,
    ...(traceparent !== undefined && { traceparent }),
    ...(missed > 0 && { missed }),
    bucket,
    ...(acked !== undefined && { acked }),
    ...(fed < head && { fed }),
    ...(presenceStale && { presenceStale }),
  };
}
