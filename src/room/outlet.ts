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
  /** Who joined. */
  readonly member?: Member;
  /** Who left. */
  readonly user?: string;
  readonly publication?: Publication;
}

/** The events of one tick, in their order. Delivered whole, again and again until an outlet has taken it. */
export interface Batch {
  readonly id: string;
  readonly kind: string;
  readonly room: string;
  /** When it happened, in ms since the epoch. */
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
