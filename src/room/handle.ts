/** What server-side code can ask of a room, through RPC (`stub.room.publish(...)`) or in the class (`this.room`). */
import type { Json, Member } from "../protocol/frames.ts";
import type { Credentials } from "./admission.ts";
import { toMs, type Duration } from "./definition.ts";
import type { Command, Result } from "./events.ts";

/** How long a drain gives the connections by default. */
const DRAIN_WITHIN: Duration = "30s";

/** What came of a refresh. */
export type Refreshed = { readonly ok: true; readonly expires: number } | Extract<Result, { ok: false }>;

/** A room as a server-side caller sees it. Every method resolves after its effect is durable. */
export interface RoomHandle {
  /** Publishes in the room's own name. Throws when the data is larger than 1 MiB. */
  publish(data: Json, options?: { to?: readonly string[] }): Promise<{ offset: number; at: number }>;
  /** Sends to whoever is connected now. */
  signal(data: Json, options?: { to?: readonly string[] }): Promise<void>;
  members(): Promise<Member[]>;
  /** Ends every session of a user. The same token may join again: to prevent that, {@link RoomHandle.revoke}. */
  kick(user: string): Promise<{ sessions: number }>;
  /** Ends every session of a user and refuses tokens issued before now. */
  revoke(user: string): Promise<{ sessions: number }>;
  /** Takes no new connections, tells everyone to go, and closes who is left after `within` (default "30s"). */
  drain(within?: Duration): Promise<{ until: number; connections: number }>;
  /** A session's next token, verified by the caller. The connection lives on with what this token allows. */
  refresh(session: string, credentials: Credentials): Promise<Refreshed>;
}

/**
 * A handle that hands commands to a room.
 *
 * @param submit resolves with the command's result once its tick is committed
 */
export function createHandle(submit: (command: Command) => Promise<Result>, now: () => number): RoomHandle {
  const ask = async <T>(command: Command): Promise<T> => {
    const result = await submit(command);
    if (result.ok) return result.value as T;
    throw new Error(result.message ?? result.code);
  };
  return {
    publish: (data, options = {}) => ask({ type: "publish", data, ...options }),
    signal: (data, options = {}) => ask({ type: "signal", data, ...options }),
    members: () => ask({ type: "members" }),
    kick: (user) => ask({ type: "kick", user }),
    revoke: (user) => ask({ type: "revoke", user, before: now() }),
    drain: (within = DRAIN_WITHIN) => ask({ type: "drain", within: toMs(within, "drain") }),
    refresh: async (session, credentials) => {
      const result = await submit({ type: "refresh", session, credentials });
      return result.ok ? { ok: true, expires: credentials.expires } : result;
    },
  };
}
