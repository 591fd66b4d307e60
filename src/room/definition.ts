/**
 * What a user of edgerooms writes: the behaviour of one kind of room, as data and synchronous hooks. Turns options as
 * people write them ("30s") into numbers once. Knows nothing of sockets, storage or the engine.
 */
import type { GrantName } from "../protocol/api.ts";
import type { CodeName } from "../protocol/codes.ts";
import { WHO } from "../protocol/frames.ts";
import { MAX_MESSAGE_BYTES } from "../protocol/limits.ts";
import type { Data, Handed, Of, Person, RoomTypes, Typed } from "../protocol/room-types.ts";
import { outEventTypes, type OutEventType, type Outlet } from "./outlet.ts";

/** Milliseconds, or text such as "250ms", "30s", "5m", "1h", "2d". */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;

/** What a member may do in a room. */
export type Grant = GrantName;

/** What members learn of one another: who is here and what each shows, how many there are, or nothing. */
export const presenceKinds = ["list", "count", "off"] as const;
/** One of {@link presenceKinds}. */
export type PresenceKind = (typeof presenceKinds)[number];

/** The connection that a hook runs for. */
export interface Me<T extends RoomTypes = RoomTypes> extends Person<T> {
  /** The session, which outlives connections. Not a secret, but nobody else's business. */
  readonly session: string;
  readonly grants: readonly Grant[];
  /** Id of the HTTP request that opened the connection: the thread to pull in the logs. */
  readonly requestId: string;
  /** When the connection was opened, in ms since the epoch. */
  readonly connectedAt: number;
}

/** A refusal made with {@link reject}. */
export class Rejection {
  readonly message: string;
  readonly retryAfter: number | undefined;
  constructor(message: string, retryAfter?: number) {
    this.message = message;
    this.retryAfter = retryAfter;
  }
}

/**
 * Refuses a publication, a signal, presence, a call or (from `onJoin`) a connection: return it from a hook, or throw it.
 *
 * @param message goes to the client as it is
 * @param retryAfter tells the client when trying again makes sense
 */
export function reject(message: string, retryAfter?: Duration): Rejection {
  return new Rejection(message, retryAfter === undefined ? undefined : toMs(retryAfter, "retryAfter"));
}

/** What a hook can see and do. Everything it asks for takes effect when the hook returns, and not at all if it throws. */
export interface RoomContext<T extends RoomTypes = RoomTypes> {
  readonly kind: string;
  readonly name: string;
  /** Now, in ms since the epoch. */
  readonly now: number;
  /** Offset of the newest publication; 0 before the first. */
  readonly offset: number;
  /**
   * The room's SQLite database, inside the running transaction. Tables named `edgerooms_*` belong to the room.
   * Create yours with `CREATE TABLE IF NOT EXISTS`.
   */
  readonly sql: SqlStorage;
  members(): Person<T>[];
  /**
   * The newest publications, oldest first: at most `limit`, and 256 KiB together. One that is larger by itself is left
   * out. With `me`, only what `me` may see.
   */
  recent(limit: number, me?: { readonly id: string }): Typed<T>[];
  /** Publishes in the room's own name. `onPublish` does not run for it. */
  publish(data: Handed<T, "publication">, options?: { to?: readonly string[] | undefined }): void;
  /** Sends to everyone connected now; never stored, never replayed. `onSignal` does not run for it. */
  signal(data: Handed<T, "signal">, options?: { to?: readonly string[] | undefined }): void;
  /** Ends every session of a user. */
  kick(user: string): void;
  /** Runs `onTimer(room, name, data)` once at `when` (ms since the epoch; the past means now). The same name replaces it. */
  schedule(name: string, when: number, data?: Handed<T, "timer">): void;
  /** Forgets a scheduled timer; nothing happens when there is none. */
  cancel(name: string): void;
  /**
   * Starts asynchronous work after the commit; `then` runs as an event of its own with what came of it. The work is
   * lost if the object dies before it ends: what must survive that belongs into `schedule`.
   */
  defer<R>(work: () => Promise<R>, then?: (room: RoomContext<T>, outcome: Outcome<R>) => void): void;
}

/** What came of deferred work. */
export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown };

/** A method that clients reach with a `call` frame. Returns the reply, or a {@link Rejection}. */
export type Method<T extends RoomTypes = RoomTypes> = (
  room: RoomContext<T>,
  me: Me<T>,
  args: Of<T, "call">,
) => Data | Rejection | void;

/** The users that something of a member is for. */
export interface Addressed {
  /** User ids. Absent: everyone. */
  readonly to?: readonly string[];
}

