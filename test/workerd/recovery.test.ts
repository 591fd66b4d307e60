/** Storage that is wiped, or put back to an older state: clients are told, and a position never means something else. */
import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import { decodeServer } from "../../src/protocol/codec.ts";
import { sealUpgrade } from "../../src/room/admission.ts";
import { Client } from "../support/client.ts";
import { TestedRoom } from "../support/room.ts";

type Tables = Record<string, Record<string, SqlStorageValue>[]>;

/** Every row of every table of ours, as a backup would have them. */
async function backUp(room: TestedRoom): Promise<Tables> {
  const names = await room.sql("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'edgerooms_%'");
  const tables: Tables = {};
  for (const name of names.map((row) => row["name"] as string)) tables[name] = await room.sql(`SELECT * FROM ${name}`);
  return tables;
}

/** Puts storage back; like every restore, it ends the object and its sockets. */
async function restore(room: TestedRoom, tables: Tables): Promise<void> {
  await runInDurableObject(room.stub, (_room, { storage }) => {
    for (const [name, rows] of Object.entries(tables)) {
      storage.sql.exec(`DELETE FROM ${name}`);
      for (const row of rows) {
        const marks = Object.keys(row).map(() => "?");
        storage.sql.exec(
          `INSERT INTO ${name} (${Object.keys(row).join(", ")}) VALUES (${marks.join(", ")})`,
          ...Object.values(row),
        );
      }
    }
  });
  await room.abort();
}

/** A room put back to its first publication, and the place of bob, who has seen a second. */
async function undone() {
  const room = new TestedRoom();
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const { client: bob, welcome } = await Client.join(room.path, { user: "bob" });
  const { session, epoch } = welcome;
  await ann.publish(1, "kept");
  const backup = await backUp(room);
  await ann.publish(2, "undone");
  await bob.until(() => bob.items.length === 2);
  await restore(room, backup);
  return { room, session, epoch };
}

it("promise 2: a position in a history that a restore undid is refused, also when the room has passed it again", async () => {
  const { room, session, epoch } = await undone();

  const { client: eve } = await Client.join(room.path, { user: "eve" });
  for (let ref = 1; ref <= 3; ref++) await eve.publish(ref, `other ${ref}`);
  // Offset 2 was "undone" when bob saw it, and is "other 1" now.
  const { client: back, welcome: again } = await Client.join(room.path, { user: "bob", session, epoch, offset: 2 });
  expect(again).toMatchObject({ resumed: false, reason: "epoch_changed", session });
  expect(again.epoch).not.toBe(epoch);
  expect((await back.next("snapshot")).data).toMatchObject([
    { offset: 1, data: "kept" },
    { offset: 2, data: "other 1" },
    { offset: 3, data: "other 2" },
    { offset: 4, data: "other 3" },
  ]);
});

it("promise 2: nor when the room is passing it in the very tick of the resume", async () => {
  const { room, session, epoch } = await undone();
  const admission = sealUpgrade({
    kind: room.kind,
    room: room.name,
    credentials: { user: "bob", grants: ["join"], issued: 0, expires: Date.now() + 3_600_000 },
    requestId: "request",
    receivedAt: Date.now(),
    resume: { session, position: { epoch, offset: 2 } },
    credit: false,
  });
  // The first event neither connects nor publishes, so that the room is busy when the others come: they share a tick.
  const { offset, told } = await runInDurableObject(room.stub, async (object) => {
    const first = object.members();
    const second = object.publish("other");
    const third = object.fetch(admission);
    await first;
    const { offset: taken } = await second;
    const socket = (await third).webSocket as WebSocket;
    const message = new Promise<string>((resolve) => {
      socket.addEventListener("message", ({ data }) => resolve(data as string));
    });
    socket.accept();
    return { offset: taken, told: await message };
  });
  expect(offset).toBe(2);
  const [hello, snapshot] = decodeServer(told) ?? [];
  expect(hello).toMatchObject({ type: "welcome", resumed: false, reason: "epoch_changed" });
  expect(snapshot).toMatchObject({ type: "snapshot", data: [{ data: "kept" }, { data: "other" }] });
});

it("promise 2: a position from before the restored state is continued from", async () => {
  const room = new TestedRoom();
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const { welcome } = await Client.join(room.path, { user: "bob" });
  const { session, epoch } = welcome;
  await ann.publish(1, "one");
  await ann.publish(2, "two");
  const backup = await backUp(room);
  await ann.publish(3, "undone");
  await restore(room, backup);
  const { client: eve } = await Client.join(room.path, { user: "eve" });
  await eve.publish(1, "three");
  const { client: back, welcome: again } = await Client.join(room.path, { user: "bob", session, epoch, offset: 1 });
  expect(again.resumed).toBe(true);
  await back.until(() => back.items.length === 2);
  expect(back.items.map((item) => item.data)).toEqual(["two", "three"]);
});

