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

/** Names of the rooms that are listed. */
async function listed(): Promise<string[]> {
  const all = shards();
  const pages = Array.from({ length: all.count }, (_, shard) => listRooms(all, { shard }, {}));
  return (await Promise.all(pages)).flatMap(({ rooms }) => rooms.map(({ kind, room }) => `${kind}/${room}`));
}

it("the counts of relays are those of their room's kind, and a list has the room only", async () => {
  const room = new TestedRoom("large");
  const clients: Client[] = [];
  for (const user of ["a", "b", "c", "d"]) clients.push((await Client.join(room.path, { user })).client);
  const [, , third] = clients as [Client, Client, Client];
  await third.publish(1, "hi");
  for (const client of clients) await client.until(() => client.items.length === 1, "the publication");
  await eventually(async () => expect(await listed()).toEqual([room.path]));
  for (const client of clients) await client.close();
  await eventually(async () => {
    expect(await counted()).toMatchObject({ connects: 4, publications: 1, deliveries: 4 });
    expect(await listed()).toEqual([]);
  });
  expect(Object.keys((await allTotals(shards())).value).toSorted()).toEqual(["", "large"]);
});
