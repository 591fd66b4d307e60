/**
 * The session rows: open, drop, resume, take over, expire. Owns the table edgerooms_sessions and the copy of it in memory.
 * Changes reach the table once, when the tick commits; the copy is thrown away when a transaction fails. Knows nothing of
 * sockets or frames.
 */
import { MAX_PRESENCE_BYTES } from "../../protocol/limits.ts";
import type { Json, Member } from "../../protocol/frames.ts";
import type { Admission, Credentials } from "../admission.ts";
import type { Grant, Me, PresenceKind } from "../definition.ts";
import { Agenda } from "../rules/agenda.ts";
import { sessionDeadline, type Windows } from "../rules/deadlines.ts";

/** A durable session. Only {@link Sessions} changes it. */
export interface Session {
  readonly id: string;
  readonly user: string;
  readonly name: string | null;
  readonly grants: readonly Grant[];
  readonly requestId: string;
  /** Counts connections of this session; frames of an older one are stale. */
  readonly generation: number;
  readonly connectedAt: number;
  /** When the connection was lost; `null` while it is connected. */
  readonly droppedAt: number | null;
  /** Whether the others have been told of it and not yet of its end. */
  readonly present: boolean;
  readonly expires: number;
  readonly data: Json | undefined;
  readonly dataAt: number;
}

type Change = { -readonly [K in keyof Omit<Session, "id" | "user">]?: Session[K] };

/** What bounds and ends sessions. */
export interface SessionRules extends Windows {
  /** Dropped sessions of a user, at most: bounds the rows that one user can cause. */
  readonly maxConnectionsPerUser: number;
  readonly presence: PresenceKind;
}

/** UTF-16 units of presence data of everyone together: every welcome carries all of it. */
const MAX_ROOM_PRESENCE = 524_288;
/** UTF-16 units of presence data that the sessions of one user hold together: four times what one of them may set. */
const MAX_USER_PRESENCE = 4 * MAX_PRESENCE_BYTES;

/** The sessions of one room. */
export class Sessions {
  readonly #sql: SqlStorage;
  readonly #rules: SessionRules;
  readonly #byId = new Map<string, Session>();
  readonly #byUser = new Map<string, Set<string>>();
  /** How many present sessions each user has who has any. Counted: a user can have thousands, and each is loaded. */
  readonly #present = new Map<string, number>();
  readonly #agenda = new Agenda("session");
  /** Sessions whose rows are out of date. */
  readonly #unwritten = new Set<string>();
  /** Counts changes: who holds a sum over all sessions knows by it when that is out of date. */
  #changes = 0;
  #dataLength = 0;
  #newestAt = 0;
  /** Users with a change that has not been taken yet; only where a list is kept, which takes them. */
  #changed = new Set<string>();

  constructor(sql: SqlStorage, rules: SessionRules) {
    this.#sql = sql;
    this.#rules = rules;
    for (const row of sql.exec("SELECT * FROM edgerooms_sessions")) this.#remember(fromRow(row));
  }

  /** How many there are, dropped ones included. */
  get size(): number {
    return this.#byId.size;
  }

  /** How often any of them has changed. */
  get changes(): number {
    return this.#changes;
  }

  /** How many users are present. */
  get present(): number {
    return this.#present.size;
  }

  /** When a session last opened, dropped or set presence, in ms since the epoch. */
  get newestAt(): number {
    return this.#newestAt;
  }

  get(id: string): Session | undefined {
    return this.#byId.get(id);
  }

  all(): IterableIterator<Session> {
    return this.#byId.values();
  }

