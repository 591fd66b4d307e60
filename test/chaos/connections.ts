/**
 * Judges what connections carry, frame by frame, against the truth: a `pub` has exactly what its user may see of the
 * offsets it covers and begins where the one before ended, an ack names what was really stored, nobody comes who is
 * here. (test/sim/oracle judges the same without a truth; with one, a loss shows at the first frame that hides it.)
 */
import type { ClientFrame, ServerFrame } from "../../src/protocol/frames.ts";
import { defineRoom } from "../../src/room/definition.ts";
import type { Event } from "./record.ts";
import { addressees, lengthOf } from "./saying.ts";
import { Calls } from "./calls.ts";
import { Endings } from "./endings.ts";
import { isLarge, settingsOf } from "./rooms.ts";
import { Truth } from "./truth.ts";
import type { About, Verdict } from "./verdict.ts";

type Frame<T extends ServerFrame["type"]> = Extract<ServerFrame, { type: T }>;
type Dial = Extract<Event, { what: "dial" }>;

/** The log holds 16 MiB at most, whatever it should retain; a little less counts as that much. */
const LOG_BYTES = 15 * 1_048_576;
/** How often one client takes a session from another, at most: the other may not have been told the first time. */
const MOST_TAKEN = 3;
/** Dropped sessions that a user can have; one more ends the oldest. */
const DROPPED_PER_USER = defineRoom({}).maxConnectionsPerUser;

/** What one connection has been told. */
interface Connection {
  readonly dial: Dial;
  readonly truth: Truth;
  session: string | undefined;
  /** Where the last pub or snapshot ended; before the first, where it resumed from. */
  told: number | undefined;
  /** Offsets it asked to continue from in band, and has not been told from yet. */
  readonly syncs: number[];
  members: Set<string>;
  readonly calls: Calls;
  /** The epoch that positions are told in. */
  epoch: string;
  /** The relay that it was opened at. */
  relay: string | undefined;
  expires: number;
  over: boolean;
}

/** Every connection of a run. */
export class Connections {
  readonly #verdict: Verdict;
  readonly #truths: ReadonlyMap<string, Truth>;
  readonly #byName = new Map<string, Connection>();
  readonly #owners = new Map<string, string>();
  /** The client that holds each session, and how often one took it from another: a copied tab, and who was copied. */
  readonly #holders = new Map<string, string>();
  readonly #taken = new Map<string, number>();
  readonly #sessionsOf = new Map<string, number>();
  /** What was sent under a session's ref, by whom. Two clients can have used one: before and after a takeover. */
  readonly #sent = new Map<string, { client: string; data: string; at: number }[]>();
  /** Everyone who ever wanted in, by room; and those who went through relays. */
  readonly #users = new Map<string, Set<string>>();
  readonly #relayed = new Set<string>();
  readonly #ackedAt = new Map<string, number>();
  readonly #offsetOf = new Map<string, number>();
  readonly endings = new Endings();
  /** Clients that bring no new token while connected: their connections end when the welcome said. */
  readonly mortal = new Set<string>();

  constructor(truths: ReadonlyMap<string, Truth>, verdict: Verdict) {
    this.#truths = truths;
    this.#verdict = verdict;
  }

  dialled(dial: Dial): void {
    const truth = this.#truths.get(dial.room);
    if (!truth) return;
    const fresh = { told: undefined, syncs: [], members: new Set<string>(), expires: Infinity, over: false };
    const unknown = { session: undefined, epoch: "", relay: undefined };
    this.#byName.set(dial.conn, { dial, truth, ...fresh, ...unknown, calls: new Calls() });
    this.#users.set(dial.room, (this.#users.get(dial.room) ?? new Set()).add(dial.user));
    const { epoch, offset = 0 } = dial;
    if (epoch !== undefined && offset > truth.epochs.endOf(epoch)) {
      const text = `${dial.conn}: asks for ${offset} of an epoch that ended at ${truth.epochs.endOf(epoch)}`;
      this.#verdict.violated("resume", text, { client: dial.client, conn: dial.conn, room: dial.room });
    }
    this.#verdict.count("dialled");
  }

