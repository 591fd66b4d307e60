/**
 * Judges what connections carry, frame by frame, against the truth: a `pub` has exactly what its user may see of the
 * offsets it covers and begins where the one before ended, an ack names what was really stored, nobody comes who is
 * here. (test/sim/oracle judges the same without a truth; with one, a loss shows at the first frame that hides it.)
 */
import type { ClientFrame, ServerFrame } from "../../src/protocol/frames.ts";
import { defineRoom } from "../../src/room/definition.ts";
import type { Event } from "./record.ts";
import { addressees, lengthOf } from "./saying.ts";
import { settingsOf } from "./rooms.ts";
import { Truth } from "./truth.ts";
import type { About, Verdict } from "./verdict.ts";

type Frame<T extends ServerFrame["type"]> = Extract<ServerFrame, { type: T }>;
type Dial = Extract<Event, { what: "dial" }>;

/** The log holds 16 MiB at most, whatever it should retain; a little less counts as that much. */
const LOG_BYTES = 15 * 1_048_576;
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
  expires: number;
  over: boolean;
}

/** Every connection of a run. */
export class Connections {
  readonly #verdict: Verdict;
  readonly #truths: ReadonlyMap<string, Truth>;
  readonly #byName = new Map<string, Connection>();
  readonly #owners = new Map<string, string>();
  readonly #sessionsOf = new Map<string, number>();
  readonly #left = new Set<string>();
  /** What was sent under a session's ref, by whom. Two clients can have used one: before and after a takeover. */
  readonly #sent = new Map<string, { client: string; data: string }[]>();
  readonly #ackedAt = new Map<string, number>();
  readonly #offsetOf = new Map<string, number>();
  /** Users who ended a session by themselves. */
  readonly leavers = new Set<string>();
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
    this.#byName.set(dial.conn, { dial, truth, session: undefined, ...fresh });
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

  sent(conn: string, frames: readonly ClientFrame[]): void {
    const connection = this.#byName.get(conn);
    if (!connection) return;
    const { dial, session = "" } = connection;
    for (const frame of frames) {
      if (frame.type === "sync") connection.syncs.push(frame.offset);
      if (frame.type === "leave") {
        this.#left.add(session);
        this.leavers.add(dial.user);
      }
      if (frame.type !== "publish") continue;
      const key = `${session} ${frame.ref}`;
      const before = this.#sent.get(key) ?? [];
      const data = frame.data as string;
      if (!before.some((sent) => sent.client === dial.client && sent.data === data)) {
        this.#sent.set(key, [...before, { client: dial.client, data }]);
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
    connection.session = session;
    connection.expires = frame.expires;
    connection.members = new Set(frame.members.map(({ id }) => id));
    if (!connection.members.has(dial.user)) {
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
      return;
    }
    const lie = this.#whyNot(connection, frame, at);
    if (lie !== undefined) wrong(`reset as ${reason}, but ${lie}`);
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
      if (isForeign || isCrowded || this.#left.has(asked)) return undefined;
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
    if (this.mortal.has(dial.client) && at > connection.expires) {
      const late = `${about.conn}: ref ${ref} took effect ${at - connection.expires} ms after the token had ended`;
      this.#verdict.violated("token", late, about);
    }
  }

  /** Nobody comes who is here, and nobody goes who is not. */
  #presence({ members, dial }: Connection, frame: Frame<"presence">, about: About): void {
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
