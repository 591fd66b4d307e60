/**
 * Everything a room knows while it is in memory: the stores that own the tables, and its connections. Storage is the
 * truth; this can be thrown away between any two events and built again from the rows and the sockets' pointers.
 */
import type { Admission } from "../admission.ts";
import type { Outcome, RoomContext, RoomDefinition } from "../definition.ts";
import { Connection, type Pointer } from "../rules/connection.ts";
import type { Heartbeat } from "../rules/deadlines.ts";
import { Headcount } from "../rules/headcount.ts";
import { listedFor, type Listing } from "../telemetry/listing.ts";
import { Epochs } from "./epochs.ts";
import { Idempotency } from "./idempotency.ts";
import { Log } from "./log.ts";
import { Roster } from "./members.ts";
import { Meta } from "./meta.ts";
import type { Fed, Mirror } from "./mirror.ts";
import { Outbox } from "./outbox.ts";
import { Remote } from "./remote.ts";
import { Replay } from "./replay.ts";
import { Revocations } from "./revocations.ts";
import { Sessions, type Session } from "./sessions.ts";
import { openTables } from "./tables.ts";
import { Timers } from "./timers.ts";
import { UndeliveredReports } from "./undelivered.ts";

/** What runs when deferred work has ended. */
export type Continuation = (room: RoomContext, outcome: Outcome<unknown>) => void;

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
  /** When the last heartbeat was sent, as far as a socket remembers. */
  readonly heartbeatAt: number | undefined;
  readonly now: number;
  /** Due things that could not be done lately, by key: until when each has to wait. */
  readonly held: ReadonlyMap<string, number>;
  /** What follows on work that has not ended, by its id. */
  readonly continuations: ReadonlyMap<string, Continuation>;
  /** The copy of another room's log that this one is about: then it is a relay. */
  readonly mirror?: Mirror | undefined;
  /** Told of rows that creating the tables wrote and that SQLite does not count among its changes. Default: nobody is. */
  readonly schemaWritten?: (rows: number) => void;
}

/** One room in memory. */
export class RoomState {
  readonly definition: RoomDefinition;
  /** The whole storage, as hooks use it. The room's own tables may not exist yet: stores know. */
  readonly sql: SqlStorage;
  /** For hooks: stores write outside of it, so that a hook that is undone takes nothing of theirs along. */
  readonly atomic: <T>(run: () => T) => T;
  readonly meta: Meta;
  readonly sessions: Sessions;
  /** Members who are connected to relays. */
  readonly remote: Remote;
  /** In a relay: what it has of its room. */
  readonly mirror: Mirror | undefined;
  readonly roster: Roster;
  readonly log: Log;
  readonly replay: Replay;
  readonly timers: Timers;
  readonly revocations: Revocations;
  readonly idempotency: Idempotency;
  readonly outbox: Outbox;
  readonly undelivered: UndeliveredReports;
  readonly epochs: Epochs;
  readonly held: ReadonlyMap<string, number>;
  readonly continuations: ReadonlyMap<string, Continuation>;
  /** Live connections by session. */
  readonly connections = new Map<string, Connection>();
  /** Connections whose sockets remember something that is out of date. */
  readonly changed = new Set<Connection>();
  /** Sessions that storage calls connected and that lost their socket in a reset: nobody told of these drops. */
  readonly lost: readonly Session[];
  /** When members learn how many they are; only where that is all they learn. */
  readonly headcount = new Headcount();
  heartbeat: Heartbeat | undefined;
  /** Whether anything was told since the last heartbeat that storage may not show. */
  isActive = false;
  /** Whether the directory knows the room as live. */
  isListed: boolean;
  /** Nobody was connected when this instance began, and nothing has been published since. */
  #isCold: boolean;
  readonly #room: string;
  #address: { readonly kind: string; readonly room: string } | undefined;

