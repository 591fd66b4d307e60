/** Rooms that must stay in a jurisdiction, where the runtime has none: on a developer's machine they work all the same. */
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import type { RoomPage } from "../../src/protocol/api.ts";
import { shardsIn } from "../../src/ops/shards.ts";
import { sign } from "../support/client.ts";
import { door, enter } from "../support/door.ts";
import { eventually } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";

const confined = door({ rooms: { chat: { room: "CHAT", jurisdiction: "eu", locationHint: "weur" }, relay: "RELAY" } });

it("the runtime of this machine knows no jurisdiction", () => {
  expect(() => env.CHAT.jurisdiction("eu")).toThrow("not implemented in workerd");
});

it("a room is entered, and listed once", async () => {
  const { name } = new TestedRoom("chat");
  const { client } = await enter(confined, `/rooms/chat/${name}`);
  client.send({ type: "publish", ref: 1, data: "here" });
  await client.next("ack");
  const authorization = `Bearer ${await sign("op", { rooms: { [`chat/${name}`]: ["admin"] } })}`;
  const listed = async (): Promise<string[]> => {
    const found: string[] = [];
    for (let query: string | undefined = ""; query !== undefined;) {
      const response = await confined(new Request(`http://edge.test/rooms${query}`, { headers: { authorization } }));
      const page: RoomPage = await response.json();
      found.push(...page.rooms.map(({ room }) => room));
      query = page.next === undefined ? undefined : `?cursor=${page.next}`;
    }
    return found;
  };
  await eventually(async () => expect(await listed()).toEqual([name]));
});

it("the directory has parts in every jurisdiction, numbered through; on this machine in none", () => {
  const within = (jurisdiction?: string) => ({
    jurisdiction: (one: string) => within(one),
    getByName: (name: string) => ({ jurisdiction, name }),
  });
  const shards = shardsIn({ EDGEROOMS_DIRECTORY: within() }, [undefined, "eu", "us"]);
  expect(shards?.count).toBe(48);
  expect([15, 16, 47].map((shard): unknown => shards?.get(shard))).toEqual([
    { jurisdiction: undefined, name: "15" },
    { jurisdiction: "eu", name: "0" },
    { jurisdiction: "us", name: "15" },
  ]);
  expect(() => shards?.get(48)).toThrow("no part 48");
  expect(shardsIn(env, [undefined, "eu", "us"])?.count).toBe(16);
});
