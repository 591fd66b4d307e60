/**
 * Turns what a tick has to say into one message per socket. Whatever goes to many is encoded once, and all that get
 * just what the others get shares the very string. Changes nothing and knows nothing of sockets: it yields who gets which
 * text.
 */
import { encode, encodePub, encodeWith, join } from "../../protocol/codec.ts";
import type { Member } from "../../protocol/frames.ts";
import type { ListFrame, Outgoing, Range, Shared } from "../core/outgoing.ts";
import type { Connection } from "../rules/connection.ts";
import { isVisible, type Item } from "../store/log.ts";

/** A message for one connection. */
export interface Delivery {
  readonly connection: Connection;
  readonly text: string;
  /** Publications of this tick in it. */
  readonly items: number;
  /** It ends with `bye`: to be sent however much waits for this peer already. */
  readonly isLast: boolean;
}

/** The receivers, and what every list of members says. */
export interface Audience {
  /** Everyone who is connected, by session. */
  readonly connections: ReadonlyMap<string, Connection>;
  /** The list of members as JSON, as it is at the end of the tick. */
  readonly members: () => string;
}

/** UTF-16 units of one message, at most, unless a single frame is longer. */
const MESSAGE_LENGTH = 1_048_576;
/** UTF-16 units of items in one `pub` frame, at most, unless a single item is longer. */
const PUB_LENGTH = 262_144;

/** Frames that many get, and the message that they make. */
interface Common {
  readonly frames: readonly string[];
  readonly text: string;
  readonly length: number;
  readonly items: number;
}

/** Everything the tick has to say, for the connections that are still there and for those that are told good-bye. */
export function* compose(outgoing: Outgoing, audience: Audience): Generator<Delivery> {
  const groups = new Groups(outgoing);
  const list = (frame: ListFrame) => encodeWith(audience.members(), frame.withMembers);
  const textOf = (frame: string | ListFrame) => (typeof frame === "string" ? frame : list(frame));
  for (const connection of addressees(outgoing, audience)) {
    const own = outgoing.own.get(connection);
    const common = groups.of(connection);
    if (!own && common.length <= MESSAGE_LENGTH) {
      if (common.text !== "") yield { connection, text: common.text, items: common.items, isLast: false };
      continue;
    }
    yield* messages(connection, [...(own ?? []).map(textOf), ...common.frames], common.items, false);
  }
  for (const [connection, bye] of outgoing.leaving) {
    const own = outgoing.own.get(connection) ?? [];
    yield* messages(connection, [...own.map(textOf), bye], 0, true);
  }
}

/**
 * Connections that this tick may have something for. A tick that speaks to single connections, as with the reply to a call, must not
 * cost more the more others there are.
 */
function addressees({ own, fedTo, shared, range }: Outgoing, { connections }: Audience): Iterable<Connection> {
  if (shared.length > 0 || range.upto > range.after) return connections.values();
  const single = new Set([...own.keys(), ...fedTo.keys()]);
  return [...single].filter((connection) => connections.get(connection.session) === connection);
}

/** Receivers of the same: almost every connection is in one of three groups. */
class Groups {
  readonly #outgoing: Outgoing;
  readonly #shared: readonly (Shared | undefined)[];
  /** Sessions that sent a signal of this tick, and users that something of it is addressed to. */
  readonly #senders = new Set<string>();
  readonly #addressed = new Set<string>();
  /** By which group: those who get everything, those who lose signals, those who lack credit. */
  readonly #common = new Map<string, Common>();
  #hasSignals = false;

  constructor(outgoing: Outgoing) {
    this.#outgoing = outgoing;
    this.#shared = outgoing.shared;
    for (const shared of this.#shared) {
      if (shared?.type !== "signal") continue;
      this.#hasSignals = true;
      if (shared.except !== undefined) this.#senders.add(shared.except);
      for (const user of shared.to ?? []) this.#addressed.add(user);
    }
    for (const { publication } of outgoing.range.items) {
      if (!publication.to) continue;
      for (const user of publication.to) this.#addressed.add(user);
      if (publication.by !== null) this.#addressed.add(publication.by);
    }
  }

