/**
 * Members made from sessions: who is here, and what a change of one session means to the others. A member is present
 * through one or more sessions and is announced once, whatever its sessions do. Pure but for the reads it is handed.
 */
import type { Member } from "../protocol/frames.ts";
import type { Session, Sessions } from "./sessions.ts";

/** A user as the others see it: name and data from the present session that spoke last. */
export function memberOf(user: string, sessions: readonly Session[]): Member {
  let named: Session | undefined;
  let spoke: Session | undefined;
  for (const session of sessions) {
    if (session.name !== null && (!named || session.connectedAt >= named.connectedAt)) named = session;
    if (session.data !== undefined && (!spoke || session.dataAt >= spoke.dataAt)) spoke = session;
  }
  return {
    id: user,
    ...(named?.name != null && { name: named.name }),
    ...(spoke?.data !== undefined && { data: spoke.data }),
  };
}

/** Whether a user is present through any session but `except`. */
export function isPresent(sessions: Sessions, user: string, except?: string): boolean {
  return sessions.of(user).some((s) => s.present && s.id !== except);
}

/** The user as a member, seen through its present sessions (all of them when none is present any more). */
export function member(sessions: Sessions, user: string): Member {
  const mine = sessions.of(user);
  const present = mine.filter((s) => s.present);
  return memberOf(user, present.length > 0 ? present : mine);
}

/** Everyone who is here, by id: an order that waking from storage cannot change. */
export function members(sessions: Sessions): Member[] {
  return [...sessions.presentUsers()].toSorted().map((user) => member(sessions, user));
}
