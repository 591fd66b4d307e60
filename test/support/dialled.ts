/** A client whose network, room and clock are the test's. Needs fake timers. */
import { vi } from "vitest";
import { RoomClient, memoryStore, type ConnectOptions, type Json } from "../../src/client/client.ts";
import { lines, type Line } from "./line.ts";

/** What {@link dialled} gives. */
export interface Dialled {
  readonly client: RoomClient;
  /** The sockets it has opened. */
  readonly all: readonly Line[];
  /** The socket it opened last. */
  readonly line: () => Line;
  /** What it was told, but for publications and members. */
  readonly log: string[];
  /** The data of the publications it was told. */
  readonly items: Json[];
}

/**
 * A client that has been told to connect. With a random of 0.01 its first wait is 10 ms.
 *
 * @param opened called with each socket that it opens
 */
export function dialled(options: Partial<ConnectOptions> = {}, opened?: (line: Line) => void): Dialled {
  const { Class, all } = lines(opened);
  const client = new RoomClient("http://edge.test", {
    room: "relay/one",
    token: () => Promise.resolve("t"),
    WebSocket: Class,
    storage: memoryStore(),
    random: () => 0.01,
    ...options,
  });
  const log: string[] = [];
  const items: Json[] = [];
  client.on("publication", ({ data }) => items.push(data));
  client.on("error", ({ code, message }) => log.push(`error ${code} ${message}`));
  client.on("resumed", ({ offset }) => log.push(`resumed at ${offset}`));
  client.on("reset", ({ reason, offset }) => log.push(`reset ${reason} at ${offset}`));
  client.on("goaway", ({ within }) => log.push(`goaway ${within}`));
  client.on("state", (state) => {
    const delay = "delay" in state ? ` ${state.delay}` : "";
    log.push(`${state.name}${delay}${"reason" in state ? ` ${state.reason}` : ""}`);
  });
  client.connect();
  const line = () => {
    const last = all.at(-1);
    if (!last) throw new Error("the client has not dialled");
    return last;
  };
  return { client, all, line, log, items };
}

/** The snapshot of an empty room. */
export const snapshot = { type: "snapshot", reason: "new", offset: 0, data: [] };

/** A client that is in its room; what it was told on the way is forgotten. */
export async function joined(options: Partial<ConnectOptions> = {}): Promise<Dialled> {
  const made = dialled(options);
  await vi.advanceTimersByTimeAsync(0);
  made.line().welcome({}, snapshot);
  await vi.advanceTimersByTimeAsync(0);
  made.log.length = 0;
  return made;
}

/** A publication as rooms send it. */
export function publication(offset: number, data: Json = offset) {
  return { offset, by: "bob", at: 1, data };
}

/** A `pub` frame of these offsets, each the data of itself. */
export function pub(from: number, upto: number) {
  const items = Array.from({ length: upto - from + 1 }, (_, i) => publication(from + i));
  return { type: "pub", from, upto, items };
}
