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

/** Why a socket goes, and whose it is. */
export interface Goodbye {
  readonly code: number;
  readonly reason: string;
  /** Absent in what an older version wrote. */
  readonly user?: string;
}

/** The dismissed sockets of one room. */
export class Dismissed {
  readonly #platform: Platform;
  /** By socket: its user, and what calls off its close. */
  readonly #sockets = new Map<RoomSocket, { readonly user: string; readonly cancel: () => void }>();

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
    this.#sockets.set(socket, { user, cancel });
  }

  /** The room has woken, and this one was told good-bye before it slept. */
  recall(socket: RoomSocket, { code, reason, user = "" }: Goodbye): void {
    if (this.#sockets.has(socket)) return;
    this.#sockets.set(socket, { user, cancel: () => undefined });
    closeQuietly(socket, code, reason);
  }

  /** A socket has closed. */
  delete(socket: RoomSocket): void {
    // A timer would keep the object in memory.
    this.#sockets.get(socket)?.cancel();
    this.#sockets.delete(socket);
  }

  /** Whether so many sockets of a user are still ending that it must wait with new ones. */
  isFull(user: string, perUser: number): boolean {
    let mine = 0;
    for (const whose of this.#sockets.values()) if (whose.user === user) mine++;
    if (mine < MAX_UNREAD) return false;
    // No handler tells of the end of one that the room closed; the runtime just has it no more.
    const held = new Set(this.#platform.sockets.all());
    let open = 0;
    let unread = 0;
    for (const [socket, whose] of this.#sockets) {
      if (!held.has(socket)) this.delete(socket);
      else if (whose.user === user) {
        open++;
        if ((socket.bufferedAmount ?? 0) > UNREAD_BYTES) unread++;
      }
    }
    return unread >= MAX_UNREAD || open >= Math.max(LEAST_DISMISSED, perUser);
  }
}
