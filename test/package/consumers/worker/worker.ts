/** A Worker: rooms with hooks, mounted in an app of its own. Without jose, whose types must not show. */
import { createApp, defineRoom, Directory, jwt, reject, Room, webhook } from "edgerooms";
import type { AppOptions, Definition, JwtOptions } from "edgerooms";
import { Hono } from "hono";

interface Env {
  readonly CHAT_ROOM: DurableObjectNamespace<ChatRoom>;
  readonly EDGEROOMS_DIRECTORY: DurableObjectNamespace<Directory>;
  readonly HOOK: string | undefined;
}

/** What a program has that leaves an option open with `undefined`. */
type Open<T> = { [K in keyof T]: T[K] | (Record<never, never> extends Pick<T, K> ? undefined : never) };

export const appOptions = (open: Open<AppOptions<Env>>): AppOptions<Env> => open;
export const definition = (open: Open<Definition>): Definition => open;
export const jwtOptions = (open: Open<JwtOptions>): JwtOptions => open;

export class ChatRoom extends Room<Env> {
  override readonly definition = defineRoom({
    resumeWindow: "1h",
    retain: 1000,
    onPublish: (room, me, data) => (typeof data === "string" ? undefined : reject("only text here")),
    events: {
      to: webhook<Env>({ url: "https://example.com/events", secret: ({ HOOK }) => HOOK }),
    },
  });
}
export { Directory };

interface Message {
  readonly text: string;
  readonly replyTo?: number;
}
interface Summary {
  readonly count: number;
  readonly last: Message | null;
}
interface Typed {
  publication: Message;
  snapshot: Summary;
}

/** T24: interfaces are data, also where hooks return them. With the room's types the data that hooks get is typed. */
export class TypedRoom extends Room<Env> {
  override readonly definition = defineRoom<Typed>({
    onPublish: (room, me, data) => {
      const message: Message = { text: data.text.trim() };
      room.signal(message);
      return message;
    },
    snapshot: (room) => {
      const [last] = room.recent(1);
      const summary: Summary = { count: room.offset, last: last?.data ?? null };
      return summary;
    },
    methods: {
      last: (room): Message | undefined => room.recent(1)[0]?.data,
    },
  });
}

/** T24: likewise without types of its own, where the data is checked by hand. */
export class PlainRoom extends Room<Env> {
  override readonly definition = defineRoom({
    onPublish: (room, me, data) => {
      if (!isMessage(data)) return reject("no message");
      const message: Message = { text: data.text.trim() };
      room.schedule("later", room.now, message);
      return message;
    },
    snapshot: (): Message => ({ text: "" }),
  });
}

const isMessage = (data: unknown): data is Message =>
  typeof data === "object" && data !== null && "text" in data && typeof data.text === "string";

const rooms = createApp<Env>({
  rooms: { chat: "CHAT_ROOM" },
  auth: jwt({ audience: undefined }),
  authorize: (c, { claims, user }) => claims.sub === user && c.env.HOOK !== "",
});
const app = new Hono<{ Bindings: Env }>();
app.route("/rt", rooms);
app.post("/say", async (c) => {
  const message: Message = { text: "hello" };
  const { offset } = await c.env.CHAT_ROOM.getByName("lobby").publish(message);
  return c.json({ offset });
});
export default app;
