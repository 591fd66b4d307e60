/** A Worker: rooms with hooks, mounted in an app of its own. Without jose, whose types must not show. */
import {
  createApp,
  defineRoom,
  jwt,
  reject,
  Room,
  webhook,
  Directory,
  type AppOptions,
  type JwtOptions,
} from "edgerooms";
import { Hono } from "hono";

interface Env {
  readonly CHAT_ROOM: DurableObjectNamespace<ChatRoom>;
  readonly EDGEROOMS_DIRECTORY: DurableObjectNamespace<Directory>;
  readonly HOOK: string | undefined;
}

/** What a program has that leaves an option open with `undefined`. */
type Open<T> = { [K in keyof T]: T[K] | (Record<never, never> extends Pick<T, K> ? undefined : never) };

export const appOptions = (open: Open<AppOptions<Env>>): AppOptions<Env> => open;
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

const rooms = createApp<Env>({
  rooms: { chat: "CHAT_ROOM" },
  auth: jwt({ audience: undefined }),
  authorize: (c, { claims, user }) => claims.sub === user && c.env.HOOK !== "",
});
const app = new Hono<{ Bindings: Env }>();
app.route("/rt", rooms);
app.post("/say", async (c) => {
  const { offset } = await c.env.CHAT_ROOM.getByName("lobby").publish("hello");
  return c.json({ offset });
});
export default app;
