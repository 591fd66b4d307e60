/**
 * What a room and its relays tell one another, as data: both ends of two calls. A relay asks its room in `exchange`; the room,
 * or the relay before it, tells a relay in `push`. Each end may run another version: a number says which shape this is.
 */
import type { ClientFrame, Json, ResetReason } from "../protocol/frames.ts";
import type { Refusal } from "../protocol/refusal.ts";
import type { Admission, RelayAddress } from "./admission.ts";
import type { Grant, RoomDefinition } from "./definition.ts";

// Where relays and their rooms are is what an admission says first.
export type { Home, RelayAddress, Regions, Spread, Via } from "./admission.ts";

/** Of the shapes in this file. An end that gets another one refuses it: it is only ever late. */
export const RELAYING = 1;

/** What of a room's definition holds in its relays. */
export interface RelayRules extends Pick<
  RoomDefinition,
  "resumeWindow" | "grace" | "retain" | "heartbeat" | "maxConnectionsPerUser" | "maxMessage" | "rate" | "presence"
> {
  /** Whether signals go through a hook of the room. Absent from an older room: they may. */
  readonly hasSignalHook?: boolean;
}

/** A place in the room's history. */
export interface Position {
  readonly epoch: string;
  readonly offset: number;
}

/** A session, by its user: another user's session is none. */
export interface SessionKey {
  readonly user: string;
  readonly session: string;
}

/** A session whose connection is gone. `generation`: of that connection; a later one has come back since, and stays. */
export interface GoneKey extends SessionKey {
  readonly generation: number;
}

/** A client that wants to connect to a relay. `id`: for the session, should it be a new one. */
export interface Joining {
  readonly id: string;
  readonly admission: Admission;
}

/** What the room says to that. */
export type Admitted =
  | ({ readonly ok: false } & Refusal)
  | {
      readonly ok: true;
      readonly session: string;
      /** Of the connection: higher than that of any earlier one of the session, wherever it was. */
      readonly generation: number;
      /** The session's highest ref that took effect; 0 for none. */
      readonly ref: number;
      /** What took effect after the position that the client resumes from. */
      readonly acks: readonly { readonly ref: number; readonly offset: number; readonly at: number }[];
      /** Absent: the client continues from its position. */
      readonly reset?: { readonly reason: ResetReason; readonly data: Json; readonly offset: number };
    };

/** Frames that only the room can answer. */
export type ForwardedFrame = Extract<ClientFrame, { type: "publish" | "signal" | "presence" | "call" }>;

/** The sender of frames, as its relay knows it. */
export interface Sender extends SessionKey {
  readonly name: string | null;
  readonly grants: readonly Grant[];
  readonly requestId: string;
  readonly connectedAt: number;
  /** When its token runs out, in ms since the epoch: what it has said waits for an answer no longer. */
  readonly expires: number;
  readonly traceparent: string | undefined;
  /** The highest ref of its connection that was refused for good. */
  readonly rejected: number;
}

/** What one session said since the last exchange, in its order. */
export interface Said {
  readonly sender: Sender;
  readonly frames: readonly ForwardedFrame[];
}

/** What the room answers one session. */
export interface Replied {
  readonly texts: readonly string[];
  /** The highest ref of its connection that was refused for good. */
  readonly rejected: number;
  /** What it signals to those who are near: its relay says it to them. */
  readonly near?: readonly Signal[];
  /** The room could not do it, for no reason of the session's. Nothing of it took effect this time. */
  readonly isFailed?: true;
  /** The session is elsewhere, or over. */
  readonly over?: true;
}

/** What a relay tells its room, and asks of it. */
export interface Up {
  readonly version: typeof RELAYING;
  readonly relay: RelayAddress;
  /** The answer that it has taken last; absent before the first. A list of sessions from before another answer is out of date. */
  readonly heard?: string;
  /** Where its copy of the log ends and begins; absent while it has none. */
  readonly at?: Position & { readonly oldest: number };
  /** From where somebody who is connected continues, before `oldest`. It may be anything: a client has said so. */
  readonly back?: number;
  readonly connections: number;
  /** Of its sessions; another than the room's own count says that one of the two missed something. */
  readonly digest: string;
  /** All of them, when the room has asked. */
  readonly sessions?: readonly (SessionKey & { readonly isPresent: boolean })[];
  /** Sessions that the others were told of and are not here any more. */
  readonly left: readonly GoneKey[];
  /** Sessions that are over. */
  readonly ended: readonly GoneKey[];
  readonly joins: readonly Joining[];
  readonly said: readonly Said[];
}

/** A signal on its way to the members of a relay. */
export interface Signal {
  readonly text: string;
  readonly except?: string;
  readonly to?: readonly string[];
}

/** A session at a relay that the room has ended, or does not know, or that goes on elsewhere. */
export interface Dismissal extends SessionKey {
  readonly code: "kicked" | "revoked" | "restarting" | "replaced";
  /** Of the connection that took its place: one of this or a higher generation has come back since, and stays. */
  readonly generation?: number;
  /** Name of the relay. */
  readonly relay: string;
}

/** What reaches the members of a relay. */
export interface Mirrored {
  readonly version: typeof RELAYING;
  readonly epoch: string;
  /** Everything after one offset up to another. */
  readonly after: number;
  readonly upto: number;
  /** As JSON, joined by commas. */
  readonly items: string;
  /** How many members the whole room has. */
  readonly count: number;
  readonly drain?: { readonly until: number; readonly reopens: number };
  readonly signals: readonly Signal[];
  readonly dismissals: readonly Dismissal[];
  /** Relays that get all of this from this one. */
  readonly next: readonly RelayAddress[];
}

/** What the room answers a relay. */
export interface Down extends Mirrored {
  /** Names this answer. */
  readonly nth: string;
  readonly rules: RelayRules;
  /** For each of `joins`. `undefined`: there was no place for it in this answer, and it is to be asked for again. */
  readonly admitted: readonly (Admitted | undefined)[];
  /** For each of `said`. */
  readonly replies: readonly Replied[];
  /** The digests differ: the relay is to list its sessions. */
  readonly isUnsure?: true;
  /** What the relay has is not of this history: its clients must come back, and be told what they missed. */
  readonly isUndone?: true;
}

/** What a relay answers to a push. */
export interface Pushed extends Position {
  readonly connections: number;
}

/** There is no such relay, and there will be none: its binding was taken away. */
export class RelayRemoved extends Error {
  override readonly name = "RelayRemoved";
}

/** A relay as its room, or the relay before it, calls it. */
export interface RelayPort {
  push(mirrored: Mirrored): Promise<Pushed>;
}