  /** The session a connection has been welcomed to. */
  sessionOf(conn: string): string | undefined {
    return this.#byName.get(conn)?.session;
  }

  /** Up to where a connection was told. */
  toldOf(conn: string): number {
    return this.#byName.get(conn)?.told ?? 0;
  }

  /** An operator ends the sessions of a user, or has ended them. */
  operated(event: Extract<Event, { what: "ending" | "ended" }>): void {
    const sessions = [...this.#byName.values()].flatMap(({ dial, session }) =>
      dial.user === event.user && dial.room === event.room && session !== undefined ? [session] : [],
    );
    this.endings.operate(event, new Set(sessions));
  }

  sent(conn: string, frames: readonly ClientFrame[], at: number): void {
    const connection = this.#byName.get(conn);
    if (!connection) return;
    const { dial, session = "" } = connection;
    for (const frame of frames) {
      if (frame.type === "call") connection.calls.asked(frame);
      if (frame.type === "sync") connection.syncs.push(frame.offset);
      if (frame.type === "leave") this.endings.leave(session, dial.user);
      if (frame.type !== "publish") continue;
      const key = `${session} ${frame.ref}`;
      const before = this.#sent.get(key) ?? [];
      const data = frame.data as string;
      if (!before.some((sent) => sent.client === dial.client && sent.data === data)) {
        this.#sent.set(key, [...before, { client: dial.client, data, at }]);
      }
    }
  }

  heard(conn: string, frames: readonly ServerFrame[], at: number): void {
    const connection = this.#byName.get(conn);
    if (!connection) return;
    for (const frame of frames) {
      const about = { client: connection.dial.client, conn, room: connection.dial.room };
      if (connection.over) {
        this.#verdict.violated("order", `${conn} was told ${frame.type} after bye`, about);
        return;
      }
      if (frame.type === "welcome") this.#welcome(connection, frame, at, about);
      else if (frame.type === "snapshot") this.#snapshot(connection, frame, about);
      else if (frame.type === "pub") this.#pub(connection, frame, about);
      else if (frame.type === "ack") this.#ack(connection, frame, about);
      else if (frame.type === "presence") this.#presence(connection, frame, about);
      else if (frame.type === "epoch") this.#epoch(connection, frame, about);
      else if (frame.type === "reply") this.#reply(connection, frame, about);
      else if (frame.type === "bye") {
        connection.over = true;
        this.#verdict.count(`bye ${frame.reason}`);
      } else if (frame.type === "goaway") this.#verdict.count("goaway");
    }
  }

