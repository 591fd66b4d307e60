/**
 * A Worker with a room of its own: a poll. Members publish what they vote for; the room checks and counts, and closes the
 * poll when its time is over. To run it, in the folder above `examples`:
 *
 *     npm run build
 *     npx wrangler dev --config examples/worker/wrangler.toml --var AUTH_SECRET:only-for-trying-this-out-on-my-machine
 *     npx node examples/worker/voter.ts http://localhost:8787 ann tea
 *
 * The last line in another terminal, and again with other names.
 */
import { createApp, defineRoom, reject, Room, type Json, type RoomContext } from "edgerooms";
import { Hono } from "hono";
import { SignJWT } from "jose";

interface Env {
  readonly POLL: DurableObjectNamespace<PollRoom>;
  readonly AUTH_SECRET: string;
}

const OPTIONS = ["tea", "coffee", "water"];
const OPEN_FOR = 60_000;

export class PollRoom extends Room<Env> {
  override readonly definition = defineRoom({
    retain: 500,
    rate: { perSecond: 5, burst: 10 },

    onPublish(room, me, data) {
      const { choice } = Object(data) as { choice?: unknown };
      if (typeof choice !== "string" || !OPTIONS.includes(choice)) return reject(`one of: ${OPTIONS.join(", ")}`);
      table(room);
      if (isOver(room)) return reject("the poll is closed");
      // The first vote starts the clock. The timer outlives evictions and restarts.
      if (count(room) === 0) room.schedule("close", room.now + OPEN_FOR);
      room.sql.exec("INSERT OR REPLACE INTO votes (user, choice) VALUES (?, ?)", me.id, choice);
      // What is stored and sent in place of what was published.
      return { choice, votes: tally(room) };
    },

    onTimer(room, name) {
      if (name !== "close") return;
      room.sql.exec("INSERT OR REPLACE INTO votes (user, choice) VALUES ('', 'over')");
      room.publish({ over: true, votes: tally(room) });
    },

    /** What a client starts from when it cannot resume. */
    snapshot(room) {
      table(room);
      return { over: isOver(room), votes: tally(room) };
    },

    methods: {
      /** `call("mine")`: what the caller has voted for. */
      mine(room, me) {
        table(room);
        const [row] = room.sql.exec<{ choice: string }>("SELECT choice FROM votes WHERE user = ?", me.id).toArray();
        return row?.choice ?? null;
      },
    },
  });
}

function table(room: RoomContext): void {
  room.sql.exec("CREATE TABLE IF NOT EXISTS votes (user TEXT PRIMARY KEY, choice TEXT NOT NULL)");
}

function count(room: RoomContext): number {
  return room.sql.exec<{ n: number }>("SELECT count(*) AS n FROM votes").one().n;
}

/** The row of nobody says that the poll is over: no user has an empty id. */
function isOver(room: RoomContext): boolean {
  return room.sql.exec("SELECT 1 FROM votes WHERE user = ''").toArray().length > 0;
}

function tally(room: RoomContext): Json {
  const rows = room.sql
    .exec<{ choice: string; n: number }>("SELECT choice, count(*) AS n FROM votes WHERE user <> '' GROUP BY choice")
    .toArray();
  return Object.fromEntries(rows.map(({ choice, n }) => [choice, n]));
}

const app = new Hono<{ Bindings: Env }>();

// In place of your own login, which would first make sure that the user is who they say.
app.post("/login", async (c) => {
  const { user } = await c.req.json<{ user: string }>();
  const token = await new SignJWT({ rooms: { "poll/*": ["join", "publish", "call"] } })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(user)
    .setIssuedAt()
    .setExpirationTime("10m")
    .sign(new TextEncoder().encode(c.env.AUTH_SECRET));
  return c.json({ token });
});

app.route("/", createApp<Env>({ rooms: { poll: "POLL" } }));

export default app;
