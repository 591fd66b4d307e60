/** Storage has a version: new storage gets the tables, older is brought up, newer is refused and left alone. */
import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import { migrate, SCHEMA_VERSION } from "../../src/room/store/schema.ts";
import { Client, upgrade } from "../support/client.ts";
import { TestedRoom } from "../support/room.ts";

const metaOf = async (room: TestedRoom) =>
  Object.fromEntries(
    (await room.sql("SELECT key, value FROM edgerooms_meta")).map((row) => [row["key"], row["value"]]),
  );

it("new storage gets this version, and an epoch of its own with its first connection", async () => {
  const [one, two] = [new TestedRoom(), new TestedRoom()];
  const { welcome } = await Client.join(one.path);
  expect(welcome.epoch).toMatch(/^[\w-]{22,64}$/);
  expect(await metaOf(one)).toMatchObject({ schema: String(SCHEMA_VERSION), epochs: `${welcome.epoch} 0` });
  expect((await Client.join(two.path)).welcome.epoch).not.toBe(welcome.epoch);
});

it("R16: a caller that only looks at a room, or is refused, leaves no table behind", async () => {
  const room = new TestedRoom();
  expect(await room.stub.members()).toEqual([]);
  await room.stub.kick("nobody");
  const refused = await upgrade(room.path, { claims: { rooms: { "*": [] } } });
  expect(refused.webSocket).toBeTruthy();
  expect(await room.sql("SELECT name FROM sqlite_master WHERE name LIKE 'edgerooms%'")).toEqual([]);
  const { client } = await Client.join(room.path);
  expect(await client.publish(1, "kept")).toMatchObject({ offset: 1 });
});

it("migrating again changes nothing", async () => {
  const room = new TestedRoom();
  const { client } = await Client.join(room.path);
  await client.publish(1, "kept");
  await runInDurableObject(room.stub, (_room, { storage }) => {
    const before = storage.sql.exec("SELECT total_changes() AS n").one()["n"];
    migrate(storage.sql);
    expect(storage.sql.exec("SELECT total_changes() AS n").one()["n"]).toBe(before);
  });
});

it("E13: storage of a newer version is refused clearly and kept as it is", async () => {
  const room = new TestedRoom();
  const { client } = await Client.join(room.path);
  await client.publish(1, "from the future");
  await runInDurableObject(room.stub, (_room, { storage }) => {
    storage.sql.exec("UPDATE edgerooms_meta SET value = '99' WHERE key = 'schema'");
    expect(() => migrate(storage.sql)).toThrow(`schema 99, newer than ${SCHEMA_VERSION}`);
    storage.sql.exec("UPDATE edgerooms_meta SET value = 'garbage' WHERE key = 'schema'");
    expect(() => migrate(storage.sql)).toThrow("schema NaN");
    expect(storage.sql.exec("SELECT count(*) AS n FROM edgerooms_log").one()["n"]).toBe(1);
  });
});

it("a room that cannot read its storage refuses upgrades with storage_failed, and says no more", async () => {
  const room = new TestedRoom();
  await room.stub.publish("there are tables");
  await room.sql("UPDATE edgerooms_meta SET value = '99' WHERE key = 'schema'");
  await room.abort();
  const response = await upgrade(room.path);
  const client = new Client(response.webSocket as WebSocket);
  expect(await client.next("bye")).toEqual({ type: "bye", code: 4107, reason: "storage_failed" });
  // Refused is refused: it is not tried again and again, keeps nobody else waiting, and does not happen later.
  const answer = await runInDurableObject(room.stub, async (object) =>
    object.publish("refused too").then(String, String),
  );
  expect(answer).toContain("The room's storage failed.");
  expect(room.reports).toHaveLength(2);
  await room.sql("UPDATE edgerooms_meta SET value = ? WHERE key = 'schema'", String(SCHEMA_VERSION));
  expect(await room.stub.members()).toEqual([]);
  expect(await room.sql("SELECT last FROM edgerooms_log")).toEqual([{ last: 1 }]);
});
