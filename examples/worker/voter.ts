/**
 * Votes in the poll of worker.ts, whose first lines say how to run both, and watches it to its end.
 */
import { connect, RoomError } from "edgerooms/client";

interface Votes {
  readonly [choice: string]: number;
}
interface Poll {
  /** `choice` is what is published; `votes` and `over` are the room's. */
  publication: { readonly choice?: string; readonly over?: boolean; readonly votes?: Votes };
  snapshot: { readonly over: boolean; readonly votes: Votes };
}

const [url = "http://localhost:8787", user = "ann", choice = "tea"] = process.argv.slice(2);

const room = connect<Poll>(url, {
  room: "poll/lunch",
  token: async () => {
    const response = await fetch(new URL("/login", url), { method: "POST", body: JSON.stringify({ user }) });
    const { token } = await response.json<{ token: string }>();
    return token;
  },
});

room.on("reset", ({ data }) => {
  console.log("so far:", data?.votes ?? "the room cannot say");
  if (data?.over) room.leave();
});
room.on("publication", ({ by, data }) => {
  console.log(by ?? "the room", data.choice ?? "closes the poll:", data.votes);
  if (data.over) room.leave();
});

try {
  // The room answers with what it made of the vote, in a publication; the promise says that it is counted.
  await room.publish({ choice });
  console.log("I voted for", await room.call("mine"));
} catch (error) {
  console.log("refused:", error instanceof RoomError ? error.message : error);
  room.leave();
}
