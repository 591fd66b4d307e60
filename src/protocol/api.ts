/**
 * The HTTP API as both of its sides see it: where each operation is, what it takes and what it answers. One source for the
 * room that answers, the Worker that serves, the CLI that asks, and tests. Types and a small table; how a request is read
 * is http/api, how it is described there is http/api/operations.ts. Moments are in ms since the epoch.
 */
import type { CodeName, Severity } from "./codes.ts";
import type { Json, Member, Publication } from "./frames.ts";

/** Everything a token can allow in a room. */
export const grants = ["join", "publish", "signal", "call", "admin"] as const;
/** One of {@link grants}. */
export type GrantName = (typeof grants)[number];

/** How long a drain may take, and how long a room may stay closed after it, in ms: longer than any deploy. */
export const MAX_DRAIN_MS = 3_600_000;
/** How long a drain takes when the request does not say, in ms. */
export const DEFAULT_DRAIN_MS = 30_000;
/** Publications of one page of the log, at most. */
export const MAX_LOG_PAGE = 1_000;
/** Publications of one page of the log when the request does not say. */
export const DEFAULT_LOG_PAGE = 100;

/** Members or sessions of one page of a list, at most; of a room with relays also when the request does not say. */
export const MAX_LIST_PAGE = 1_000;

/** A room's name: what needs no escaping in a path segment, 1 to 128 characters. */
export const ROOM_NAME = /^[A-Za-z0-9._~:@-]{1,128}$/;
/** An `Idempotency-Key`: visible ASCII. */
export const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;
/** The id of a batch of events. */
export const BATCH_ID = /^[A-Za-z0-9_-]{1,64}$/;
/** The id of a session. */
export const SESSION_ID = /^[A-Za-z0-9_-]{1,64}$/;

/** What is published. `to`: user ids. Absent: everyone. */
export interface PublishBody {
  readonly data: Json;
  readonly to?: readonly string[];
  /** W3C trace context that goes with the publication. */
  readonly traceparent?: string;
}

/** Where a publication is in the log, and when it was stored. */
export interface Published {
  readonly offset: number;
  readonly at: number;
}

/** Publications after an offset, oldest first. */
export interface LogPage {
  /** The identity of the log's history. */
  readonly epoch: string;
  /** The oldest offset that can still be read; `offset` + 1 when none can. */
  readonly oldest: number;
  /** Of the newest publication. */
  readonly offset: number;
  readonly items: readonly Publication[];
}

/** The members of a room: all, or a page of them. `next`: the `after` of the page that follows; absent on the last. */
export interface MemberList {
  readonly members: readonly Member[];
  readonly next?: string;
}

/** A session as an operator sees it. One at a relay has `relay` and `present` instead of all that tells of a connection. */
export interface SessionView {
  readonly session: string;
  readonly user: string;
  readonly name?: string;
  /** Absent of one at a relay: only the relay knows. */
  readonly connected?: boolean;
  /** When its last connection opened. Absent of one at a relay. */
  readonly since?: number;
  /** The name of the relay that has its connection, or had its last one. Absent: the room itself. */
  readonly relay?: string;
  /** Of one at a relay: whether it counts as here, which is so until the grace after its drop is over. */
  readonly present?: boolean;
  readonly droppedAt?: number;
  /** Publications that it has not acknowledged; where it acknowledges none, those that were not sent to it. */
  readonly lag?: number;
  /** When it last answered a heartbeat; 0 for never. */
  readonly heardAt?: number;
  /** Heartbeats in a row that it left unanswered. */
  readonly missed?: number;
  /** Bytes that the runtime holds for it. Absent where the runtime does not say. */
  readonly unread?: number;
}

/** The sessions of a room: all, or a page of them. `next`: the `after` of the page that follows; absent on the last. */
export interface SessionList {
  readonly sessions: readonly SessionView[];
  readonly next?: string;
}

/** A relay that has connections of a room. */
export interface RelayView {
  readonly name: string;
  readonly region: string;
  readonly connections: number;
  /** Publications that it has not been told of; absent while the room does not know, or another relay tells it. */
  readonly lag?: number;
  /** When it last answered or asked; absent when the room has not heard it since it woke. */
  readonly heardAt?: number;
}

/** The relays of one region together. */
export interface RegionView {
  readonly relays: number;
  readonly connections: number;
}

