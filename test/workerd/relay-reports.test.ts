/** What the directory learns of relays: their counts under the kind of their room, and no rooms of their own. */
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { allTotals, listRooms, shardsIn } from "../../src/ops/shards.ts";
import { Client } from "../support/client.ts";
import { eventually } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";

const shards = () => {
  const found = shardsIn(env, [undefined]);
  if (!found) throw new Error("no directory");
  return found;
};

/** What was counted in the rooms of the kind. */
const counted = async () => (await allTotals(shards())).value["large"]?.counts ?? {};

/** The rooms that are listed, with their connections and members. */
async function listed(): Promise<string[]> {
  const all = shards();
  const pages = Array.from({ length: all.count }, (_, shard) => listRooms(all, { shard }, {}));
  const rooms = (await Promise.all(pages)).flatMap((page) => page.rooms);
  return rooms.map(({ kind, room, connections, members }) => `${kind}/${room} ${connections} ${members}`);
}

/** Goes for good. */
async function leave(client: Client): Promise<void> {
  client.send({ type: "leave" });
  await client.until(() => client.closed !== undefined, "the close");
}

it("the counts of relays are those of their room's kind, and a list has the room only", async () => {
  const room = new TestedRoom("large");
  const clients: Client[] = [];
  for (const user of ["a", "b", "c", "d"]) clients.push((await Client.join(room.path, { user })).client);
  const [first, second, third] = clients as [Client, Client, Client];
  await third.publish(1, "hi");
  for (const client of clients) await client.until(() => client.items.length === 1, "the publication");
  await eventually(async () => expect(await listed()).toEqual([expect.stringContaining(room.path)]));
  for (const client of [first, second]) await leave(client);
  // With no connection of its own the room is live all the same.
  await third.publish(2, "still here");
  await eventually(async () => expect(await listed()).toEqual([`${room.path} 2 2`]));
  for (const client of clients.slice(2)) await leave(client);
  await eventually(async () => {
    expect(await counted()).toMatchObject({ connects: 4, publications: 2, deliveries: 6 });
    expect(await listed()).toEqual([]);
  });
  expect(Object.keys((await allTotals(shards())).value).toSorted()).toEqual(["", "large"]);
});