  /** The sessions of a user, by id: an order that waking from storage cannot change. */
  of(user: string): Session[] {
    const ids = this.#byUser.get(user);
    if (!ids) return [];
    const ordered = ids.size === 1 ? ids : [...ids].toSorted();
    return [...ordered].flatMap((id) => this.#byId.get(id) ?? []);
  }

  /** The session `id` if it is this user's; another user's id is worth nothing. */
  owned(id: string, user: string): Session | undefined {
    const session = this.#byId.get(id);
    return session?.user === user ? session : undefined;
  }

  /** When the next session needs attention; those of `except` left out. */
  nextDeadline(except?: ReadonlyMap<string, unknown>): number | undefined {
    return this.#agenda.next(except);
  }

  /** Sessions that need attention at `now`: at most `limit`, those of `except` left out. */
  due(now: number, limit: number, except?: ReadonlyMap<string, unknown>): string[] {
    return this.#agenda.due(now, limit, except).map(({ key }) => key);
  }

  /**
   * A session under an id that the server minted.
   *
   * @param generation of its connection. Default: 1, for a new one; one that comes from elsewhere goes on with its own
   */
  open(id: string, admission: Admission, generation = 1): Session {
    const { user } = admission.credentials;
    return this.#change({ id, user, generation, data: undefined, dataAt: 0, ...connected(admission) });
  }

  /** The session has a new connection: the identity and times of this token and upgrade count from now on. */
  connect(session: Session, admission: Admission, generation = session.generation + 1): Session {
    return this.#change({ ...session, generation, ...connected(admission) });
  }

  /** The connection is lost; the session stays. Returns the user's oldest dropped session if this is one too many. */
  drop(session: Session, now: number): Session | undefined {
    this.change(session, { droppedAt: now });
    const dropped = this.of(session.user).filter((s) => s.droppedAt !== null);
    if (dropped.length <= this.#rules.maxConnectionsPerUser) return undefined;
    return dropped.reduce((a, b) => ((b.droppedAt ?? 0) < (a.droppedAt ?? 0) ? b : a));
  }

  /** A new token for a session. */
  refresh(session: Session, { name, grants, expires }: Credentials): Session {
    return this.change(session, { name: name ?? null, grants, expires });
  }

  /** The others have been told that the session's drop was a leave: what it showed of its member is over. */
  hide(session: Session): Session {
    return this.change(session, { present: false, data: undefined });
  }

  /** Whether the room can hold this presence data. Less than before, or none, always fits. */
  canShow(session: Session, data: Json): boolean {
    const before = lengthOf(session.data);
    const after = lengthOf(data);
    return after <= before || this.#dataLength - before + after <= MAX_ROOM_PRESENCE;
  }

  /** Sets presence data. Past the bound of a user, what its other sessions said longest ago is forgotten. */
  show(session: Session, data: Json, now: number): Session {
    const others = this.of(session.user).filter((s) => s.id !== session.id && s.data !== undefined);
    let length = lengthOf(data) + others.reduce((sum, s) => sum + lengthOf(s.data), 0);
    for (const other of others.toSorted((a, b) => a.dataAt - b.dataAt)) {
      if (length <= MAX_USER_PRESENCE) break;
      length -= lengthOf(other.data);
      this.change(other, { data: undefined });
    }
    // Later than every other session's, even within one millisecond: the newest speaks for the member.
    const dataAt = this.of(session.user).reduce((latest, s) => Math.max(latest, s.dataAt + 1), now);
    return this.change(session, { data, dataAt });
  }

  /** Changes a session. */
  change(session: Session, change: Change): Session {
    return this.#change({ ...session, ...change });
  }

  /** The session is over. */
  end(session: Session): void {
    const before = this.#byId.get(session.id);
    this.#unwritten.add(session.id);
    this.#dataLength -= lengthOf(before?.data);
    this.#byId.delete(session.id);
    this.#agenda.delete(session.id);
    const mine = this.#byUser.get(session.user);
    mine?.delete(session.id);
    if (mine?.size === 0) this.#byUser.delete(session.user);
    this.#noteChange(session.user, -presence(before));
  }

  /** Users present, each once. */
  presentUsers(): Iterable<string> {
    return this.#present.keys();
  }

  /** Whether a user is present through any session. */
  isPresent(user: string): boolean {
    return this.#present.has(user);
  }

  /** Users with a change since the last call. */
  takeChanged(): Iterable<string> {
    const changed = this.#changed;
    if (changed.size > 0) this.#changed = new Set();
    return changed;
  }

  /** Writes what has changed: one row a session, however often it changed. Runs inside the tick's transaction. */
  commit(): void {
    for (const id of this.#unwritten) {
      const session = this.#byId.get(id);
      if (session) this.#write(session);
      else this.#sql.exec("DELETE FROM edgerooms_sessions WHERE id = ?", id);
    }
    this.#unwritten.clear();
  }

  #change(session: Session): Session {
    this.#unwritten.add(session.id);
    this.#remember(session);
    return session;
  }

  #write(session: Session): void {
    this.#sql.exec(
      `INSERT OR REPLACE INTO edgerooms_sessions (id, user, name, grants, request_id, generation, connected_at,
         dropped_at, present, expires, data, data_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      session.id,
      session.user,
      session.name,
      session.grants.join(" "),
      session.requestId,
      session.generation,
      session.connectedAt,
      session.droppedAt,
      session.present ? 1 : 0,
      session.expires,
      session.data === undefined ? null : JSON.stringify(session.data),
      session.dataAt,
    );
  }

  #remember(session: Session): void {
    const { id, user, connectedAt, droppedAt, dataAt } = session;
    const before = this.#byId.get(id);
    this.#dataLength += lengthOf(session.data) - lengthOf(before?.data);
    this.#byId.set(id, session);
    this.#agenda.set(id, sessionDeadline(session, this.#rules));
    this.#newestAt = Math.max(this.#newestAt, connectedAt, droppedAt ?? 0, dataAt);
    const mine = this.#byUser.get(user);
    if (mine) mine.add(id);
    else this.#byUser.set(user, new Set([id]));
    this.#noteChange(user, presence(session) - presence(before));
  }

  /** @param more present sessions of the user than before */
  #noteChange(user: string, more: number): void {
    this.#changes++;
    const present = (this.#present.get(user) ?? 0) + more;
    if (present > 0) this.#present.set(user, present);
    else this.#present.delete(user);
    if (this.#rules.presence === "list") this.#changed.add(user);
  }
}

/** What hooks see of a session's connection. */
export function toMe(session: Session, member: Member): Me {
  const { id, grants, requestId, connectedAt } = session;
  return { ...member, session: id, grants, requestId, connectedAt };
}

/** 1 for a session that is present, 0 for one that is not or is not there. */
function presence(session: Session | undefined): 0 | 1 {
  return session?.present ? 1 : 0;
}

/** `null` is how a member takes back what it showed: that must always fit. */
function lengthOf(data: Json | undefined): number {
  return data === undefined || data === null ? 0 : JSON.stringify(data).length;
}

function connected({ credentials, requestId, receivedAt }: Admission) {
  const { name, grants, expires } = credentials;
  return { name: name ?? null, grants, expires, requestId, connectedAt: receivedAt, droppedAt: null, present: true };
}

function fromRow(row: Record<string, SqlStorageValue>): Session {
  const isPresent = row["present"] === 1;
  return {
    id: row["id"] as string,
    user: row["user"] as string,
    name: row["name"] as string | null,
    grants: (row["grants"] as string).split(" ").filter((g) => g !== "") as Grant[],
    requestId: row["request_id"] as string,
    generation: row["generation"] as number,
    connectedAt: row["connected_at"] as number,
    droppedAt: row["dropped_at"] as number | null,
    present: isPresent,
    expires: row["expires"] as number,
    // Up to schema 3, sessions that were not present any more kept theirs.
    data: row["data"] === null || !isPresent ? undefined : (JSON.parse(row["data"] as string) as Json),
    dataAt: row["data_at"] as number,
  };
}
