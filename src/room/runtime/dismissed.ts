/**
 * Sockets that were told good-bye and may still be open: the runtime ends TCP only when the peer answers or the object is
 * evicted. They are remembered with their user, also through hibernation, so that nobody fills a room with them.
 */
import { closeQuietly } from "../../protocol/close.ts";
import type { Platform, RoomSocket } from "./platform.ts";

/** How long a client that was told good-bye may take to close by itself; after that the room does. */
const BYE_GRACE_MS = 2_000;
/** Sockets of one user that may be ending at once, where a user may have fewer connections than that. */
const LEAST_DISMISSED = 16;
/** And of those that hold more than {@link UNREAD_BYTES} which nobody reads. */
const MAX_UNREAD = 4;
const UNREAD_BYTES = 262_144;

/** Why a socket goes, and its user. */
export interface Goodbye {
  readonly code: number;
  readonly reason: string;
  /** Absent in what an older version wrote. */
  readonly user?: string;
}

/** After so many more than there were, sockets that the runtime has no more are looked for. */
const PRUNE_AFTER = 64;

/** The dismissed sockets of one room. */
export class Dismissed {
  readonly #platform: Platform;
  /** By socket: its user, and what calls off its close. */
  readonly #sockets = new Map<RoomSocket, { readonly user: string; readonly cancel: () => void }>();
  readonly #byUser = new Map<string, Set<RoomSocket>>();
  /** How many there were when those that are gone were last looked for. */
  #pruned = 0;

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  /** How many may still be open. */
  get size(): number {
    return this.#sockets.size;
  }

  /** A socket was told good-bye. */
  add(socket: RoomSocket, { code, reason, user = "" }: Goodbye): void {
    const cancel = this.#platform.later(BYE_GRACE_MS, () => closeQuietly(socket, code, reason));
    this.#remember(socket, user, cancel);
    if (this.#sockets.size >= 2 * this.#pruned + PRUNE_AFTER) this.#prune();
  }

  /** The room has woken, and this one was told good-bye before it slept. */
  recall(socket: RoomSocket, { code, reason, user = "" }: Goodbye): void {
    if (this.#sockets.has(socket)) return;
    this.#remember(socket, user, () => undefined);
    closeQuietly(socket, code, reason);
  }

  /** A socket has closed. */
  delete(socket: RoomSocket): void {
    const known = this.#sockets.get(socket);
    if (!known) return;
    // A timer would keep the object in memory.
    known.cancel();
    this.#sockets.delete(socket);
    const mine = this.#byUser.get(known.user);
    mine?.delete(socket);
    if (mine?.size === 0) this.#byUser.delete(known.user);
  }

  /** Whether so many sockets of a user are still ending that it must wait with new ones. */
  isFull(user: string, perUser: number): boolean {
    if ((this.#byUser.get(user)?.size ?? 0) < MAX_UNREAD) return false;
    this.#prune();
    const mine = [...(this.#byUser.get(user) ?? [])];
    const unread = mine.filter(({ bufferedAmount = 0 }) => bufferedAmount > UNREAD_BYTES);
    return unread.length >= MAX_UNREAD || mine.length >= Math.max(LEAST_DISMISSED, perUser);
  }

  #remember(socket: RoomSocket, user: string, cancel: () => void): void {
    this.#sockets.set(socket, { user, cancel });
    const mine = this.#byUser.get(user);
    if (mine) mine.add(socket);
    else this.#byUser.set(user, new Set([socket]));
  }

  /** No handler tells of the end of one that the room closed; the runtime just has it no more. */
  #prune(): void {
    const held = new Set(this.#platform.sockets.all());
    for (const socket of this.#sockets.keys()) if (!held.has(socket)) this.delete(socket);
    this.#pruned = this.#sockets.size;
  }
}