  constructor(parts: Parts) {
    const { definition, room, pointers, now } = parts;
    const sql = openTables(parts.sql, parts.schemaWritten ?? (() => undefined));
    this.#room = room;
    this.definition = definition;
    this.sql = parts.sql;
    this.atomic = parts.atomic;
    this.held = parts.held;
    this.continuations = parts.continuations;
    this.mirror = parts.mirror;
    this.meta = new Meta(sql);
    this.sessions = new Sessions(sql, definition);
    this.remote = new Remote(sql, this.meta, this.sessions);
    this.roster = new Roster(this.sessions);
    this.log = new Log(sql, definition.retain, (session) => this.#isAlive(session), parts.mirror?.rows);
    this.replay = new Replay(this.log);
    this.timers = new Timers(sql);
    this.revocations = new Revocations(sql);
    this.idempotency = new Idempotency(sql);
    this.outbox = new Outbox(sql);
    this.undelivered = new UndeliveredReports(this.meta, this.outbox);
    this.epochs = new Epochs(parts.mirror ?? this.meta);
    for (const pointer of pointers) this.#restore(pointer, now);
    // What the last instance had to tell its room may be lost with it.
    if (parts.mirror) {
      parts.mirror.tries = Number(this.meta.get("untold") ?? 0);
      parts.mirror.due ??= now + parts.mirror.patience;
    }
    // A relay's history is its room's.
    this.#isCold = this.connections.size === 0 && !parts.mirror;
    this.lost = [...this.sessions.all()].filter((s) => s.droppedAt === null && !this.connections.has(s.id));
    this.isListed = this.connections.size + this.lost.length > 0 || this.remote.isAttached;
    if (this.connections.size > 0) this.heartbeat = this.#restoreHeartbeat(parts);
  }

  /** The kind and name of this room, as the first admission told them; before that nobody knows its kind. */
  get name(): { kind: string; name: string } {
    const { kind, room } = this.#address ?? { kind: "", room: this.#room };
    return { kind: this.meta.get("kind") ?? kind, name: this.meta.get("name") ?? room };
  }

  /** Whether it is written down which room this is. */
  get isNamed(): boolean {
    return this.meta.get("kind") !== undefined;
  }

  /** The Worker says which room this is. It is written down when somebody is let in. */
  identify(kind: string, room: string): void {
    this.#address = { kind, room };
  }

  /** Writes down which room this is. */
  settleName(): void {
    const { kind, name } = this.name;
    this.meta.set("kind", kind);
    this.meta.set("name", name);
  }

  /** Whether nothing has ever happened in this room: nobody was let in or revoked, nothing published, no drain begun. */
  get isNew(): boolean {
    return this.meta.isEmpty && this.log.head === 0 && this.sessions.size === 0 && this.revocations.isEmpty;
  }

  /** `until`: everyone is closed. `reopens`: connections are taken again. `undefined` when the room is not draining. */
  get drain(): { until: number; reopens: number } | undefined {
    // Storage of the first version has one number for both.
    const [until, reopens = until] = this.meta.get("drain")?.split(" ").map(Number) ?? [];
    return until === undefined || reopens === undefined ? undefined : { until, reopens };
  }

  /** Whether a user is present, wherever it is connected. */
  isPresent(user: string): boolean {
    return this.sessions.isPresent(user) || this.remote.isPresent(user);
  }

  /** How many users are present, each once, wherever they are connected. */
  get population(): number {
    if (this.mirror) return this.mirror.count ?? 0;
    return this.sessions.present + this.remote.elsewhere;
  }

  /** Up to where everyone who is connected here has been told what they may see. */
  get fed(): Fed {
    const { committed } = this.log;
    return { epoch: this.epochs.current, offset: committed, total: this.log.totalUpTo(committed) };
  }

  /** What the directory of live rooms learns. */
  get listing(): Listing {
    const { kind, name } = this.name;
    return {
      kind,
      room: name,
      connections: this.connections.size + this.remote.connected,
      members: this.population,
      sessions: this.sessions.size + this.remote.size,
      offset: this.log.committed,
      undelivered: this.outbox.undelivered,
      ttl: listedFor(this.definition.heartbeat.idle),
    };
  }

  /** The connection that sent something, unless a newer one replaced it or its session is over. */
  connection(session: string, generation: number): Connection | undefined {
    const connection = this.connections.get(session);
    return connection?.generation === generation ? connection : undefined;
  }

  /** Something was published: history goes on, unless this instance cannot know what was before it. */
  continueEpoch(id: string): void {
    if (this.#isCold) this.beginEpoch(id);
  }

  /**
   * A connection is about to open: with the first one begins an epoch, whether or not the room was out of memory. Members of
   * relays have theirs through it, and cannot be told of another each time that somebody comes: there it goes on.
   */
  beginEpoch(id: string): void {
    if (this.connections.size === 0 && (this.#isCold || !this.remote.isUsed))
      this.epochs.begin(id, this.log.committed, this.log.oldest);
    this.#isCold = false;
  }

  /** A session's new connection: from here on it is fed. */
  connect(session: Session, admission: Admission, now: number): Connection {
    const { head } = this.log;
    const { every } = this.definition.heartbeat;
    const { attempt, traceparent } = admission;
    const pointer: Pointer = {
      session: session.id,
      generation: session.generation,
      since: now,
      ...(traceparent !== undefined && { traceparent }),
      ...(attempt && { attempt }),
      ...(admission.credit && { credit: { offset: head, bytes: this.log.totalUpTo(head) } }),
    };
    this.heartbeat ??= { due: now + every, interval: every, sentAt: now };
    return this.#open(pointer, session.user, now);
  }

  /** Whether a connection that has everything up to `offset` may be fed more now. */
  mayFeed(connection: Connection, offset: number): boolean {
    return connection.credit === undefined || connection.mayFeed(offset, this.log.totalUpTo(offset));
  }

  /** The connection is no longer one of ours, whatever its socket still does. */
  release(connection: Connection): void {
    if (this.connections.get(connection.session) === connection) this.connections.delete(connection.session);
    this.changed.delete(connection);
    if (this.connections.size === 0) this.heartbeat = undefined;
  }

  /**
   * When the alarm must ring; `undefined` when nothing will ever be due. Also writes the heartbeat down where the alarm's
   * own time does not tell it: then waking from storage finds it again, and a heartbeat that rings for itself costs no row
   * but the alarm's.
   */
  nextAlarm(): number | undefined {
    const { sessions, timers, definition, heartbeat, held } = this;
    let next = Infinity;
    const consider = (due: number | undefined, key?: string) => {
      if (due !== undefined && (key === undefined || !held.has(key))) next = Math.min(next, due);
    };
    consider(heartbeat?.due, "heartbeat");
    // A drain need not wake a room that it has emptied; the next connection ends it.
    if (this.connections.size > 0) consider(this.drain?.until, "drain");
    if (definition.events) consider(this.outbox.next, "outbox");
    consider(this.undelivered.due);
    if (this.connections.size === 0) consider(this.mirror?.due);
    consider(sessions.nextDeadline(held));
    consider(timers.nextDeadline(held));
    for (const until of held.values()) consider(until);
    if (heartbeat) this.#storeHeartbeat(heartbeat, next);
    return next === Infinity ? undefined : next;
  }

  /** Whether the refs of a session still count. */
  #isAlive(session: string): boolean {
    return this.sessions.get(session) !== undefined || this.remote.hasPublished(session);
  }

  #open(pointer: Pointer, user: string, now: number): Connection {
    const { rate } = this.definition;
    const connection = new Connection({ user, pointer, rate, now, changed: this.changed });
    this.connections.set(connection.session, connection);
    return connection;
  }

  #restore(pointer: Pointer, now: number): void {
    const stored = this.sessions.get(pointer.session);
    if (stored?.generation !== pointer.generation || stored.droppedAt !== null) return;
    this.#open(pointer, stored.user, now);
  }

  #restoreHeartbeat({ alarm, heartbeatAt, now }: Parts): Heartbeat {
    const stored = this.#storedHeartbeat();
    const due = Math.max(stored.due, alarm ?? 0);
    // Without an alarm, set or ringing, nobody knows: a whole interval from now, and nobody counts as silent.
    if (alarm === undefined && due <= now) {
      return { due: now + stored.interval, interval: stored.interval, sentAt: heartbeatAt ?? now };
    }
    return { due, interval: stored.interval, sentAt: heartbeatAt ?? due - stored.interval };
  }

  #storeHeartbeat({ due, interval }: Heartbeat, alarm: number): void {
    const stored = this.#storedHeartbeat();
    const isStored = alarm === due ? stored.due <= due : stored.due === due;
    if (!isStored || stored.interval !== interval) this.meta.set("beat", `${due} ${interval}`);
  }

  #storedHeartbeat(): { due: number; interval: number } {
    const [due = 0, interval = this.definition.heartbeat.every] = this.meta.get("beat")?.split(" ").map(Number) ?? [];
    return { due, interval };
  }
}
