/**
 * Members made from sessions: who is here, and what a change of one session means to the others. A member is present
 * through one or more sessions and is announced once, whatever its sessions do. Pure but for the reads it is handed.
 */
import type { Member } from "../../protocol/frames.ts";
import type { Remote } from "./remote.ts";
import type { Session, Sessions } from "./sessions.ts";

/**
 * A {@link Member} as it crosses RPC, whose types cannot carry the endless recursion of Json. `data` is JSON all the same.
 */
export type Present = Omit<Member, "data"> & { readonly data?: object | string | number | boolean | null };

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

/** Members elsewhere that the list of everyone has, at most: a hook that asks must not read a hundred thousand. */
const MOST_ELSEWHERE = 1_000;

/** Where members are: with connections of the room's own, and with relays. */
interface Places {
  readonly sessions: Sessions;
  readonly remote: Remote;
}

/** Everyone who is here, by id; of those who are with relays the first 1,000. */
export function everyone({ sessions, remote }: Places): Member[] {
  if (!remote.isUsed) return members(sessions);
  const elsewhere = remote.page("", MOST_ELSEWHERE).filter(({ id }) => !sessions.isPresent(id));
  return [...members(sessions), ...elsewhere].toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

/** Members after one, by id in order of code points: at most `limit`, wherever they are connected. */
export function page({ sessions, remote }: Places, after: string, limit: number): Member[] {
  const here = [...sessions.presentUsers()].filter((user) => byCodePoint(user, after) > 0).toSorted(byCodePoint);
  const elsewhere = remote.page(after, limit).filter(({ id }) => !sessions.isPresent(id));
  const known = here.slice(0, limit).map((user) => member(sessions, user));
  return [...known, ...elsewhere].toSorted((a, b) => byCodePoint(a.id, b.id)).slice(0, limit);
}

/** As SQLite orders text, and unlike `<`, which goes by UTF-16 code units. */
function byCodePoint(a: string, b: string): number {
  let i = 0;
  while (i < a.length && a.charCodeAt(i) === b.charCodeAt(i)) i++;
  // Halves of a pair come after all that is no half: units from 0xE000 on are higher, and their code points lower.
  const order = (unit: number) => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit);
  return i === a.length || i === b.length ? a.length - b.length : order(a.charCodeAt(i)) - order(b.charCodeAt(i));
}

/**
 * The list of members as text, kept up to date: every welcome carries it. It is joined once for all who come in a tick,
 * because joining it for each of thousands would cost more than all the rest (23 s of CPU for 10,000, measured).
 */
export class Roster {
  readonly #sessions: Sessions;
  readonly #texts = new Map<string, string>();
  /** Users of `#texts`, in order. */
  readonly #users: string[] = [];
  #text: string | undefined;
  /** UTF-16 units of `#texts` together. */
  #length = 0;

  constructor(sessions: Sessions) {
    this.#sessions = sessions;
  }

  /** What {@link members} would give, as JSON. */
  get text(): string {
    this.#catchUp();
    return (this.#text ??= `[${this.#users.map((user) => this.#texts.get(user)).join(",")}]`);
  }

  /** UTF-16 units of {@link text}, about, without writing it. */
  get length(): number {
    this.#catchUp();
    return this.#length + this.#users.length + 1;
  }

  /** Not before somebody asks: most wakes are for a heartbeat, which has nothing to do with it. */
  #catchUp(): void {
    const changed = this.#sessions.takeChanged();
    if (this.#users.length > 0) {
      for (const user of changed) this.#update(user);
      return;
    }
    // From nothing: sorting all at once is cheaper than finding each its place.
    this.#users.push(...[...this.#sessions.presentUsers()].toSorted());
    for (const user of this.#users) {
      const text = JSON.stringify(member(this.#sessions, user));
      this.#texts.set(user, text);
      this.#length += text.length;
    }
    this.#text = undefined;
  }

  #update(user: string): void {
    const before = this.#texts.get(user);
    const after = this.#sessions.isPresent(user) ? JSON.stringify(member(this.#sessions, user)) : undefined;
    if (before === after) return;
    this.#text = undefined;
    this.#length += (after?.length ?? 0) - (before?.length ?? 0);
    const place = placeOf(this.#users, user);
    if (after === undefined) {
      this.#users.splice(place, 1);
      this.#texts.delete(user);
      return;
    }
    if (before === undefined) this.#users.splice(place, 0, user);
    this.#texts.set(user, after);
  }
}

/** Where a text stands, or would stand, in a list in order. */
function placeOf(list: readonly string[], text: string): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((list[middle] ?? "") < text) low = middle + 1;
    else high = middle;
  }
  return low;
}
