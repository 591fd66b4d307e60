/** Where a room's events go out: what is handed over, and what an outlet promises. Types, and the one error that counts. */
import type { Member, Publication } from "../protocol/frames.ts";

/** Kinds of events that can go out. `empty`: the last member has left. */
export const outEventTypes = ["join", "leave", "publication", "empty"] as const;
/** One of {@link outEventTypes}. */
export type OutEventType = (typeof outEventTypes)[number];

/** Something that happened in a room. */
export interface OutEvent {
  /** The same however often it is delivered. */
  readonly id: string;
  readonly type: OutEventType;
  /** When, in ms since the epoch. */
  readonly at: number;
  /** The member that joined. */
  readonly member?: Member;
  /** The member that left. */
  readonly user?: string;
  readonly publication?: Publication;
}

/**
 * The events of a tick, or of several that waited together, in their order. Delivered whole, the same every time, until
 * an outlet has taken it.
 */
export interface Batch {
  readonly id: string;
  /** Empty until somebody came to the room through the Worker: a publication by RPC does not say of which kind it is. */
  readonly kind: string;
  readonly room: string;
  /** When the first of it happened, in ms since the epoch. */
  readonly at: number;
  /** Deliveries that failed so far. */
  readonly tries: number;
  readonly events: readonly OutEvent[];
}

/**
 * Delivers a batch: resolves when it is the receiver's, throws when it is not. After a throw it is called again later
 * with the same batch, unless it threw {@link OutletRefused}.
 */
export type Outlet<Env = unknown> = (batch: Batch, env: Env) => Promise<void>;

/** The receiver will never take this batch: it becomes a dead letter, and the next one has its turn. */
export class OutletRefused extends Error {
  override readonly name = "OutletRefused";
}
