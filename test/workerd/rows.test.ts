/** What the bill counts: rows written, alarms included, and whether anything wakes the room. */
import { expect, it } from "vitest";
// @ts-expect-error Only the bundler knows `?raw`: the file as text.
import costDoc from "../../docs/guides/cost.md?raw";
import { Client } from "../support/client.ts";
import { TestedRoom } from "../support/room.ts";
import { schemaRows } from "../support/schema-rows.ts";

/** Rows written by what `happens`. The count itself writes none. */
async function rowsOf(room: TestedRoom, happens: () => Promise<unknown>): Promise<number> {
  const before = await room.rowsWritten();
  await happens();
  return (await room.rowsWritten()) - before;
}

it("writes one row for a lone publication, from the first to long after the log has wrapped around", async () => {
  const room = new TestedRoom("small");
  const { client } = await Client.join(room.path);
  for (let ref = 1; ref <= 30; ref++) {
    const rows = await rowsOf(room, () => client.publish(ref, ref));
    expect(rows, `publication ${ref}`).toBe(1);
  }
  expect(await room.sql("SELECT count(*) AS n FROM edgerooms_log")).toEqual([{ n: 5 }]);
});

it("writes one row for a tick of many publications", async () => {
  const room = new TestedRoom("fast");
  const { client } = await Client.join(room.path);
  let ref = 0;
  for (let tick = 0; tick < 30; tick++) {
    const rows = await rowsOf(room, async () => {
      client.send(...Array.from({ length: 100 }, () => ({ type: "publish", ref: ++ref, data: ref }) as const));
      await client.until(() => client.of("ack").length === ref);
    });
    expect(rows, `tick ${tick}`).toBe(1);
  }
  // 1,000 are kept, in the slots of segments of 100.
  const [{ n, first } = {}] = await room.sql("SELECT count(*) AS n, min(first) AS first FROM edgerooms_log");
  expect(Number(n)).toBeLessThanOrEqual(12);
  expect(Number(first)).toBeLessThanOrEqual(2_001);
});

it("writes no row for signals, acks, syncs, repeats and nonsense", async () => {
  const room = new TestedRoom("fast");
  const { client: ann } = await Client.join(room.path, { user: "ann", credit: true });
  const { client: bob } = await Client.join(room.path, { user: "bob" });
  await ann.publish(1, "one");
  const rows = await rowsOf(room, async () => {
    for (let i = 0; i < 50; i++) bob.send({ type: "signal", data: i });
    await ann.until(() => ann.of("signal").length === 50);
    ann.send({ type: "ack", offset: 1 }, { type: "publish", ref: 1, data: "one" });
    bob.send(
      { type: "sync", offset: 0 },
      { type: "ack", offset: 0 },
      { type: "call", ref: 1, method: "x", data: null },
    );
    bob.socket.send("nonsense");
    await bob.next("error");
  });
  expect(rows).toBe(0);
});

it("neither writes nor wakes for a ping", async () => {
  const room = new TestedRoom();
  const { client } = await Client.join(room.path);
  const before = await room.rowsWritten();
  await room.evict();
  for (let i = 1; i <= 5; i++) {
    client.socket.send("ping");
    await client.until(() => client.messages.filter((text) => text === "pong").length === i);
  }
  expect(await room.wasAwake()).toBe(false);
  expect(await room.rowsWritten()).toBeLessThanOrEqual(before);
});

it("writes one row, the alarm's own, for a heartbeat, and sends fewer while nothing happens", async () => {
  const room = new TestedRoom("heartbeat");
  const { client } = await Client.join(room.path);
  const idle = () => client.of("heartbeat").at(-1)?.next === 400;
  await client.until(idle, "the idle interval");
  const heartbeats = client.of("heartbeat").length;
  const rows = await rowsOf(room, () => client.until(() => client.of("heartbeat").length === heartbeats + 3));
  expect(rows).toBe(3);
  expect(client.of("heartbeat").map((heartbeat) => heartbeat.next)).toEqual([100, 200, 400, 400, 400, 400]);
  await client.publish(1, "something happens");
  await client.until(() => client.of("heartbeat").at(-1)?.next === 100, "the active interval");
});

it("E10: docs/guides/cost.md says what the tables of a new room cost", async () => {
  const { all, uncounted } = await schemaRows();
  expect(uncounted).toBeGreaterThan(0);
  const told = /A new room writes (\d+) rows for its tables, once/.exec(costDoc as string);
  expect(Number(told?.[1])).toBe(all);
});
