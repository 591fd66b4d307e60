/** What the others see of a member: changes are announced, whatever causes them, and only changes. */
import { expect, it } from "vitest";
import { sealUpgrade } from "../../src/room/admission.ts";
import { Client } from "../support/client.ts";
import { randomFrom } from "../support/random.ts";
import { TestedRoom } from "../support/room.ts";

it("presence data is the member's, set by any tab, and falls back when that tab ends", async () => {
  const room = new TestedRoom();
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const { client: one } = await Client.join(room.path, { user: "bob" });
  const { client: two } = await Client.join(room.path, { user: "bob" });
  one.send({ type: "presence", data: "one" });
  await ann.until(() => ann.of("presence").length === 2);
  two.send({ type: "presence", data: "two" });
  await ann.until(() => ann.of("presence").length === 3);
  two.send({ type: "presence", data: "two" });
  two.send({ type: "leave" });
  await ann.until(() => ann.of("presence").length === 4);
  expect(ann.of("presence").map(({ join, update }) => (join ?? update)?.[0]?.data)).toEqual([
    undefined,
    "one",
    "two",
    "one",
  ]);
  expect(await room.stub.members()).toEqual([{ id: "ann" }, { id: "bob", data: "one" }]);
});

it("a name from a newer token is announced", async () => {
  const room = new TestedRoom();
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  await Client.join(room.path, { user: "bob", claims: { name: "Bob" } });
  await Client.join(room.path, { user: "bob", claims: { name: "Robert" } });
  await ann.until(() => ann.of("presence").length === 2);
  expect(ann.of("presence")[1]).toEqual({ type: "presence", update: [{ id: "bob", name: "Robert" }] });
});

it("presence data that is too large, alone or with everyone's, is refused", async () => {
  const room = new TestedRoom("fast");
  room.stopClock();
  const { client } = await Client.join(room.path, { user: "ann" });
  client.send({ type: "presence", data: "x".repeat(2_047) });
  expect(await client.next("error")).toMatchObject({ code: "rejected" });
  // 255 others show as much as one may; they are gone, but within the grace.
  const most = "x".repeat(2_046);
  await room.sql(
    `WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 255)
     INSERT INTO edgerooms_sessions SELECT 'session' || i, 'user' || i, name, grants, request_id, generation,
       connected_at, connected_at, present, expires, ?, data_at FROM edgerooms_sessions JOIN n`,
    JSON.stringify(most),
  );
  await room.evict();
  const { client: bob } = await Client.join(room.path, { user: "bob" });
  for (const each of [client, bob]) {
    each.send({ type: "presence", data: most }, { type: "call", ref: 1, method: "none", data: null });
    await each.next("reply");
  }
  // What ann said first was too large by itself.
  expect([client.of("error").length, bob.of("error").length]).toEqual([1, 1]);
  // Less than before always fits, and leaves room for another.
  for (const [each, data] of [
    [client, "little"],
    [bob, most.slice("little".length + 2)],
  ] as const) {
    each.send({ type: "presence", data }, { type: "call", ref: 2, method: "none", data: null });
    await each.next("reply");
  }
  expect([client.of("error").length, bob.of("error").length]).toEqual([1, 1]);
  expect((await room.stub.members()).map(({ data }) => data)).toContain("little");
});

it("two tabs of the same moment with two names look the same after an eviction", async () => {
  for (let round = 0; round < 8; round++) {
    const room = new TestedRoom();
    for (const name of ["Bob", "Robert"]) {
      await room.stub
        .fetch(
          sealUpgrade({
            kind: "relay",
            room: room.name,
            credentials: { user: "bob", name, grants: ["join"], issued: 1, expires: Date.now() + 60_000 },
            requestId: "r",
            receivedAt: 1_800_000_000_000,
            credit: false,
          }),
        )
        .then((response) => response.webSocket?.accept());
    }
    const before = await room.stub.members();
    await room.evict();
    expect(await room.stub.members()).toEqual(before);
  }
});

it("the list in every welcome is who is here, whatever came before and whether or not the room slept", async () => {
  const random = randomFrom(20_261_123);
  const room = new TestedRoom("fast");
  const here: Client[] = [];
  for (let i = 0; i < 60; i++) {
    const user = ["ann", "bob", "\u00e9mile", "zo\u00eb", "\u{1f600}"][Math.floor(random() * 5)] ?? "";
    const claims = random() < 0.3 ? { name: `name ${i}` } : {};
    const { client, welcome } = await Client.join(room.path, { user, claims });
    expect(welcome.members).toEqual(await room.stub.members());
    here.push(client);
    const [other] = here.splice(Math.floor(random() * here.length), 1);
    const chance = random();
    if (other && chance < 0.3) {
      other.send({ type: "leave" });
      await other.next("bye");
    } else if (other) {
      other.send({ type: "presence", data: i }, { type: "call", ref: i + 1, method: "none", data: null });
      await other.next("reply");
      here.push(other);
    }
    if (random() < 0.2) await room.evict();
  }
});