  #welcome(connection: Connection, frame: Frame<"welcome">, at: number, about: About): void {
    const { dial, truth } = connection;
    const { session, resumed, reason } = frame;
    const wrong = (what: string) => this.#verdict.violated("resume", `${about.conn}: ${what}`, about);
    const foreign = (what: string) => this.#verdict.violated("foreign", `${about.conn}: ${what}`, about);
    const owner = this.#owners.get(session);
    if (frame.member !== dial.user) foreign(`${dial.user} was welcomed as ${frame.member}`);
    if (owner !== undefined && owner !== dial.user) foreign(`${dial.user} got the session ${session} of ${owner}`);
    if (owner === undefined) {
      this.#owners.set(session, dial.user);
      this.#sessionsOf.set(dial.user, (this.#sessionsOf.get(dial.user) ?? 0) + 1);
    }
    this.#hold(connection, session, about);
    connection.session = session;
    connection.expires = frame.expires;
    this.endings.come(session, dial.user, dial.room);
    this.#locate(connection, frame, at);
    this.#enter(connection, frame.epoch, about);
    connection.members = new Set(frame.members.map(({ id }) => id));
    if (isLarge(dial.room)) this.#count(connection, frame, about);
    else if (!connection.members.has(dial.user)) {
      this.#verdict.violated("presence", `${about.conn}: ${dial.user} is not among its own members`, about);
    }
    if (frame.offset > truth.head) wrong(`welcomed at ${frame.offset}, the room ends at ${truth.head}`);
    this.#verdict.count(resumed ? "resumed" : `reset ${reason}`);
    if (resumed) {
      if (reason !== undefined) wrong(`resumed and yet reset: ${reason}`);
      if (dial.session !== session) wrong(`asked for ${dial.session}, resumed ${session}`);
      // The epoch may be a younger one that goes on from there: whether it does, what follows tells.
      if (dial.offset === undefined) wrong("resumed from no position");
      else if (dial.offset > frame.offset) wrong(`resumed from ${dial.offset}, ahead of ${frame.offset}`);
      connection.told = dial.offset;
      this.#placed(connection, about);
      return;
    }
    const lie = this.#whyNot(connection, frame, at);
    if (lie !== undefined) wrong(`reset as ${reason}, but ${lie}`);
  }

  /** Of two clients that have the same session one comes to rest without it. */
  #hold({ dial: { client } }: Connection, session: string, about: About): void {
    const holder = this.#holders.get(session);
    this.#holders.set(session, client);
    if (holder === undefined || holder === client) return;
    const key = `${session} ${holder} ${client}`;
    const times = (this.#taken.get(key) ?? 0) + 1;
    this.#taken.set(key, times);
    if (times !== MOST_TAKEN + 1) return;
    const text = `${about.conn}: took ${session} from ${holder} ${times} times`;
    this.#verdict.violated("stuck", text, about);
  }

  /** Notes the relay that opened it, if one did, so that a run can say how much went through relays. */
  #locate(connection: Connection, { resumed }: Frame<"welcome">, at: number): void {
    const { dial, truth } = connection;
    const relay = truth.relayed.relayOf(dial.user, dial.session, dial.t, at);
    connection.relay = relay;
    if (relay === undefined) return;
    this.#verdict.count("through relays");
    if (dial.session !== undefined) this.#verdict.count(`through relays ${resumed ? "resumed" : "reset"}`);
    if (!this.#relayed.has(dial.user)) this.#verdict.count("through relays members");
    this.#relayed.add(dial.user);
  }

  /** History goes on under another name: one that the room had, and never back to an older one. */
  #epoch(connection: Connection, { epoch }: Frame<"epoch">, about: About): void {
    const { truth } = connection;
    this.#verdict.count("epochs told");
    const isNext = !truth.epochs.areKnown || truth.epochs.isAfter(epoch, connection.epoch);
    if (!isNext || epoch === connection.epoch) {
      this.#verdict.violated("resume", `${about.conn} was told ${epoch} after ${connection.epoch}`, about);
    }
    this.#enter(connection, epoch, about);
  }

  #enter(connection: Connection, epoch: string, about: About): void {
    connection.epoch = epoch;
    const { epochs } = connection.truth;
    if (epochs.areKnown && !epochs.has(epoch)) {
      this.#verdict.violated("resume", `${about.conn} is in ${epoch}, which the room never was`, about);
    }
  }

  /** A position is of the epoch it is told in: else a client that continues from it is called a liar. */
  #placed({ told = 0, epoch, truth }: Connection, about: About): void {
    const end = truth.epochs.endOf(epoch);
    if (told > end) {
      const text = `${about.conn} was told ${told} in ${epoch}, which ended at ${end}`;
      this.#verdict.violated("resume", text, { ...about, offset: told });
    }
  }

  #reply({ calls, dial }: Connection, frame: Frame<"reply">, about: About): void {
    this.#verdict.count(frame.error ? `calls refused ${frame.error.code}` : "calls answered");
    const wrong = calls.answered(frame, this.#users.get(dial.room) ?? new Set());
    if (wrong !== undefined) this.#verdict.violated("ack", `${about.conn}: ${wrong}`, about);
  }

  /** A room that only says how many members it has lists nobody, and never says more than have ever come. */
  #count({ dial }: Connection, frame: Frame<"welcome" | "presence">, about: About): void {
    const { count = 0 } = frame;
    const most = this.#users.get(dial.room)?.size ?? 0;
    const lists =
      (frame.members ?? []).length > 0 || ("join" in frame && frame.join) || ("leave" in frame && frame.leave);
    this.#verdict.count("counts told");
    if (lists) this.#verdict.violated("presence", `${about.conn}: ${dial.user} was told who is there`, about);
    if (count < 1 || count > most) {
      const text = `${about.conn}: ${dial.user} was told of ${count} members, of ${most} who ever came`;
      this.#verdict.violated("presence", text, about);
    }
  }

  /** Why a reset's reason cannot be true. */
  #whyNot({ dial, truth }: Connection, frame: Frame<"welcome">, at: number): string | undefined {
    const { reason, session } = frame;
    const asked = dial.session;
    const { retain, resumeWindow } = settingsOf(dial.room);
    if (reason === "new") return asked === undefined ? undefined : `it asked for ${asked}`;
    if (asked === undefined) return "it asked for no session";
    if (reason === "session_unknown") {
      if (session === asked) return "it got the session it asked for";
      const isForeign = this.#owners.get(asked) !== dial.user;
      const isCrowded = (this.#sessionsOf.get(dial.user) ?? 0) > DROPPED_PER_USER;
      if (isForeign || isCrowded || this.endings.mayBeOver(asked)) return undefined;
      const age = at - (truth.lastOf(asked) ?? -Infinity);
      return age < resumeWindow ? `the session published ${Math.round(age)} ms ago` : undefined;
    }
    if (session !== asked) return `it asked for ${asked} and got ${session}`;
    if (reason === "no_position") return dial.epoch === undefined ? undefined : "it had a position";
    if (dial.offset === undefined) return "it had no position";
    if (reason === "epoch_changed" && dial.epoch === frame.epoch) return "the epoch is the same";
    if (reason === "offset_ahead") return `offset ${dial.offset} had been told: what was told is lost`;
    // No storage is ever put back here: an older epoch is forgotten only with what was said in it.
    if (reason === "too_far" || frame.offset - dial.offset > retain) return undefined;
    let bytes = 0;
    for (let offset = dial.offset + 1; offset <= frame.offset; offset++)
      bytes += lengthOf(truth.at(offset)?.data ?? "");
    return bytes < LOG_BYTES ? `only ${frame.offset - dial.offset} of ${retain} publications were missed` : undefined;
  }

  #snapshot(connection: Connection, frame: Frame<"snapshot">, about: About): void {
    const { truth, dial } = connection;
    connection.told = frame.offset;
    this.#placed(connection, about);
    // It may be the answer to a sync.
    connection.syncs.shift();
    this.#verdict.count("snapshots");
    // The default snapshot: the newest that the user may see.
    const items = frame.data as readonly { offset: number; data: string }[];
    const first = items[0]?.offset ?? frame.offset + 1;
    const real = [...truth.visible(first, frame.offset, dial.user)];
    const isSame =
      real.length === items.length &&
      real.every(({ offset, data }, i) => {
        const item = items[i];
        return item?.offset === offset && item.data === data;
      });
    if (!isSame) {
      this.#verdict.violated("resume", `${about.conn}: the snapshot at ${frame.offset} is not what was said`, about);
    }
  }

  #pub(connection: Connection, frame: Frame<"pub">, about: About): void {
    const { truth, syncs, dial } = connection;
    const { from, upto, items } = frame;
    const wrong = (promise: "order" | "loss" | "foreign" | "double", what: string, offset: number) =>
      this.#verdict.violated(promise, `${about.conn}: ${what}`, { ...about, offset });
    const asked = syncs.indexOf(from - 1);
    if (connection.told === undefined) wrong("order", `a pub from ${from} before any position`, from);
    else if (asked >= 0 && from !== connection.told + 1) syncs.splice(0, asked + 1);
    else if (from > connection.told + 1) wrong("loss", `told up to ${connection.told}, then from ${from}`, from - 1);
    else if (from <= connection.told) wrong("double", `told up to ${connection.told}, then from ${from} again`, from);
    if (upto > truth.head) wrong("loss", `was shown ${upto}, the room ends at ${truth.head}`, upto);
    connection.told = upto;
    this.#placed(connection, about);
    let last = from - 1;
    for (const item of items) {
      const { offset, by } = item;
      const data = item.data as string;
      this.#verdict.count("deliveries");
      if (offset <= last || offset > upto) wrong("order", `${data} at ${offset} comes after ${last}`, offset);
      for (const said of truth.visible(last + 1, offset - 1, dial.user)) {
        wrong("loss", `${said.data} at ${said.offset} is missing from ${from} to ${upto}`, said.offset);
      }
      last = Math.max(last, offset);
      const said = truth.at(offset);
      if (said?.data !== data || said.by !== by) {
        wrong("loss", `shows ${data} by ${by} at ${offset}, stored is ${said?.data} by ${said?.by}`, offset);
      } else if (!Truth.visible(said, dial.user)) wrong("foreign", `${dial.user} saw ${data}`, offset);
      if ((item.to ?? []).join() !== (addressees(data) ?? []).join())
        wrong("foreign", `${data} is for ${item.to?.join()}`, offset);
      const before = this.#offsetOf.get(data);
      if (before === undefined) this.#offsetOf.set(data, offset);
      else if (before !== offset) wrong("double", `${data} took effect at ${before} and at ${offset}`, offset);
    }
    for (const said of truth.visible(last + 1, Math.min(upto, truth.head), dial.user)) {
      wrong("loss", `${said.data} at ${said.offset} is missing from ${from} to ${upto}`, said.offset);
    }
  }

  #ack(connection: Connection, frame: Frame<"ack">, about: About): void {
    const { truth, dial, session = "" } = connection;
    const { ref, offset, at } = frame;
    const key = `${session} ${ref}`;
    const wrong = (what: string) =>
      this.#verdict.violated("ack", `${about.conn}: ref ${ref} ${what}`, { ...about, offset });
    this.#verdict.count("acks");
    const sent = this.#sent.get(key);
    const said = truth.at(offset);
    const before = this.#ackedAt.get(key);
    if (before !== undefined && before !== offset) wrong(`was acked at ${before} and at ${offset}`);
    this.#ackedAt.set(key, offset);
    if (!sent) return wrong(`was acked at ${offset} and never sent`);
    const mine = sent.filter(({ client }) => client === dial.client);
    // After a takeover the new holder of the session is told of its predecessor's publishes, too.
    const candidates = (mine.length > 0 ? mine : sent).map(({ data }) => data);
    if (!said) return wrong(`was acked at ${offset}, where the room has nothing`);
    if (!candidates.includes(said.data)) return wrong(`was ${candidates.join()}, at ${offset} is ${said.data}`);
    if (said.session !== session) wrong(`was acked at ${offset}, which session ${said.session} published`);
    if (said.at !== at) wrong(`was acked as of ${at}, stored at ${said.at}`);
    // A relay takes a publish in time and its room may learn of it late: there it counts when the client sent it, which is
    // before the relay took it.
    const begun = Math.min(...sent.flatMap((one) => (one.data === said.data ? [one.at] : [])));
    const taken = isLarge(dial.room) ? Math.min(at, begun) : at;
    if (this.mortal.has(dial.client) && taken > connection.expires) {
      const late = `${about.conn}: ref ${ref} took effect ${at - connection.expires} ms after the token had ended`;
      this.#verdict.violated("token", late, about);
    }
  }

  /** Nobody comes who is here, and nobody goes who is not. */
  #presence(connection: Connection, frame: Frame<"presence">, about: About): void {
    const { members, dial } = connection;
    if (isLarge(dial.room)) return this.#count(connection, frame, about);
    const wrong = (what: string) => this.#verdict.violated("presence", `${about.conn}: ${what}`, about);
    if (frame.members) {
      members.clear();
      for (const { id } of frame.members) members.add(id);
    }
    for (const { id } of frame.join ?? []) {
      if (members.has(id)) wrong(`${dial.user} was told twice that ${id} came`);
      members.add(id);
      this.#verdict.count("joins told");
    }
    for (const { id } of frame.update ?? []) if (!members.has(id)) wrong(`${id} changed without being here`);
    for (const id of frame.leave ?? []) {
      if (!members.delete(id)) wrong(`${dial.user} was told that ${id} left, who was not here`);
      this.#verdict.count("leaves told");
    }
  }
}
