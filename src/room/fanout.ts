/**
 * Turns a tick's effects into one message per socket. Whatever goes to many is encoded once; a socket that gets just
 * what everyone gets shares the very string. Knows nothing of sockets: it yields who gets which text.
 */
import { encode, encodePub, join } from "../protocol/codec.ts";
import { codes } from "../protocol/codes.ts";
import type { Member } from "../protocol/frames.ts";
import type { Effect } from "./events.ts";
import { visible, type Log } from "./log.ts";
import type { Connection, RoomState } from "./state.ts";

type Shared = Extract<Effect, { type: "all" | "signal" | "presence" }>;

/** A message for one connection. */
export interface Delivery {
  readonly connection: Connection;
  readonly text: string;
}

/** Everything the tick has to say, for the connections that are still there and for those that are told good-bye. */
export function* compose(state: RoomState, effects: readonly Effect[]): Generator<Delivery> {
  const { own, shared, since, leaving } = sort(effects);
  const { log } = state;
  const plain = shared.every((effect) => effect.type !== "signal") && log.staged.every((i) => !i.publication.to);
  const common = plain ? joinOnce(sharedFrames(shared), log) : undefined;

  for (const connection of state.connections.values()) {
    const mine = own.get(connection) ?? [];
    const late = since.has(connection) || connection.fed !== log.committed || connection.credit !== undefined;
    if (common && !late) {
      connection.fed = log.head;
      const text = mine.length === 0 ? common.text : join([...mine, ...common.frames]);
      if (text !== "") yield { connection, text };
      continue;
    }
    const frames = [...mine, ...framesFor(state, connection, shared.slice(since.get(connection) ?? 0))];
    if (frames.length > 0) yield { connection, text: join(frames) };
  }
  for (const [connection, bye] of leaving) {
    yield { connection, text: join([...(own.get(connection) ?? []), bye]) };
  }
}

function sort(effects: readonly Effect[]) {
  const own = new Map<Connection, string[]>();
  const shared: Shared[] = [];
  /** For a connection that this tick accepted: how many of the shared effects came before it. */
  const since = new Map<Connection, number>();
  const leaving = new Map<Connection, string>();
  for (const effect of effects) {
    if (effect.type === "send") {
      const list = own.get(effect.to);
      if (list) list.push(effect.text);
      else own.set(effect.to, [effect.text]);
    } else if (effect.type === "accept") since.set(effect.connection, shared.length);
    else if (effect.type === "close") leaving.set(effect.connection, encodeBye(effect));
    else if (effect.type === "all" || effect.type === "signal" || effect.type === "presence") shared.push(effect);
  }
  return { own, shared, since, leaving };
}

/** The frames everyone gets, publications last, as one text. */
function joinOnce(frames: string[], log: Log): { frames: readonly string[]; text: string } {
  if (log.staged.length > 0) {
    frames.push(encodePub(log.committed + 1, log.head, log.staged.map((item) => item.text).join(",")));
  }
  return { frames, text: frames.length === 0 ? "" : join(frames) };
}

/** What one connection gets of the shared effects, and the publications it lacks if it may be fed. */
function framesFor(state: RoomState, connection: Connection, shared: readonly Shared[]): string[] {
  const { log } = state;
  const { credit } = connection;
  const caughtUp = connection.fed >= log.committed && (!credit || credit.open(connection.fed));
  const wanted = shared.filter((effect) => {
    if (effect.type === "all") return true;
    if (!caughtUp) {
      if (effect.type === "presence" && !connection.presenceStale) {
        connection.presenceStale = true;
        connection.dirty = true;
      }
      return false;
    }
    if (effect.type === "presence") return true;
    return effect.except !== connection.session && (effect.to?.includes(connection.user) ?? true);
  });
  const frames = sharedFrames(wanted);
  if (!caughtUp) {
    connection.dirty ||= connection.fed >= log.committed;
    return frames;
  }
  if (connection.fed < log.head) {
    const items = log.staged.filter(
      ({ publication }) => publication.offset > connection.fed && visible(publication, connection.user),
    );
    const text = encodePub(connection.fed + 1, log.head, items.map((item) => item.text).join(","));
    frames.push(text);
    connection.fed = log.head;
    credit?.sent(log.head, text.length);
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
