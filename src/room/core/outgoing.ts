/**
 * What a tick has to say: frames for single connections, for everyone, and the publications. It is collected inside the
 * tick's transaction and said when that has committed. Decides which connections lack credit. Knows nothing of sockets,
 * and joins no texts: that is the fan-out's.
 */
import { encode } from "../../protocol/codec.ts";
import { codes, type CodeName } from "../../protocol/codes.ts";
import type { Member, ServerFrame } from "../../protocol/frames.ts";
import type { Signal } from "../relaying.ts";
import type { Connection } from "../rules/connection.ts";
import type { Item } from "../store/log.ts";
import type { RoomState } from "../store/state.ts";

/** A frame that carries the list of members: it is joined once, as it is at the end of the tick. */
export interface ListFrame {
  readonly withMembers: Omit<Extract<ServerFrame, { type: "welcome" }>, "members"> | { readonly type: "presence" };
}

/** A change of the list of members. */
export type PresenceChange =
  { readonly change: "join" | "update"; readonly member: Member } | { readonly change: "leave"; readonly user: string };

/** Something for more than one connection. */
export type Shared =
  /** For every connection, whatever its credit. */
  | { readonly type: "all"; readonly text: string }
  /** For the users that it names, where they are fed; lost for the others. One with a scope is for no relay. */
  | ({ readonly type: "signal"; readonly scope?: "near" } & Signal)
  | ({ readonly type: "presence" } & PresenceChange);

/** The publications of a tick: everything after one offset up to another. */
export interface Range {
  readonly after: number;
  readonly upto: number;
  readonly items: readonly Item[];
}

/** What one tick says. */
export class Outgoing {
  /** Frames for one connection, before what everyone gets. */
  readonly own = new Map<Connection, (string | ListFrame)[]>();
  /** For a connection that this tick accepted: how many of the shared came before it. */
  readonly since = new Map<Connection, number>();
  /** Connections that learn from this tick who is here, as it is at its end: changes are no news to them. */
  readonly listed = new Set<Connection>();
  /** Connections that this tick has fed already: up to which offset. */
  readonly fedTo = new Map<Connection, number>();
  /** The last words to connections that are let go. */
  readonly leaving = new Map<Connection, string>();
  /** Whether it asks everyone for a sign of life. */
  isHeartbeat = false;
  range: Range = { after: 0, upto: 0, items: [] };
  readonly #shared: (Shared | undefined)[] = [];
  /** Where in `#shared` the newest update of a user is. */
  readonly #updates = new Map<string, number>();
  #length = 0;
  #sharedLength = 0;
  #presenceChanged = false;

  /** What everyone gets, in order; what a later one replaced is left out as `undefined`, so that places stay. */
  get shared(): readonly (Shared | undefined)[] {
    return this.#shared;
  }

  /** UTF-16 units for single connections so far, lists of members included. */
  get length(): number {
    return this.#length;
  }

  /** UTF-16 units for everyone so far, without publications. */
  get sharedLength(): number {
    return this.#sharedLength;
  }

  /** To one connection. */
  send(to: Connection, text: string): void {
    this.#own(to).push(text);
    this.#length += text.length;
  }

  /** Takes back what was to go to one connection. It is sent by other means. */
  take(to: Connection): string[] {
    const texts = (this.own.get(to) ?? []).filter((frame) => typeof frame === "string");
    this.own.delete(to);
    return texts;
  }

  /**
   * To one connection, with the list of members.
   *
   * @param length UTF-16 units of the list, about
   */
  sendList(to: Connection, withMembers: ListFrame["withMembers"], length: number): void {
    this.#own(to).push({ withMembers });
    this.listed.add(to);
    this.#length += length;
  }

  /** To everyone, whatever their credit. */
  broadcast(text: string): void {
    this.#share({ type: "all", text }, text.length);
  }

  /** For the users that it names, where they are fed. */
  signal(signal: Signal, scope?: "near"): void {
    this.#share({ ...signal, type: "signal", ...(scope && { scope }) }, signal.text.length);
  }

  /** Of several updates of a member in one tick only the newest is told. */
  presence(change: PresenceChange): void {
    this.#presenceChanged = true;
    const user = change.change === "leave" ? change.user : change.member.id;
    const earlier = this.#updates.get(user);
    if (change.change === "update") {
      if (earlier !== undefined) this.#shared[earlier] = undefined;
      this.#updates.set(user, this.#shared.length);
    } else this.#updates.delete(user);
    this.#share({ type: "presence", ...change }, 64 + (change.change === "leave" ? 0 : lengthOf(change.member)));
  }

  /** The connection begins here: what was said before is not for it. */
  accept(connection: Connection): void {
    this.since.set(connection, this.#shared.length);
  }

  /** It has been sent everything that it may see up to `offset`; the tick's end brings what follows. */
  feed(connection: Connection, offset: number): void {
    this.fedTo.set(connection, offset);
  }

  /** The connection's last frame. */
  close(connection: Connection, code: CodeName, retryAfter: number | undefined): void {
    const { close } = codes[code];
    const bye = { type: "bye", code: close ?? codes.internal.close, reason: code } as const;
    this.leaving.set(connection, encode({ ...bye, ...(retryAfter !== undefined && { retryAfter }) }));
    this.since.delete(connection);
    this.fedTo.delete(connection);
  }

  /** The tick's end: its publications go out, but not to connections without credit. They are stopped where they are. */
  finish(state: RoomState, now: number): void {
    const { log, connections } = state;
    this.range = { after: log.committed, upto: log.head, items: log.staged };
    if (log.head === log.committed && !this.#presenceChanged) return;
    const total = log.totalUpTo(log.committed);
    for (const connection of connections.values()) {
      if (!connection.credit) continue;
      if (connection.stoppedAt === undefined) {
        const fed = this.fedTo.get(connection) ?? log.committed;
        const bytes = fed === log.committed ? total : log.totalUpTo(fed);
        if (connection.mayFeed(fed, bytes)) continue;
        connection.stop(fed);
        this.send(connection, encode(askForAck(state, now, fed)));
      }
      if (this.#presenceChanged && !this.listed.has(connection)) connection.markPresence(true);
    }
  }

  #own(to: Connection): (string | ListFrame)[] {
    const list = this.own.get(to);
    if (list) return list;
    const fresh: (string | ListFrame)[] = [];
    this.own.set(to, fresh);
    return fresh;
  }

  #share(shared: Shared, length: number): void {
    this.#shared.push(shared);
    this.#sharedLength += length;
  }
}

/**
 * What a connection hears that is stopped for lack of credit. Without it, a client that was shown few of the publications
 * that used up its credit would not know that the room waits for it, and would wait until the next heartbeat.
 *
 * @param fed up to where it was sent everything. Never the head: a client whose acknowledgement is on its way would take
 *   that for a gap, ask for everything again, and be ended for asking too often
 */
export function askForAck(
  { heartbeat }: RoomState,
  now: number,
  fed: number,
): Extract<ServerFrame, { type: "heartbeat" }> {
  return { type: "heartbeat", offset: fed, next: Math.max(0, (heartbeat?.due ?? now) - now), ack: true };
}

function lengthOf({ id, name = "", data }: Member): number {
  return id.length + name.length + (data === undefined ? 0 : JSON.stringify(data).length);
}
