/** Heartbeats from the real alarm: answered by the runtime while the room sleeps, and noticed when they are not. */
import { expect, it } from "vitest";
import { Client } from "../support/client.ts";
import { isOpen, join } from "../support/joined.ts";
import { eventually } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";

it("keeps who answers, also while the room is out of memory between the heartbeats", async () => {
  const room = new TestedRoom("heartbeat");
  const { client } = await Client.join(room.path);
  for (let heartbeat = 1; heartbeat <= 6; heartbeat++) {
    await client.until(() => client.of("heartbeat").length === heartbeat);
    await client.until(() => client.messages.filter((text) => text === "pong").length === heartbeat);
    await room.evict();
  }
  expect(client.closed).toBeUndefined();
  expect(client.of("bye")).toEqual([]);
});

it("drops a client that leaves three in a row unanswered, tells it, and announces the leave after the grace", async () => {
  const room = new TestedRoom("heartbeat");
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const { client: bob } = await Client.join(room.path, { user: "bob" });
  bob.silent = true;
  expect(await bob.next("bye")).toMatchObject({ code: 4000, reason: "heartbeat_lost" });
  expect(bob.of("heartbeat")).toHaveLength(3);
  await ann.until(() => ann.of("presence").at(-1)?.leave?.[0] === "bob");
  expect(ann.of("bye")).toEqual([]);
});

it("C2: pings of the clients wake no room: fifty of them are answered while it sleeps", async () => {
  const room = new TestedRoom();
  const { client, states } = join(room, "ann", { pingInterval: 10 });
  await isOpen(client);
  let answers = 0;
  client.on("latency", () => answers++);
  await room.evict();
  answers = 0;
  await eventually(() => expect(answers).toBeGreaterThan(50));
  expect(await room.wasAwake()).toBe(false);
  expect(states).toEqual(["open"]);
});
