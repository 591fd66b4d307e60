/** A front end with the strictest settings and no DOM: compiled against the packed package, never run. */
import { connect, memoryStore, RoomError, type ConnectOptions, type Json, type PublishOptions } from "edgerooms/client";

interface Message {
  text: string;
  mentions?: string[];
}
interface Cursor {
  readonly x: number;
  readonly y: number;
}
interface Chat {
  publication: Message;
  signal: Cursor;
  presence: { mood: string };
}

/** What a program has that leaves an option open with `undefined`. */
type Open<T> = { [K in keyof T]: undefined extends Required<T>[K] ? T[K] : T[K] | Absent<T, K> };
type Absent<T, K extends keyof T> = Record<never, never> extends Pick<T, K> ? undefined : never;

/** Only a token that is left out means cookies: one that is `undefined` is a mistake. */
type Optional = Open<Omit<ConnectOptions, "token">> & Pick<ConnectOptions, "token">;

export const options = (open: Optional): ConnectOptions => open;
export const publishOptions = (open: Open<PublishOptions>): PublishOptions => open;

export async function chat(token: string | undefined): Promise<Json> {
  const room = connect<Chat>("https://rooms.example.com", {
    room: "chat/lobby",
    token: () => token ?? "none",
    storage: token === undefined ? memoryStore() : undefined,
  });
  room.on("publication", ({ by, data, offset }) => void [by, data.text.length, data.mentions?.length, offset]);
  room.on("signal", ({ data }) => void (data.x + data.y));
  room.on("members", (members) => void members.map(({ data }) => data?.mood.length));
  const message: Message = { text: "hello" };
  const { offset } = await room.publish(message, { to: token === undefined ? undefined : ["ann"] });
  // @ts-expect-error: not a message.
  await room.publish({ words: "hello" }).catch((error: unknown) => error instanceof RoomError && error.code);
  return offset;
}

/** Without types of its own a program gets JSON, and may give what interfaces describe. */
export async function plain(): Promise<Json> {
  const room = connect("wss://rooms.example.com", { room: "lobby", token: "none" });
  const message: Message = { text: "hello" };
  await room.publish(message);
  room.signal(message);
  room.setPresence(message);
  // @ts-expect-error: JSON has nothing for this.
  room.signal(undefined);
  return room.call("count", message);
}
