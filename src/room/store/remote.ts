/**
 * Sessions whose connections are with relays, and the relays: what the room must know to say who is here, whose a session is
 * and which refs still count. Owns edgerooms_remote and edgerooms_relays, which come to be with the first relay. The rows of
 * sessions stay in storage, for there may be a hundred thousand; in memory are counts.
 */
import type { RelayAddress, SessionKey } from "../relaying.ts";
import type { Attempt } from "../rules/connection.ts";
import { Tally } from "../rules/tally.ts";
import type { Meta } from "./meta.ts";

/** A session of a member who is connected to a relay, or was. */
export interface RemoteSession extends SessionKey {
  readonly name: string | null;
  readonly relay: number;
  /** Whether the others have been told of it and not yet of its end. */
  readonly present: boolean;
  readonly attempt: Attempt | undefined;
  /** Counts connections of this session, wherever they were. */
  readonly generation: number;
  /** Whether it ever published: then its refs count for as long as it lasts. */
  readonly published: boolean;
}

/** A relay that has members, or had. */
export interface KnownRelay extends RelayAddress {
  readonly id: number;
  /** Whether it is to be told what happens. */
  readonly attached: boolean;
}

/** Members who are with the room itself. */
interface Here {
  isPresent(user: string): boolean;
  presentUsers(): Iterable<string>;
  watch(watcher: (user: string, isPresent: boolean) => void): void;
}

/** The members elsewhere of one room. */
export class Remote {
  readonly #sql: SqlStorage;
  readonly #meta: Meta;
  readonly #here: Here;
  #relays: Map<string, KnownRelay> | undefined;
  #listed: readonly KnownRelay[] | undefined;
  /** By relay; made when somebody asks, because it reads every session. */
  #tallies: Map<number, Tally> | undefined;
  #users: number | undefined;
  /** Of those, users who are with the room itself as well. */
  #both: number | undefined;
  /** Connections of each relay, as it said last. After a wake the sessions stand for those of one that has not said yet. */
  readonly #connections = new Map<number, number>();
  /** When the room last had a reason to report that it knows of by its relays only, in ms since the epoch. */
  heardAt: number | undefined;