/** A room in numbers. */
export interface RoomStats {
  readonly kind: string;
  readonly room: string;
  readonly epoch: string;
  /** Of the newest publication. */
  readonly offset: number;
  /** The oldest that can still be replayed. */
  readonly oldest: number;
  readonly members: number;
  readonly sessions: number;
  /** Those at relays included. */
  readonly connections: number;
  /** Connections of the room's own. These three only while there are connections at relays. */
  readonly direct?: number;
  readonly relays?: readonly RelayView[];
  /** Sums of `relays`, by region. */
  readonly regions?: Readonly<Record<string, RegionView>>;
  readonly draining?: { readonly until: number; readonly reopens: number };
  readonly heartbeat?: { readonly due: number; readonly interval: number };
  /** Only of a room that has an outlet for events. */
  readonly outbox?: OutboxStats;
  /** What was counted since the room last reported to the directory, by series: `resumes|reset|log_trimmed`. */
  readonly counts: Readonly<Record<string, number>>;
}

/** How the delivery of a room's events is doing. */
export interface OutboxStats {
  readonly pending: number;
  readonly dead: number;
  /** Deliveries of the first batch that failed so far. */
  readonly tries: number;
  readonly nextTry?: number;
}

/** A batch of events that could not be delivered. */
export interface DeadLetter {
  readonly id: string;
  readonly at: number;
  readonly tries: number;
  /** What the last delivery failed with: a code. */
  readonly error: string;
  readonly events: number;
}

/** The batch that holds up all that came after it: a delivery of it has failed, and it is tried again. */
export interface StuckBatch {
  readonly id: string;
  readonly at: number;
  readonly tries: number;
  readonly events: number;
  readonly nextTry: number;
}

/** The dead letters of a room, newest first. */
export interface DeadLetterList {
  readonly dead: readonly DeadLetter[];
  readonly stuck?: StuckBatch;
}

/** A dead letter with its events, as the outlet would have got them. */
export interface DeadBatch {
  readonly id: string;
  readonly at: number;
  readonly tries: number;
  readonly error: string;
  readonly events: readonly object[];
}

/** One batch, or all dead letters of the room. */
export interface RedeliverBody {
  readonly batch?: string;
}

/** The batch that is set aside. */
export interface SkipBody {
  readonly batch: string;
}

/** The dead letters that are forgotten for good: one, or all of the room. */
export type DropBody = { readonly batch: string } | { readonly all: true };

/** What to remove: every session of a user, or one session. */
export type KickBody = { readonly user: string } | { readonly session: string };

/** The user whose tokens are refused. */
export interface RevokeBody {
  readonly user: string;
}

/** How many sessions were ended. */
export interface Ended {
  readonly sessions: number;
}

/** How a room empties, in ms. */
export interface DrainBody {
  /** How long clients have to leave before the room closes them. Default {@link DEFAULT_DRAIN_MS}. */
  readonly within?: number;
  /** How long after that the room opens again. Default 0. */
  readonly reopenAfter?: number;
}

/** A drain that has begun: when the room closes the connections left, when it opens again, and how many it told. */
export interface Drained {
  readonly until: number;
  readonly reopens: number;
  readonly connections: number;
}

/** How many batches wait for delivery, and how many of them were dead letters until now. */
export interface Redelivered {
  readonly pending: number;
  readonly redelivered: number;
}

/** How many batches wait for delivery, and how many are dead letters, after one was set aside. */
export interface Skipped {
  readonly pending: number;
  readonly dead: number;
}

/** How many dead letters are gone for good, and how many are left. */
export interface Dropped {
  readonly dropped: number;
  readonly dead: number;
}

/** A live room, as it last reported. */
export interface LiveRoom {
  readonly kind: string;
  readonly room: string;
  readonly connections: number;
  readonly members: number;
  /** Dropped ones included. */
  readonly sessions: number;
  /** Of its newest publication. */
  readonly offset: number;
  /** When it reported. */
  readonly at: number;
  /** Batches of events that the room gave up. Absent: none. */
  readonly dead?: number;
  /** Batches that wait behind one whose delivery has failed for minutes. Absent: none. */
  readonly pending?: number;
}

/** Which parts of the directory did not answer in time, by number. Absent: the answer is complete. */
export interface Incomplete {
  readonly incomplete?: readonly number[];
}

/** A page of rooms: the live ones, or those with undelivered events. `next` is absent on the last. */
export interface RoomPage extends Incomplete {
  readonly rooms: readonly LiveRoom[];
  readonly next?: string;
}