/** What is known of a publication before it is stored. */
export interface Submitted extends Addressed {
  /** The offset that it gets if it is stored. */
  readonly offset: number;
}

/**
 * The behaviour of a kind of room. Every part is optional: `defineRoom({})` relays and remembers.
 *
 * `T` says what the data of its rooms is; without it, it is {@link Json}. The room checks only that it is JSON and how large
 * it is: a client can send anything, so a hook looks before it relies on what `T` says.
 */
export interface Definition<T extends RoomTypes = RoomTypes> {
  /** How long a dropped session can be resumed. Default "1h". */
  resumeWindow?: Duration | undefined;
  /** How long a drop stays unannounced to the others. Default "10s". */
  grace?: Duration | undefined;
  /** Publications kept for resuming, at least (fewer only past 16 MiB). Default 1000, 0 to 100,000. */
  retain?: number | undefined;
  /**
   * Heartbeat: `every` (default "30s") while the room is used, doubling up to `idle` (default "240s") while it is not;
   * a client that leaves `misses` (default 3) in a row unanswered is dropped.
   */
  heartbeat?: { every?: Duration | undefined; idle?: Duration | undefined; misses?: number | undefined } | undefined;
  /** Connections at once. Default 10,000, at most 32,000 (the platform takes 32,768). */
  maxConnections?: number | undefined;
  /** Connections of one user at once, such as tabs, and dropped sessions besides. Default 100, at most 32,000. */
  maxConnectionsPerUser?: number | undefined;
  /** Largest message in bytes. Default 65,536, at most 1,048,576. */
  maxMessage?: number | undefined;
  /** Frames a connection may send: per second and at once. Default 50 and 100. */
  rate?: { perSecond?: number | undefined; burst?: number | undefined } | undefined;
  /**
   * What members learn of one another. `"list"` (default): who is here and what each shows. `"count"`: how many are here,
   * about once a second while that changes. `"off"`: nothing. A list costs as many bytes as there are members for each who
   * comes, and a message to everyone; past some hundred viewers of one room a count is enough.
   */
  presence?: PresenceKind | undefined;
  /**
   * Events that go out of the room, at least once each and in their order: which (`types`, default all) and where `to`,
   * an outlet such as the ones that {@link webhook} and {@link queue} make. A tick that has any writes one row; a batch
   * that was delivered deletes one.
   */
  events?: { types?: readonly OutEventType[] | undefined; to: Outlet<never> } | undefined;

  /** A user became present. A rejection refuses the connection for good, with `forbidden`. */
  onJoin?: ((room: RoomContext<T>, me: Me<T>) => Rejection | void) | undefined;
  /** Sees, rewrites (by returning data) or rejects a publication. Returning nothing stores it unchanged. */
  onPublish?:
    | ((
        room: RoomContext<T>,
        me: Me<T>,
        data: Of<T, "publication">,
        submitted: Submitted,
      ) => Handed<T, "publication"> | Rejection | void)
    | undefined;
  /** Sees, rewrites or rejects a signal of a member, likewise. Not for those of the room. */
  onSignal?:
    | ((
        room: RoomContext<T>,
        me: Me<T>,
        data: Of<T, "signal">,
        addressed: Addressed,
      ) => Handed<T, "signal"> | Rejection | void)
    | undefined;
  /** Sees, rewrites or rejects what a member shows of itself, likewise; `me.data` is what it showed before. */
  onPresence?:
    | ((room: RoomContext<T>, me: Me<T>, data: Of<T, "presence">) => Handed<T, "presence"> | Rejection | void)
    | undefined;
  /** A user is no longer present. */
  onLeave?: ((room: RoomContext<T>, member: Person<T>) => void) | undefined;
  /** A timer set with `room.schedule` is due. A throw runs it again later: 2 s, 4 s, ... up to an hour apart. */
  onTimer?: ((room: RoomContext<T>, name: string, data: Of<T, "timer">) => void) | undefined;
  /** The state a client starts from when it cannot resume. Default: the last 50 publications it may see. */
  snapshot?: ((room: RoomContext<T>, me: Me<T>) => Handed<T, "snapshot">) | undefined;
  methods?: Readonly<Record<string, Method<T>>> | undefined;
}

/** The hooks of a definition as the engine runs them. */
export type Hooks = Pick<
  Definition,
  "onJoin" | "onPublish" | "onSignal" | "onPresence" | "onLeave" | "onTimer" | "snapshot"
>;