  /** @param here members who are with the room itself */
  constructor(sql: SqlStorage, meta: Meta, here: Here) {
    this.#sql = sql;
    this.#meta = meta;
    this.#here = here;
    here.watch((user, isPresent) => {
      if (this.#both !== undefined && this.isPresent(user)) this.#both += isPresent ? 1 : -1;
    });
  }

  /** Whether the room has or had relays: without, nothing here reads anything. */
  get isUsed(): boolean {
    return this.#meta.get("relays") !== undefined;
  }

  /** Every relay, the oldest first. The same list as long as nothing about them changes. */
  get relays(): readonly KnownRelay[] {
    return (this.#listed ??= [...this.#known.values()]);
  }

  /** The relay of a session. */
  relayOf({ relay }: RemoteSession): KnownRelay | undefined {
    return this.relays.find(({ id }) => id === relay);
  }

  /** How many users are present through a relay. */
  get present(): number {
    if (!this.isUsed) return 0;
    return (this.#users ??= this.#count("SELECT count(DISTINCT user) AS n FROM edgerooms_remote WHERE present = 1"));
  }

  /** How many users are present through relays only. Counted: to look for each is a query, and this is asked for all the time. */
  get elsewhere(): number {
    if (!this.isUsed) return 0;
    this.#both ??= [...this.#here.presentUsers()].filter((user) => this.isPresent(user)).length;
    return this.present - this.#both;
  }

  /** How many sessions there are, those that may be resumed included. */
  get size(): number {
    return this.isUsed ? [...this.#counted.values()].reduce((sum, tally) => sum + tally.size, 0) : 0;
  }

  /** Connections of all relays. */
  get connected(): number {
    const attached = this.relays.filter((relay) => relay.attached);
    return attached.reduce((sum, { id }) => sum + this.connectionsOf(id), 0);
  }

  /** Connections of a relay. */
  connectionsOf(relay: number): number {
    return this.#connections.get(relay) ?? this.#counted.get(relay)?.size ?? 0;
  }

  /** Connections of all relays, by region; of a relay that has not said so since the room woke, its sessions. */
  get byRegion(): ReadonlyMap<string, number> {
    const regions = new Map<string, number>();
    for (const { id, region, attached } of this.relays)
      if (attached) regions.set(region, (regions.get(region) ?? 0) + this.connectionsOf(id));
    return regions;
  }

  /** Whether anybody is connected to a relay. */
  get isAttached(): boolean {
    return this.isUsed && this.relays.some(({ attached }) => attached);
  }

  /** A relay has said how many connections it has. */
  hear(relay: number, connections: number): void {
    this.#connections.set(relay, connections);
  }

  /** One more is about to connect to a relay, which says so itself when it next reports. */
  joined(relay: number): void {
    const known = this.#connections.get(relay);
    if (known !== undefined) this.#connections.set(relay, known + 1);
  }

  /** The relay, which is attached from here on. */
  attach({ binding, name, region }: RelayAddress): KnownRelay {
    const known = this.#known.get(name);
    if (known?.attached && known.binding === binding && known.region === region) return known;
    this.#create();
    const id = known?.id ?? this.#count("SELECT coalesce(max(id), 0) + 1 AS n FROM edgerooms_relays");
    const relay: KnownRelay = { id, binding, name, region, attached: true };
    this.#keep(relay);
    return relay;
  }

  /** Nobody is connected to the relay any more: it need not be told what happens. One without sessions is forgotten. */
  detach(name: string): void {
    const relay = this.#known.get(name);
    if (!relay) return;
    if ((this.#counted.get(relay.id)?.size ?? 0) > 0) {
      if (relay.attached) this.#keep({ ...relay, attached: false });
      return;
    }
    this.#known.delete(name);
    this.#listed = undefined;
    this.#sql.exec("DELETE FROM edgerooms_relays WHERE id = ?", relay.id);
  }

  /** A session of a user; another user's is none. */
  find({ user, session }: SessionKey): RemoteSession | undefined {
    if (!this.isUsed) return undefined;
    const query = "SELECT * FROM edgerooms_remote WHERE user = ? AND session = ?";
    const [row] = this.#sql.exec(query, user, session).toArray();
    return row && fromRow(row);
  }

  /** Sessions of a user. */
  of(user: string): RemoteSession[] {
    if (!this.isUsed) return [];
    return this.#sql.exec("SELECT * FROM edgerooms_remote WHERE user = ?", user).toArray().map(fromRow);
  }

  /** Sessions of a relay. Reads all there are. */
  at(relay: number): RemoteSession[] {
    return this.#sql.exec("SELECT * FROM edgerooms_remote WHERE relay = ?", relay).toArray().map(fromRow);
  }

  /** The user of a session. Reads all there are: for operators, who know no user. */
  userOf(session: string): string | undefined {
    if (!this.isUsed) return undefined;
    const [row] = this.#sql.exec("SELECT user FROM edgerooms_remote WHERE session = ?", session).toArray();
    return row?.["user"] as string | undefined;
  }

  isPresent(user: string): boolean {
    if (!this.isUsed) return false;
    const query = "SELECT 1 FROM edgerooms_remote WHERE user = ? AND present = 1 LIMIT 1";
    return this.#sql.exec(query, user).toArray().length > 0;
  }

  /** Whether a session is here that has published. */
  hasPublished(session: string): boolean {
    if (!this.isUsed) return false;
    const query = "SELECT 1 FROM edgerooms_remote WHERE session = ? AND published = 1";
    return this.#sql.exec(query, session).toArray().length > 0;
  }

  /** Users who are present, by id in order of code points: at most `limit` after one. */
  page(after: string, limit: number): { readonly id: string; readonly name?: string }[] {
    if (!this.isUsed) return [];
    const rows = this.#sql.exec(
      `SELECT user, max(name) AS name FROM edgerooms_remote WHERE user > ? AND present = 1 GROUP BY user ORDER BY user LIMIT ?`,
      after,
      limit,
    );
    return rows
      .toArray()
      .map(({ user, name }) => ({ id: user as string, ...(name !== null && { name: name as string }) }));
  }

  /** Sessions by user and id in order of code points: at most `limit` after a place, whether or not there is one. */
  sessionPage({ user, session }: SessionKey, limit: number): RemoteSession[] {
    if (!this.isUsed) return [];
    const query = "SELECT * FROM edgerooms_remote WHERE (user, session) > (?, ?) ORDER BY user, session LIMIT ?";
    return this.#sql.exec(query, user, session, limit).toArray().map(fromRow);
  }

  /** What a relay's sessions come to, as the room knows them. */
  digest(relay: number): string {
    return this.#counted.get(relay)?.digest ?? new Tally().digest;
  }

  /** A session is with a relay from here on, new or from elsewhere. One row. */
  put(session: RemoteSession): void {
    const before = this.find(session);
    const isNews = session.present && !this.isPresent(session.user);
    this.#create();
    this.#recount(before, session);
    if (isNews) this.#comeOrGo(session.user, 1);
    const { user, name, relay, present, attempt, generation, published } = session;
    this.#sql.exec(
      `INSERT OR REPLACE INTO edgerooms_remote (user, session, name, relay, present, attempt, generation, published)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      user,
      session.session,
      name,
      relay,
      present ? 1 : 0,
      attempt ? `${attempt.client} ${attempt.nth}` : null,
      generation,
      published ? 1 : 0,
    );
  }

  /** It has published. One row, and one of an index, once. */
  publishes(session: RemoteSession): void {
    if (!session.published) this.put({ ...session, published: true });
  }

  /** The others were told that it is not here any more. */
  hide(session: RemoteSession): void {
    if (!session.present) return;
    // Before it changes: what was not counted yet would not be what it was.
    void this.present;
    this.put({ ...session, present: false });
    if (!this.isPresent(session.user)) this.#comeOrGo(session.user, -1);
  }

  /** The session is over. */
  end(session: RemoteSession): void {
    this.hide(session);
    this.#recount(this.find(session), undefined);
    this.#sql.exec("DELETE FROM edgerooms_remote WHERE user = ? AND session = ?", session.user, session.session);
    const relay = this.relayOf(session);
    if (relay && !relay.attached) this.detach(relay.name);
  }

  get #known(): Map<string, KnownRelay> {
    if (this.#relays) return this.#relays;
    const rows = this.isUsed ? this.#sql.exec("SELECT * FROM edgerooms_relays ORDER BY id").toArray() : [];
    return (this.#relays = new Map(rows.map((row) => [row["name"] as string, relayOf(row)])));
  }

  get #counted(): Map<number, Tally> {
    if (this.#tallies) return this.#tallies;
    this.#tallies = new Map();
    if (!this.isUsed) return this.#tallies;
    for (const row of this.#sql.exec("SELECT relay, session, present FROM edgerooms_remote")) {
      this.#tallyOf(row["relay"] as number).toggle(row["session"] as string, row["present"] === 1, 1);
    }
    return this.#tallies;
  }

  /** A user has its first present session, or none any more. */
  #comeOrGo(user: string, by: 1 | -1): void {
    this.#users = this.present + by;
    if (this.#both !== undefined && this.#here.isPresent(user)) this.#both += by;
  }

  #recount(before: RemoteSession | undefined, after: RemoteSession | undefined): void {
    // Not before they were counted: then storage says it.
    if (!this.#tallies) return;
    if (before) this.#tallyOf(before.relay).toggle(before.session, before.present, -1);
    if (after) this.#tallyOf(after.relay).toggle(after.session, after.present, 1);
  }

  #tallyOf(relay: number): Tally {
    const all = (this.#tallies ??= new Map());
    const known = all.get(relay);
    if (known) return known;
    const fresh = new Tally();
    all.set(relay, fresh);
    return fresh;
  }

  #keep(relay: KnownRelay): void {
    const { id, name, binding, region, attached } = relay;
    this.#sql.exec(
      "INSERT OR REPLACE INTO edgerooms_relays (id, name, binding, region, attached) VALUES (?, ?, ?, ?, ?)",
      id,
      name,
      binding,
      region,
      attached ? 1 : 0,
    );
    this.#known.set(name, relay);
    this.#listed = undefined;
  }

  #count(query: string): number {
    return this.#sql.exec<{ n: number }>(query).one().n;
  }

  /** Rooms without relays have none of this, and pay for none of it. */
  #create(): void {
    if (this.isUsed) return;
    this.#meta.set("relays", "1");
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS edgerooms_relays (
      id INTEGER PRIMARY KEY, name TEXT NOT NULL, binding TEXT NOT NULL, region TEXT NOT NULL, attached INTEGER NOT NULL)`);
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS edgerooms_remote (
      user TEXT NOT NULL, session TEXT NOT NULL, name TEXT, relay INTEGER NOT NULL, present INTEGER NOT NULL,
      attempt TEXT, generation INTEGER NOT NULL, published INTEGER NOT NULL, PRIMARY KEY (user, session)) WITHOUT ROWID`);
    // Only of those that publish: a viewer costs no row of it.
    this.#sql.exec("CREATE INDEX IF NOT EXISTS edgerooms_publishers ON edgerooms_remote (session) WHERE published = 1");
  }
}

function relayOf(row: Record<string, SqlStorageValue>): KnownRelay {
  return {
    id: row["id"] as number,
    name: row["name"] as string,
    binding: row["binding"] as string,
    region: row["region"] as string,
    attached: row["attached"] === 1,
  };
}

function fromRow(row: Record<string, SqlStorageValue>): RemoteSession {
  const [client, nth] = ((row["attempt"] as string | null) ?? "").split(" ");
  return {
    user: row["user"] as string,
    session: row["session"] as string,
    name: row["name"] as string | null,
    relay: row["relay"] as number,
    present: row["present"] === 1,
    attempt: client && nth ? { client, nth: Number(nth) } : undefined,
    generation: row["generation"] as number,
    published: row["published"] === 1,
  };
}
