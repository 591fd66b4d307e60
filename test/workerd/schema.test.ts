/** Storage has a version: new storage gets the tables, older is brought up, newer is refused and left alone. */
import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import { migrate, SCHEMA_VERSION } from "../../src/room/schema.ts";
import { Client, upgrade } from "../support/client.ts";
import { TestedRoom } from "../support/room.ts";

it("new storage gets this version and an epoch of its own, once", async () => {
  const [one, two] = [new TestedRoom(), new TestedRoom()];
  const meta = async (room: TestedRoom) =>
    Object.fromEntries(
      (await room.sql("SELECT key, value FROM edgerooms_meta")).map((row) => [row["key"], row["value"]]),
    );
  const first = await meta(one);
  expect(first).toMatchObject({ schema: String(SCHEMA_VERSION), epoch: expect.stringMatching(/^[\w-]{22}$/) });
  expect((await meta(two))["epoch"]).not.toBe(first["epoch"]);
  await one.abort();
  expect(await meta(one)).toEqual(first);
});

it("migrating again changes nothing", async () => {
  const room = new TestedRoom();
  const { client } = await Client.join(room.path);
  await client.publish(1, "kept");
  await runInDurableObject(room.stub, (_room, { storage }) => {
    const before = storage.sql.exec("SELECT total_changes() AS n").one()["n"];
    migrate(storage, "another epoch");
    expect(storage.sql.exec("SELECT total_changes() AS n").one()["n"]).toBe(before);
  });
});

it("storage of a newer version is refused clearly and kept as it is", async () => {
  const room = new TestedRoom();
  const { client } = await Client.join(room.path);
  await client.publish(1, "from the future");
  await runInDurableObject(room.stub, (_room, { storage }) => {
    storage.sql.exec("UPDATE edgerooms_meta SET value = '99' WHERE key = 'schema'");
    expect(() => migrate(storage, "x")).toThrow("schema 99, newer than 1");
    storage.sql.exec("UPDATE edgerooms_meta SET value = 'garbage' WHERE key = 'schema'");
    expect(() => migrate(storage, "x")).toThrow("schema NaN");
    expect(storage.sql.exec("SELECT count(*) AS n FROM edgerooms_log").one()["n"]).toBe(1);
  });
});

it("a room that cannot read its storage refuses upgrades with internal, and says no more", async () => {
  const room = new TestedRoom();
  await room.sql("UPDATE edgerooms_meta SET value = '99' WHERE key = 'schema'");
  await room.abort();
  const response = await upgrade(room.path);
  const client = new Client(response.webSocket as WebSocket);
  expect(await client.next("bye")).toEqual({ type: "bye", code: 1011, reason: "internal" });
});
