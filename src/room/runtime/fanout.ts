/**
 * Turns a tick's effects into one message per socket. Whatever goes to many is encoded once; a socket that gets just
 * what everyone gets shares the very string. Knows nothing of sockets: it yields who gets which text.
 */
import { encode, encodePub, join } from "../../protocol/codec.ts";
import { codes } from "../../protocol/codes.ts";
import type { Member } from "../../protocol/frames.ts";
import type { Effect } from "../core/event.ts";
import { visible, type Item, type Log } from "../store/log.ts";
import type { Connection, RoomState } from "../store/state.ts";

type Shared = Extract<Effect, { type: "all" | "signal" | "presence" }>;

/** A message for one connection. */
export interface Delivery {
  readonly connection: Connection;
  readonly text: string;
  /** Publications of this tick in it. */
  readonly items: number;
  /** It ends with `bye`: to be sent however much waits for this peer already. */
  readonly last: boolean;
}

/** UTF-16 units of one message, at most, unless a single frame is longer. */
const MESSAGE_LENGTH = 1_048_576;
/** UTF-16 units of items in one `pub` frame, at most, unless a single item is longer. */
const PUB_LENGTH = 262_144;

/** Everything the tick has to say, for the connections that are still there and for those that are told good-bye. */
export function* compose(state: RoomState, effects: readonly Effect[]): Generator<Delivery> {
  const { own, shared, since, told, leaving } = sort(effects);
  const { log } = state;
  const plain = shared.every((effect) => effect.type !== "signal") && log.staged.every((i) => !i.publication.to);
  const common = plain ? joinOnce(sharedFrames(shared), log) : undefined;

  for (const connection of state.connections.values()) {
    const mine = own.get(connection);
    const isLate = connection.acked !== undefined || connection.fed !== log.committed || since.has(connection);
    if (common && !isLate) {
      connection.fed = log.head;
      // By far the most get just what everyone gets: the very same text.
      const items = log.staged.length;
      if (mine || common.length > MESSAGE_LENGTH)
        yield* messages(connection, [...(mine ?? []), ...common.frames], items);
      else if (common.text !== "") yield { connection, text: common.text, items, last: false };
      continue;
    }
    const from = since.get(connection) ?? 0;
    const news = told.get(connection) ?? 0;
    const its = shared.filter((effect, i) => i >= from && (i >= news || effect.type !== "presence"));
    const fed = connection.fed;
    const frames = [...(mine ?? []), ...framesFor(state, connection, its)];
    yield* messages(connection, frames, connection.fed - fed);
  }
  for (const [connection, bye] of leaving) {
    yield { connection, text: join([...(own.get(connection) ?? []), bye]), items: 0, last: true };
  }
}

/**
 * Frames as messages: one, unless together they are larger than what every client can be expected to take. Their `items`
 * are told with the first.
 */
function* messages(connection: Connection, frames: readonly string[], items: number): Generator<Delivery> {
  let together: string[] = [];
  let length = 0;
  let untold = items;
  const message = (): Delivery => {
    const told = untold;
    untold = 0;
    return { connection, text: join(together), items: told, last: false };
  };
  for (const frame of frames) {
    if (together.length > 0 && length + frame.length > MESSAGE_LENGTH) {
      yield message();
      together = [];
      length = 0;
    }
    together.push(frame);
    length += frame.length;
  }
  if (together.length > 0) yield message();
}

function sort(effects: readonly Effect[]) {
  const own = new Map<Connection, string[]>();
  const shared: Shared[] = [];
  /** For a connection that this tick accepted: how many of the shared effects came before it. */
  const since = new Map<Connection, number>();
  /** For one that was told who is here: how many of the shared effects came before that. */
  const told = new Map<Connection, number>();
  const leaving = new Map<Connection, string>();
  for (const effect of effects) {
    if (effect.type === "send") {
      const list = own.get(effect.to);
      if (list) list.push(effect.text);
      else own.set(effect.to, [effect.text]);
    } else if (effect.type === "accept") since.set(effect.connection, shared.length);
    else if (effect.type === "told") told.set(effect.connection, shared.length);
    else if (effect.type === "close") leaving.set(effect.connection, encodeBye(effect));
    else if (effect.type === "all" || effect.type === "signal" || effect.type === "presence") shared.push(effect);
  }
  return { own, shared, since, told, leaving };
}

/** The frames everyone gets, publications last, as one text. */
function joinOnce(frames: string[], log: Log) {
  frames.push(...pubs(log.committed, log.head, log.staged));
  return { frames, text: frames.length === 0 ? "" : join(frames), length: lengthOf(frames) };
}

/** Publications as `pub` frames that together cover everything after one offset up to another. */
function pubs(after: number, upto: number, items: readonly Item[]): string[] {
  if (upto === after) return [];
  const frames: string[] = [];
  let from = after + 1;
  let texts: string[] = [];
  let length = 0;
  for (const { publication, text } of items) {
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

function lengthOf(frames: readonly string[]): number {
  return frames.reduce((length, frame) => length + frame.length, 0);
}

/** What one connection gets of the shared effects, and the publications it lacks if it may be fed. */
function framesFor(state: RoomState, connection: Connection, shared: readonly Shared[]): string[] {
  const { log } = state;
  const caughtUp = connection.fed >= log.committed && state.mayFeed(connection);
  const wanted = shared.filter((effect) => {
    if (effect.type === "all") return true;
    if (effect.type === "presence") return caughtUp && !connection.presenceStale;
    return caughtUp && effect.except !== connection.session && (effect.to?.includes(connection.user) ?? true);
  });
  const frames = sharedFrames(wanted);
  if (!caughtUp) {
    // What was lost on it: the list of members is sent whole once it has credit again.
    if (shared.some((effect) => effect.type === "presence")) connection.presenceStale = true;
    connection.dirty = true;
    return frames;
  }
  if (connection.fed < log.head) {
    const items = log.staged.filter(
      ({ publication }) => publication.offset > connection.fed && visible(publication, connection.user),
    );
    frames.push(...pubs(connection.fed, log.head, items));
    connection.fed = log.head;
  }
  return frames;
}

/** Encodes shared effects; neighbours that tell of presence become one frame. */
function sharedFrames(shared: readonly Shared[]): string[] {
  const frames: string[] = [];
  let run: Extract<Shared, { type: "presence" }>[] = [];
  const flush = () => {
    if (run.length > 0) frames.push(encodePresence(run));
    run = [];
  };
  for (const effect of shared) {
    if (effect.type === "presence") {
      // One frame has one list per kind of change: a second kind would lose the order between them.
      if (run[0] && run[0].change !== effect.change) flush();
      run.push(effect);
    } else {
      flush();
      frames.push(effect.text);
    }
  }
  flush();
  return frames;
}

function encodePresence(run: readonly Extract<Shared, { type: "presence" }>[]): string {
  const members: Member[] = [];
  const left: string[] = [];
  for (const effect of run) {
    if (effect.change === "leave") left.push(effect.user);
    else members.push(effect.member);
  }
  if (run[0]?.change === "leave") return encode({ type: "presence", leave: left });
  return encode({ type: "presence", ...(run[0]?.change === "join" ? { join: members } : { update: members }) });
}

function encodeBye({ code, retryAfter }: Extract<Effect, { type: "close" }>): string {
  const { close } = codes[code];
  return encode({
    type: "bye",
    code: close ?? codes.internal.close,
    reason: code,
    ...(retryAfter !== undefined && { retryAfter }),
  });
}
