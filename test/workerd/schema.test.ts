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
  await one.stub.members();
  expect(await metaOf(one)).toEqual({ schema: String(SCHEMA_VERSION) });
  const { welcome } = await Client.join(one.path);
  expect(welcome.epoch).toMatch(/^[\w-]{22}$/);
  expect(await metaOf(one)).toMatchObject({ epochs: `${welcome.epoch} 0` });
  expect((await Client.join(two.path)).welcome.epoch).not.toBe(welcome.epoch);
});

it("storage of version 1, with one epoch for ever, is brought up and resumed from", async () => {
  const room = new TestedRoom();
  const { client, welcome } = await Client.join(room.path);
  await client.publish(1, "seen");
  await client.publish(2, "missed");
  const { session, epoch } = welcome;
  await room.sql("DELETE FROM edgerooms_meta WHERE key = 'epochs'");
  await room.sql("INSERT INTO edgerooms_meta (key, value) VALUES ('epoch', ?)", epoch);
  for (const table of ["edgerooms_keys", "edgerooms_outbox", "edgerooms_dead"]) await room.sql(`DROP TABLE ${table}`);
  await room.sql("UPDATE edgerooms_meta SET value = '1' WHERE key = 'schema'");
  await room.abort();
  const { client: back, welcome: again } = await Client.join(room.path, { session, epoch, offset: 1 });
  expect(again.resumed).toBe(true);
  expect((await back.next("pub")).items).toMatchObject([{ offset: 2, data: "missed" }]);
  expect(await metaOf(room)).toMatchObject({
    schema: String(SCHEMA_VERSION),
    epochs: `${epoch} 0 ${again.epoch} 2`,
  });
  expect(await metaOf(room)).not.toHaveProperty("epoch");
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

it("storage of a newer version is refused clearly and kept as it is", async () => {
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
  await room.stub.members();
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
  expect(await room.sql("SELECT items FROM edgerooms_log")).toEqual([]);
});