  /** What a connection gets of what goes to more than one. */
  of(connection: Connection): Common {
    const { since, listed, fedTo, range } = this.#outgoing;
    const isStopped = connection.stoppedAt !== undefined;
    const losesSignals = this.#hasSignals && connection.backlog.isBehind;
    const isSpecial = since.has(connection) || listed.has(connection) || fedTo.has(connection);
    if (isSpecial || (!isStopped && this.#isNamed(connection))) return this.#make(connection, isStopped, losesSignals);
    const group = isStopped ? "stopped" : losesSignals ? "behind" : "all";
    const known = this.#common.get(group);
    if (known) return known;
    const pubs = isStopped ? [] : publications(range, range.after, undefined);
    const frames = [...encodeShared(this.#for(undefined, isStopped, losesSignals)), ...pubs];
    const made = commonOf(frames, isStopped ? 0 : range.items.length);
    this.#common.set(group, made);
    return made;
  }

  #isNamed({ session, user }: Connection): boolean {
    return this.#senders.has(session) || this.#addressed.has(user);
  }

  #make(connection: Connection, isStopped: boolean, losesSignals: boolean): Common {
    const { fedTo, range } = this.#outgoing;
    const after = fedTo.get(connection) ?? range.after;
    const pubs = isStopped ? [] : publications(range, after, connection.user);
    const frames = [...encodeShared(this.#for(connection, isStopped, losesSignals)), ...pubs];
    return commonOf(frames, isStopped ? 0 : range.upto - after);
  }

  /** The shared that a connection gets; `undefined` stands for one that nothing is addressed to. */
  #for(connection: Connection | undefined, isStopped: boolean, losesSignals: boolean): Shared[] {
    const from = connection ? (this.#outgoing.since.get(connection) ?? 0) : 0;
    const isListed = connection !== undefined && this.#outgoing.listed.has(connection);
    const wanted: Shared[] = [];
    for (const [place, shared] of this.#shared.entries()) {
      if (!shared || place < from) continue;
      if (shared.type !== "all" && isStopped) continue;
      if (shared.type === "presence" && isListed) continue;
      if (shared.type === "signal" && (losesSignals || !isFor(shared, connection))) continue;
      wanted.push(shared);
    }
    return wanted;
  }
}

function isFor({ except, to }: Extract<Shared, { type: "signal" }>, connection: Connection | undefined): boolean {
  if (!connection) return to === undefined;
  return except !== connection.session && (to?.includes(connection.user) ?? true);
}

function commonOf(frames: readonly string[], items: number): Common {
  const length = frames.reduce((sum, frame) => sum + frame.length, 0);
  return { frames, text: frames.length === 0 ? "" : join(frames), length, items };
}

/**
 * Frames as messages: one, unless together they are larger than what every client can be expected to take. Their `items`
 * are told with the first.
 */
function* messages(
  connection: Connection,
  frames: readonly string[],
  items: number,
  isLast: boolean,
): Generator<Delivery> {
  let together: string[] = [];
  let length = 0;
  let uncounted = items;
  for (const frame of frames) {
    if (together.length > 0 && length + frame.length > MESSAGE_LENGTH) {
      yield { connection, text: join(together), items: uncounted, isLast };
      uncounted = 0;
      together = [];
      length = 0;
    }
    together.push(frame);
    length += frame.length;
  }
  if (together.length > 0) yield { connection, text: join(together), items: uncounted, isLast };
}

/** Publications as `pub` frames that together cover everything after one offset up to the tick's last. */
function publications(range: Range, after: number, user: string | undefined): string[] {
  const { upto } = range;
  if (upto <= after) return [];
  const frames: string[] = [];
  let from = after + 1;
  let texts: string[] = [];
  let length = 0;
  for (const item of range.items) {
    if (item.publication.offset <= after || !isOf(item, user)) continue;
    const { publication, text } = item;
    if (texts.length > 0 && length + text.length > PUB_LENGTH) {
      frames.push(encodePub(from, publication.offset - 1, texts.join(",")));
      from = publication.offset;
      texts = [];
      length = 0;
    }
    texts.push(text);
    length += text.length;
  }
  frames.push(encodePub(from, upto, texts.join(",")));
  return frames;
}

function isOf({ publication }: Item, user: string | undefined): boolean {
  return user === undefined ? publication.to === undefined : isVisible(publication, user);
}

/** Encodes what is shared; neighbours that tell of presence become one frame. */
function encodeShared(shared: readonly Shared[]): string[] {
  const frames: string[] = [];
  let run: Extract<Shared, { type: "presence" }>[] = [];
  const flush = () => {
    if (run.length > 0) frames.push(encodePresence(run));
    run = [];
  };
  for (const each of shared) {
    if (each.type === "presence") {
      // One frame has one list per kind of change: a second kind would lose the order between them.
      if (run[0] && run[0].change !== each.change) flush();
      run.push(each);
    } else {
      flush();
      frames.push(each.text);
    }
  }
  flush();
  return frames;
}

function encodePresence(run: readonly Extract<Shared, { type: "presence" }>[]): string {
  const members: Member[] = [];
  const left: string[] = [];
  for (const each of run) {
    if (each.change === "leave") left.push(each.user);
    else members.push(each.member);
  }
  if (run[0]?.change === "leave") return encode({ type: "presence", leave: left });
  return encode({ type: "presence", ...(run[0]?.change === "join" ? { join: members } : { update: members }) });
}
