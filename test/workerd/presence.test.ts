/** A room that shows a number instead of a list, in the runtime: its timer, and what the SDK makes of it. */
import { expect, it } from "vitest";
import { defineRoom } from "../../src/server.ts";
import { Client } from "../support/client.ts";
import { isOpen, join } from "../support/joined.ts";
import { eventually } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";
import { equip } from "../support/watching.ts";

it("T13: a number of members is told by a timer of the runtime, to clients that know it and those that do not", async () => {
  const room = new TestedRoom();
  await equip(room, { definition: defineRoom({ presence: "count" }) });
  const { client } = join(room, "ann");
  await isOpen(client);
  const old = await Client.join(room.path, { user: "bob" });
  expect([old.welcome.members, old.welcome.count]).toEqual([[], 2]);
  // Too soon after the last time: only the timer is left to tell it.
  const others = await Promise.all(["cem", "dan"].map((user) => Client.join(room.path, { user })));
  await eventually(() => expect(client.memberCount).toBe(4));
  expect(client.members).toEqual([]);
  await eventually(() => expect(old.client.of("presence").at(-1)).toEqual({ type: "presence", count: 4 }));
  for (const other of others) other.client.send({ type: "leave" });
  await eventually(() => expect(client.memberCount).toBe(2));
  expect((await room.stub.members()).map(({ id }) => id)).toEqual(["ann", "bob"]);
});