/** One failure, as logs and lists have it. */
export interface FailureRecord {
  readonly at: number;
  readonly code: CodeName;
  /** What failed: the type of a frame, the name of a hook, a route, a part of the room. */
  readonly source: string;
  readonly kind?: string;
  readonly room?: string;
  readonly session?: string;
  readonly user?: string;
  readonly requestId?: string;
  readonly traceId?: string;
  readonly message?: string;
  /** Of a connection that the room ended: how long it was open, in ms. */
  readonly lasted?: number;
}

/** One failure, as operators read it. */
export interface ListedFailure extends FailureRecord {
  readonly severity: Severity;
}

/** The newest failures of all rooms and of the Worker, and the newest ends of connections; newest first. */
export interface FailureList extends Incomplete {
  readonly failures: readonly ListedFailure[];
  /** Connections that a room ended, and why. Apart from the failures: neither pushes the other out. */
  readonly ends: readonly ListedFailure[];
}

/** What each operation on a room takes and answers. */
export interface RoomOperations {
  readonly publish: { readonly body: PublishBody; readonly answer: Published };
  readonly readLog: { readonly body: undefined; readonly answer: LogPage };
  readonly listMembers: { readonly body: undefined; readonly answer: MemberList };
  readonly listSessions: { readonly body: undefined; readonly answer: SessionList };
  readonly readStats: { readonly body: undefined; readonly answer: RoomStats };
  readonly listDeadLetters: { readonly body: undefined; readonly answer: DeadLetterList };
  readonly kick: { readonly body: KickBody; readonly answer: Ended };
  readonly revoke: { readonly body: RevokeBody; readonly answer: Ended };
  readonly drain: { readonly body: DrainBody | undefined; readonly answer: Drained };
  readonly readDeadLetter: { readonly body: undefined; readonly answer: DeadBatch };
  readonly redeliver: { readonly body: RedeliverBody | undefined; readonly answer: Redelivered };
  readonly skip: { readonly body: SkipBody; readonly answer: Skipped };
  readonly drop: { readonly body: DropBody; readonly answer: Dropped };
}

/** The name of an operation on a room; its `operationId` in the OpenAPI document. */
export type RoomOperation = keyof RoomOperations;

/** Where an operation on a room is, and which grant it needs. */
export interface RoomRoute<O extends RoomOperation = RoomOperation> {
  readonly method: "GET" | "POST";
  /** Follows the path of the room: `/rooms/chat/lobby/log`. */
  readonly path: string;
  /** What the token must grant. */
  readonly grant: GrantName;
  /** Fields that every answer has. An answer without them comes from something else, or from another version. */
  readonly answers: readonly (keyof RoomOperations[O]["answer"] & string)[];
}

/** Every operation on a room. */
export const roomRoutes: { readonly [O in RoomOperation]: RoomRoute<O> } = {
  publish: { method: "POST", path: "/publish", grant: "publish", answers: ["offset", "at"] },
  readLog: { method: "GET", path: "/log", grant: "admin", answers: ["epoch", "oldest", "offset", "items"] },
  listMembers: { method: "GET", path: "/members", grant: "admin", answers: ["members"] },
  listSessions: { method: "GET", path: "/sessions", grant: "admin", answers: ["sessions"] },
  readStats: {
    method: "GET",
    path: "/stats",
    grant: "admin",
    answers: ["kind", "room", "epoch", "offset", "oldest", "members", "sessions", "connections", "counts"],
  },
  listDeadLetters: { method: "GET", path: "/dead-letters", grant: "admin", answers: ["dead"] },
  kick: { method: "POST", path: "/kick", grant: "admin", answers: ["sessions"] },
  revoke: { method: "POST", path: "/revoke", grant: "admin", answers: ["sessions"] },
  drain: { method: "POST", path: "/drain", grant: "admin", answers: ["until", "reopens", "connections"] },
  readDeadLetter: { method: "GET", path: "/dead-letter", grant: "admin", answers: ["id", "events"] },
  redeliver: { method: "POST", path: "/redeliver", grant: "admin", answers: ["pending"] },
  skip: { method: "POST", path: "/skip", grant: "admin", answers: ["pending", "dead"] },
  drop: { method: "POST", path: "/drop", grant: "admin", answers: ["dropped", "dead"] },
};

/**
 * The list of live rooms: `?cursor=` is the `next` of the page before; `?dead=1` lists rooms with undelivered events
 * instead, whether or not anybody is in them. Each caller sees the rooms that it is admin of.
 */
export const ROOMS_PATH = "/rooms";
