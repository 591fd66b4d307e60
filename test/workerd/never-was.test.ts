/** A room that never was: whatever is asked about it, nothing is created and nothing is written before somebody may join. */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { Client, sign, upgrade } from "../support/client.ts";
import { operator } from "../support/contract.ts";
import { expectBye, worker } from "../support/door.ts";
import { TestedRoom } from "../support/room.ts";

/** What there is of a room, in its storage and in the bill. */
async function left(room: TestedRoom) {
  return runInDurableObject(room.stub, async (_room, { storage }) => ({
    tables: storage.sql.exec("SELECT count(*) AS n FROM sqlite_master").one()["n"],
    rowsWritten: storage.sql.exec("SELECT total_changes() AS n").one()["n"],
    bytes: storage.sql.databaseSize,
    alarm: await storage.getAlarm(),
  }));
}

/** What there is of an object that nobody has asked for anything. */
async function nothing() {
  const untouched = await left(new TestedRoom());
  expect(untouched).toMatchObject({ tables: 0, rowsWritten: 0, alarm: null });
  return untouched;
}

async function ask(room: TestedRoom, method: string, path: string, body?: object): Promise<number> {
  const token = path === "session" ? await sign("mallory", { rooms: { "*": ["join"] } }) : await operator();
  const response = await worker(
    new Request(`http://edge.test/rooms/${room.path}/${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      ...(body && { body: JSON.stringify(body) }),
    }),
  );
  await response.text();
  return response.status;
}

describe("E9: a room that never was has no table, no row and no alarm after", () => {
  it.each([
    ["a refresh of a made-up session", "POST", "session", { session: "nonsense" }, 404],
    ["a look at its members", "GET", "members", undefined, 200],
    ["a look at its sessions", "GET", "sessions", undefined, 200],
    ["a look at its numbers", "GET", "stats", undefined, 200],
    ["a look at its log", "GET", "log", undefined, 200],
    ["a look at its dead letters", "GET", "dead-letters", undefined, 200],
    ["another try for its dead letters", "POST", "redeliver", undefined, 200],
    ["a kick of nobody", "POST", "kick", { user: "nobody" }, 200],
    ["a kick of a made-up session", "POST", "kick", { session: "none" }, 404],
  ])("%s", async (_what, method, path, body, status) => {
    const room = new TestedRoom();
    for (let i = 0; i < 3; i++) expect(await ask(room, method, path, body)).toBe(status);
    expect(await left(room)).toEqual(await nothing());
  });

  it("a connect that resumes a made-up session without the grant to join", async () => {
    const room = new TestedRoom();
    await expectBye(await upgrade(room.path, { session: "made-up", claims: { rooms: { "*": [] } } }), "forbidden");
    expect(await left(room)).toEqual(await nothing());
  });

  it("a join that onJoin refuses, though its hook writes", async () => {
    const room = new TestedRoom("chat");
    await expectBye(await upgrade(room.path, { user: "unwanted" }), "forbidden");
    expect(await left(room)).toMatchObject({ tables: 0, alarm: null });
  });
});

it("E9: a room that was looked at works like any other from its first join on", async () => {
  const room = new TestedRoom();
  expect(await ask(room, "GET", "stats")).toBe(200);
  const { client } = await Client.join(room.path);
  expect(await client.publish(1, "kept")).toMatchObject({ offset: 1 });
  await room.evict();
  expect(await client.publish(2, "kept too")).toMatchObject({ offset: 2 });
  expect(await room.sql("SELECT count(*) AS n FROM edgerooms_log")).toEqual([{ n: 2 }]);
});
