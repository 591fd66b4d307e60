/**
 * The session rows: open, drop, resume, take over, expire. Owns the table edgerooms_sessions and the copy of it in
 * memory; the copy is written through and thrown away when a transaction fails. Knows nothing of sockets or frames.
 */
import type { Json, Member } from "../../protocol/frames.ts";
import type { Admission, Credentials } from "../admission.ts";
import type { Grant, Me } from "../definition.ts";

/** A durable session. Changed only by {@link Sessions}. */
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

/** The sessions of one room. */
export class Sessions {
  readonly #sql: SqlStorage;
  readonly #keep: number;
  readonly #byId = new Map<string, Session>();
  readonly #byUser = new Map<string, Set<string>>();
  #dataBytes = 0;
  /** Users of whom anything has changed since somebody asked. */
  #changed = new Set<string>();

  /** @param keep dropped sessions of a user, at most: bounds the rows that one user can cause */
  constructor(sql: SqlStorage, keep: number) {
    this.#sql = sql;
    this.#keep = keep;
    for (const row of sql.exec("SELECT * FROM edgerooms_sessions")) this.#remember(fromRow(row));
  }

  /** Presence data of all sessions together, in UTF-16 units of JSON. */
  get dataBytes(): number {
    return this.#dataBytes;
  }

  /** How many there are, dropped ones included. */
  get size(): number {
    return this.#byId.size;
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

  /** A new session under an id that the server minted. One row written. */
  open(id: string, admission: Admission): Session {
    return this.#write({
      id,
      user: admission.credentials.user,
      generation: 1,
      data: undefined,
      dataAt: 0,
      ...connected(admission),
    });
  }

  /** The session has a new connection: the identity and times of this token and upgrade count from now on. */
  connect(session: Session, admission: Admission): Session {
    return this.#write({ ...session, generation: session.generation + 1, ...connected(admission) });
  }

  /** The connection is lost; the session stays. Returns the user's oldest dropped session if this is one too many. */
  drop(session: Session, now: number): Session | undefined {
    this.change(session, { droppedAt: now });
    const dropped = this.of(session.user).filter((s) => s.droppedAt !== null);
    if (dropped.length <= this.#keep) return undefined;
    return dropped.reduce((a, b) => ((b.droppedAt ?? 0) < (a.droppedAt ?? 0) ? b : a));
  }

  refresh(session: Session, credentials: Credentials): Session {
    const { name, grants, expires } = credentials;
    return this.change(session, { name: name ?? null, grants, expires });
  }

  /** Writes one row. */
  change(session: Session, change: Change): Session {
    return this.#write({ ...session, ...change });
  }

  end(session: Session): void {
    this.#sql.exec("DELETE FROM edgerooms_sessions WHERE id = ?", session.id);
    this.#dataBytes -= lengthOf(this.#byId.get(session.id));
    this.#byId.delete(session.id);
    this.#changed.add(session.user);
    const mine = this.#byUser.get(session.user);
    mine?.delete(session.id);
    if (mine?.size === 0) this.#byUser.delete(session.user);
  }

  /** Users present, each once. */
  *presentUsers(): Generator<string> {
    for (const user of this.#byUser.keys()) if (this.of(user).some((s) => s.present)) yield user;
  }

  /** Users of whom anything has changed since the last time this was asked. */
  takeChanged(): Iterable<string> {
    const changed = this.#changed;
    if (changed.size > 0) this.#changed = new Set();
    return changed;
  }

  #write(session: Session): Session {
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
    this.#remember(session);
    return session;
  }

  #remember(session: Session): void {
    this.#dataBytes += lengthOf(session) - lengthOf(this.#byId.get(session.id));
    this.#byId.set(session.id, session);
    this.#changed.add(session.user);
    const mine = this.#byUser.get(session.user);
    if (mine) mine.add(session.id);
    else this.#byUser.set(session.user, new Set([session.id]));
  }
}

/** What hooks see of a session's connection. */
export function toMe(session: Session, member: Member): Me {
  const { id, grants, requestId, connectedAt } = session;
  return { ...member, session: id, grants, requestId, connectedAt };
}

function lengthOf(session: Session | undefined): number {
  return session?.data === undefined ? 0 : JSON.stringify(session.data).length;
}

function connected({ credentials, requestId, receivedAt }: Admission) {
  const { name, grants, expires } = credentials;
  return { name: name ?? null, grants, expires, requestId, connectedAt: receivedAt, droppedAt: null, present: true };
}

function fromRow(row: Record<string, SqlStorageValue>): Session {
  return {
    id: row["id"] as string,
    user: row["user"] as string,
    name: row["name"] as string | null,
    grants: (row["grants"] as string).split(" ").filter((g) => g !== "") as Grant[],
    requestId: row["request_id"] as string,
    generation: row["generation"] as number,
    connectedAt: row["connected_at"] as number,
    droppedAt: row["dropped_at"] as number | null,
    present: row["present"] === 1,
    expires: row["expires"] as number,
    data: row["data"] === null ? undefined : (JSON.parse(row["data"] as string) as Json),
    dataAt: row["data_at"] as number,
  };
}
