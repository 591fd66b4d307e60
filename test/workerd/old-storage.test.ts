/**
 * Rooms over storage that older versions wrote, seen by clients: one that was there before the deploy goes on as if
 * nothing had happened. Only the public wire is used.
 */
import { runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { Client, sign, upgrade } from "../support/client.ts";
import { ask, stats } from "../support/events.ts";
import { oldStorages, savedAt, type OldFacts, type OldStorage } from "../support/old-storage.ts";
import { eventually } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";

/** Longer than anything a test does to the clock. */
const TTL = "90d";
const HOUR_MS = 3_600_000;

/**
 * A room over an old storage that was saved a moment ago, and whose clock stands still. The clock is a minute ahead of
 * the tokens: a revocation in the storage is later than they are.
 */
async function opened(old: OldStorage, kind: "chat" | "events" = "chat"): Promise<TestedRoom> {
  const room = new TestedRoom(kind);
  room.stopClock(Date.now() + 60_000);
  const { sql } = savedAt(old, room.now);
  await runInDurableObject(room.stub, (_room, { storage }) => {
    expect(storage.sql.exec("SELECT * FROM sqlite_master").toArray()).toEqual([]);
    storage.sql.exec(sql);
  });
  await room.evict();
  return room;
}

async function resume(room: TestedRoom, { ann }: OldFacts, session: { user: string; session: string; offset: number }) {
  return Client.join(room.path, { ...session, epoch: ann.epoch, ttl: TTL });
}

/** The offset of the answer to a publish. */
async function offsetOf(client: Client, ref: number, data = "again"): Promise<number> {
  return (await client.publish(ref, data)).offset;
}

describe.each(oldStorages)("a room over storage of schema $facts.schema", (old) => {
  const { facts } = old;
  const { ann, bob, crowd, missed } = facts;

  it("resumes a session where it was: nothing missed, nothing hidden shown, nothing twice", async () => {
    const room = await opened(old);
    const { client, welcome } = await resume(room, facts, ann);
    expect(welcome).toMatchObject({
      session: ann.session,
      resumed: true,
      ref: ann.refs.at(-1)?.ref,
      offset: bob.offset,
    });
    await client.until(() => client.items.length >= missed.length, "what ann missed");
    await client.publish(500, "now");
    expect(client.items).toMatchObject([...missed, { offset: bob.offset + 1, by: "ann", data: "now" }]);
    expect(client.items.length).toBe(missed.length + 1);
    expect(room.reports).toEqual([]);
  });

  it("answers a repeated ref with the offset it had, also when the publication has left the log", async () => {
    const room = await opened(old);
    const { client } = await resume(room, facts, ann);
    for (const { ref, offset } of ann.refs) expect(await offsetOf(client, ref)).toBe(offset);
    for (const { refs, ...member } of crowd.slice(0, 3)) {
      const { client: one, welcome } = await resume(room, facts, { ...member, offset: ann.offset });
      expect(welcome).toMatchObject({ resumed: true, ref: 300 });
      for (const { ref, offset } of refs) expect(await offsetOf(one, ref)).toBe(offset);
      expect(await offsetOf(one, 301, "new")).toBeGreaterThan(bob.offset);
      await one.close();
    }
  });

  it("knows who is there, with their presence, those of the killed process included", async () => {
    const room = await opened(old);
    const { welcome } = await resume(room, facts, bob);
    expect(welcome.resumed).toBe(true);
    const members = Object.fromEntries(welcome.members.map((member) => [member.id, member]));
    expect(Object.keys(members).toSorted()).toEqual(["ann", "bob", ...crowd.map(({ user }) => user)]);
    expect(members["ann"]).toMatchObject({ name: "ann é", data: facts.annData });
  });

  it("refuses a token that was revoked", async () => {
    const room = await opened(old);
    const response = await upgrade(room.path, { user: "eve" });
    const client = new Client(response.webSocket as WebSocket);
    expect(await client.next("bye")).toMatchObject({ reason: "revoked" });
  });

  it("runs the timer that was set, with its data", async () => {
    const room = await opened(old);
    const { client } = await resume(room, facts, bob);
    await room.pass(HOUR_MS);
    await client.until(() => client.items.length > 0, "the timer");
    expect(client.items.at(-1)?.data).toEqual({ timer: "tea", data: { text: "tea ☕" } });
  });

  it("keeps all of it when it is killed right after it was brought up", async () => {
    const room = await opened(old);
    const { client } = await resume(room, facts, ann);
    await client.until(() => client.items.length >= missed.length, "what ann missed");
    await room.abort();
    const { client: again, welcome } = await resume(room, facts, ann);
    expect(welcome.resumed).toBe(true);
    await again.until(() => again.items.length >= missed.length, "what ann missed");
    expect(again.items).toMatchObject(missed);
    for (const { ref, offset } of ann.refs) expect(await offsetOf(again, ref)).toBe(offset);
  });
});

const [, , newest] = oldStorages as [OldStorage, OldStorage, OldStorage];

describe("a room over storage of schema 3", () => {
  it("answers a repeated Idempotency-Key with the first publication", async () => {
    const room = await opened(newest);
    const key = newest.facts.key as NonNullable<OldFacts["key"]>;
    const token = await sign(key.user, { rooms: { "*": ["publish"] } }, TTL);
    const response = await exports.default.fetch(`http://edge.test/rooms/${room.path}/publish`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "idempotency-key": key.key },
      body: JSON.stringify(key.body),
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("idempotent-replayed")).toBe("true");
    expect(await response.json()).toMatchObject({ offset: key.offset });
  });

  it("delivers the events that waited, and those given up when an operator says so", async () => {
    const room = await opened(newest, "events");
    expect(await stats(room)).toMatchObject(newest.facts.outbox ?? {});
    await resume(room, newest.facts, newest.facts.bob);
    await room.pass(HOUR_MS);
    const published = () => room.receiver.events.map(({ publication }) => publication?.data);
    await eventually(() => expect(published()).toContain("by http, down"));
    expect(published()).not.toContain("poison");
    await ask(room, "redeliver", {});
    await eventually(() => expect(published()).toContain("poison"));
    await eventually(async () => expect(await stats(room)).toMatchObject({ pending: 0, dead: 0 }));
  });
});