/** A {@link Definition} with every number filled in; times in milliseconds. */
export interface RoomDefinition {
  readonly resumeWindow: number;
  readonly grace: number;
  readonly retain: number;
  readonly heartbeat: { readonly every: number; readonly idle: number; readonly misses: number };
  readonly maxConnections: number;
  readonly maxConnectionsPerUser: number;
  readonly maxMessage: number;
  readonly rate: { readonly perSecond: number; readonly burst: number };
  readonly presence: PresenceKind;
  readonly events: { readonly types: ReadonlySet<OutEventType>; readonly to: Outlet<never> } | undefined;
  readonly hooks: Hooks;
  readonly methods: ReadonlyMap<string, Method>;
}

/** How a `Rejection` and a crash of a hook look to the engine. */
export interface HookFailure {
  readonly code: Extract<CodeName, "rejected" | "hook_failed">;
  readonly message?: string;
  readonly retryAfter?: number;
}

/**
 * Checks a definition and fills in the defaults.
 *
 * @throws RangeError or TypeError naming the option that is wrong, when the module is loaded
 */
export function defineRoom<T extends RoomTypes = RoomTypes>(definition: Definition<T>): RoomDefinition {
  const { heartbeat = {}, rate = {}, methods = {}, events } = definition;
  const every = positive(toMs(heartbeat.every ?? "30s", "heartbeat.every"), "heartbeat.every");
  const idle = toMs(heartbeat.idle ?? Math.max(240_000, every), "heartbeat.idle");
  if (idle < every) throw new RangeError("heartbeat.idle must not be shorter than heartbeat.every");
  const resumeWindow = toMs(definition.resumeWindow ?? "1h", "resumeWindow");
  return {
    resumeWindow,
    grace: Math.min(toMs(definition.grace ?? "10s", "grace"), resumeWindow),
    retain: integer(definition.retain ?? 1_000, "retain", 0, 100_000),
    heartbeat: { every, idle, misses: integer(heartbeat.misses ?? 3, "heartbeat.misses", 1, 100) },
    maxConnections: integer(definition.maxConnections ?? 10_000, "maxConnections", 1, 32_000),
    maxConnectionsPerUser: integer(definition.maxConnectionsPerUser ?? 100, "maxConnectionsPerUser", 1, 32_000),
    maxMessage: integer(definition.maxMessage ?? 65_536, "maxMessage", 1_024, MAX_MESSAGE_BYTES),
    rate: {
      perSecond: positive(rate.perSecond ?? 50, "rate.perSecond"),
      burst: integer(rate.burst ?? 100, "rate.burst", 1, 1_000_000),
    },
    presence: presenceKind(definition.presence ?? "list", definition.onPresence !== undefined),
    events: events && { types: new Set(eventTypes(events.types ?? outEventTypes)), to: events.to },
    // Sound: `T` only says what the JSON is that hooks are given.
    hooks: definition as unknown as Hooks,
    methods: methodsOf(methods),
  };
}

function methodsOf(methods: Readonly<Record<string, Method>>): ReadonlyMap<string, Method> {
  if (Object.hasOwn(methods, WHO)) throw new TypeError(`every room has the method ${WHO}: give yours another name`);
  return new Map(Object.entries(methods));
}

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A {@link Duration} in milliseconds. Throws a TypeError that names the option when it is none. */
export function toMs(value: Duration, option: string): number {
  const match = typeof value === "string" ? value.match(/^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/) : null;
  const ms = match ? Number(match[1]) * UNITS[match[2] as keyof typeof UNITS] : value;
  if (typeof ms !== "number" || !Number.isFinite(ms) || ms < 0) {
    throw new TypeError(`${option} is a number of milliseconds or text such as "30s", not ${JSON.stringify(value)}`);
  }
  return Math.round(ms);
}

function presenceKind(kind: PresenceKind, hasHook: boolean): PresenceKind {
  if (!presenceKinds.includes(kind)) throw new TypeError(`presence has no ${JSON.stringify(kind)}`);
  if (hasHook && kind !== "list") throw new TypeError(`onPresence never runs where presence is "${kind}"`);
  return kind;
}

function eventTypes(types: readonly OutEventType[]): readonly OutEventType[] {
  for (const type of types) {
    if (!outEventTypes.includes(type)) throw new TypeError(`events.types has no ${JSON.stringify(type)}`);
  }
  return types;
}

function positive(value: number, option: string): number {
  if (!(value > 0 && Number.isFinite(value))) throw new RangeError(`${option} must be above 0`);
  return value;
}

function integer(value: number, option: string, low: number, high: number): number {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new RangeError(`${option} must be an integer from ${low} to ${high}, not ${value}`);
  }
  return value;
}