it("promise 2: an epoch that began after the restored state is not known", async () => {
  const room = new TestedRoom();
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const first = await Client.join(room.path, { user: "bob" });
  await ann.publish(1, "one");
  const backup = await backUp(room);
  await room.abort();
  const { session } = first.welcome;
  const second = await Client.join(room.path, { user: "bob", session, epoch: first.welcome.epoch, offset: 1 });
  expect(second.welcome.resumed).toBe(true);
  const { epoch } = second.welcome;
  expect(epoch).not.toBe(first.welcome.epoch);
  await restore(room, backup);
  const { welcome: third } = await Client.join(room.path, { user: "bob", session, epoch, offset: 1 });
  expect(third).toMatchObject({ resumed: false, reason: "epoch_changed" });
});

it("promise 2: a kill or a sleep without anyone undoes nothing: positions stay good, and cost one row each start", async () => {
  const room = new TestedRoom();
  const { client, welcome } = await Client.join(room.path);
  const { session } = welcome;
  let { epoch } = welcome;
  await client.publish(1, "one");
  for (const start of ["abort", "evict"] as const) {
    if (start === "evict") {
      // Nobody is connected when the room goes out of memory.
      await runInDurableObject(room.stub, (_room, state) => {
        for (const socket of state.getWebSockets()) socket.close(1001, "test");
      });
    }
    await room[start]();
    const { welcome: again } = await Client.join(room.path, { session, epoch, offset: 1 });
    expect(again.resumed, start).toBe(true);
    ({ epoch } = again);
  }
  const { client: last } = await Client.join(room.path, { session, epoch, offset: 1 });
  const before = await room.rowsWritten();
  await last.publish(2, "two");
  expect((await room.rowsWritten()) - before).toBe(1);
});

it("remembers no more epochs than positions can be continued from, and never more than a thousand", async () => {
  const room = new TestedRoom("small");
  const remembered = async () => {
    const [row] = await room.sql("SELECT value FROM edgerooms_meta WHERE key = 'epochs'");
    return ((row?.["value"] ?? "") as string).split(" ").length / 2;
  };
  const enter = async () => {
    const { client } = await Client.join(room.path);
    client.send({ type: "leave" });
    await client.next("bye");
  };
  for (let times = 1; times <= 3; times++) {
    await enter();
    expect(await remembered()).toBe(times);
  }
  const many = Array.from({ length: 1_000 }, (_, i) => `epoch-${i} 0`).join(" ");
  await room.sql("UPDATE edgerooms_meta SET value = ? WHERE key = 'epochs'", many);
  await room.abort();
  await enter();
  expect(await remembered()).toBe(1_000);
  for (let offset = 1; offset <= 12; offset++) await room.stub.publish(offset);
  await room.abort();
  await room.stub.publish("one more");
  expect(await remembered()).toBe(2);
});

it("storage that is wiped: a new epoch, a new session, and the state as it is now", async () => {
  const room = new TestedRoom();
  const { client, welcome } = await Client.join(room.path);
  await client.publish(1, "gone");
  const { session, epoch } = welcome;
  await runInDurableObject(room.stub, (_room, { storage }) => storage.deleteAll());
  await room.abort();
  const { client: back, welcome: again } = await Client.join(room.path, { session, epoch, offset: 1 });
  expect(again).toMatchObject({ resumed: false, reason: "session_unknown", offset: 0, ref: 0 });
  expect(again.session).not.toBe(session);
  expect(again.epoch).not.toBe(epoch);
  expect((await back.next("snapshot")).data).toEqual([]);
  expect(await back.publish(1, "anew")).toMatchObject({ offset: 1 });
});

it("storage that is wiped under a running room: everyone is sent back, to a room that is new", async () => {
  const room = new TestedRoom();
  const { client, welcome } = await Client.join(room.path);
  await client.publish(1, "gone");
  const { session, epoch } = welcome;
  await runInDurableObject(room.stub, (_room, { storage }) => storage.deleteAll());
  client.send({ type: "publish", ref: 2, data: "into nothing" });
  await client.until(() => client.closed !== undefined);
  expect(client.closed).toEqual({ code: 1012, reason: "restarting" });
  expect(client.of("ack")).toHaveLength(1);
  const { client: back, welcome: again } = await Client.join(room.path, { session, epoch, offset: 1 });
  expect(again).toMatchObject({ resumed: false, reason: "session_unknown", offset: 0 });
  expect(await back.publish(1, "anew")).toMatchObject({ offset: 1 });
});
