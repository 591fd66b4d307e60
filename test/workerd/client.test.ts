/** The client against the real room: sessions, what survives a cut, a reload, a copied tab. */
import { describe, expect, it } from "vitest";
import { memoryStore, type Json, type RoomClient, type RoomError } from "../../src/client/client.ts";
import { Client, sign } from "../support/client.ts";
import { isOpen, join } from "../support/joined.ts";
import { eventually } from "../support/patience.ts";
import { randomFrom } from "../support/random.ts";
import { TestedRoom } from "../support/room.ts";

describe("a cut", () => {
  it("a publish whose ack is lost with the connection still settles with its offset", async () => {
    const room = new TestedRoom();
    const { client, Tap, items, log } = join(room, "ann");
    await client.publish("before");
    Tap.drops = (data) => data.includes('"ack"');
    const crossing = client.publish("crossing");
    await eventually(async () => expect(await room.sql("SELECT 1 FROM edgerooms_log")).toHaveLength(2));
    expect(items).toEqual(["before"]);
    Tap.last.cut();
    Tap.drops = () => false;
    const after = client.publish("after");
    expect((await crossing).offset).toBe(2);
    expect((await after).offset).toBe(3);
    await eventually(() => expect(items).toEqual(["before", "crossing", "after"]));
    expect(log).toEqual(["reset new at 0", expect.stringMatching(/^resumed at [23]$/)]);
  });

  it("what was missed comes before `resumed`, once and in order", async () => {
    const room = new TestedRoom();
    let away: Promise<void> | undefined;
    const token = async () => (await away, sign("ann"));
    const { client, Tap, items, log } = join(room, "ann", { token });
    await client.publish(1);
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    let comeBack = () => {};
    away = new Promise((resolve) => (comeBack = resolve));
    const seen = new Promise((resolve) => client.on("resumed", () => resolve([...items])));
    Tap.last.cut();
    for (let ref = 1; ref <= 3; ref++) await bob.publish(ref, ref + 1);
    comeBack();
    expect(await seen).toEqual([1, 2, 3, 4]);
    expect(log).toEqual(["reset new at 0", "resumed at 4"]);
    await bob.publish(4, 5);
    await eventually(() => expect(items).toEqual([1, 2, 3, 4, 5]));
  });

  it("a trimmed log gives a snapshot, and unanswered publishes still settle", async () => {
    const room = new TestedRoom("small");
    const { client, Tap, items, log } = join(room, "ann");
    await client.publish("first");
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    // Away until everything is forgotten: the way back is cut, too.
    Tap.drops = () => true;
    Tap.last.cut();
    const late = client.publish("late");
    for (let ref = 1; ref <= 30; ref++) await bob.publish(ref, ref);
    const resets: unknown[] = [];
    client.on("reset", ({ data, reason }) =>
      resets.push([reason, (data as { data: Json }[]).map((item) => item.data)]),
    );
    Tap.last.cut();
    Tap.drops = () => false;
    client.connect();
    await late;
    await eventually(() => expect(items.at(-1)).toBe("late"));
    expect(resets).toHaveLength(1);
    expect(resets[0]).toEqual(["log_trimmed", expect.arrayContaining([30])]);
    expect(log.filter((line) => line.startsWith("reset"))).toHaveLength(2);
    expect(items.filter((item) => item === "late")).toHaveLength(1);
  });

  it("in a new session, sent publishes are outcome_unknown and unsent ones go on", async () => {
    const room = new TestedRoom();
    let away: Promise<void> | undefined;
    let comeBack = () => {};
    const token = async () => (await away, sign("ann"));
    const { client, Tap, log, items } = join(room, "ann", { token });
    await client.publish("before");
    Tap.drops = (data) => data.includes('"ack"');
    const sent = client.publish("sent");
    await eventually(async () => expect(await room.sql("SELECT 1 FROM edgerooms_log")).toHaveLength(2));
    away = new Promise((resolve) => (comeBack = resolve));
    Tap.last.cut();
    Tap.drops = () => false;
    await room.stub.kick("ann");
    const unsent = client.publish("unsent");
    comeBack();
    await expect(sent).rejects.toMatchObject({ code: "outcome_unknown", retryable: false });
    expect((await unsent).offset).toBe(3);
    expect(log).toEqual(["reset new at 0", "reset session_unknown at 2"]);
    await eventually(() => expect(items).toEqual(["before", "unsent"]));
  });
});

describe("storage", () => {
  it("another client with the same storage resumes where the first one was", async () => {
    const room = new TestedRoom();
    const storage = memoryStore();
    const one = join(room, "ann", { storage });
    await one.client.publish(1);
    await eventually(() => expect(one.items).toEqual([1]));
    const { session } = one.client.position ?? {};
    one.client.close();
    await room.dropped(session ?? "");
    const two = join(room, "ann", { storage });
    expect((await two.client.publish(2)).offset).toBe(2);
    expect(two.log).toEqual(["resumed at 1"]);
    expect(two.client.position).toMatchObject({ session });
    await eventually(() => expect(two.items).toEqual([2]));
  });

  it("a reload in mid-flight continues the refs above those of the page before", async () => {
    const room = new TestedRoom();
    const storage = memoryStore();
    const one = join(room, "ann", { storage });
    await Promise.all([one.client.publish(1), one.client.publish(2)]);
    const two = join(room, "ann", { storage });
    expect(await Promise.all([two.client.publish(3), two.client.publish(4)])).toMatchObject([
      { offset: 3 },
      { offset: 4 },
    ]);
    const refs = [...two.Tap.sent.join().matchAll(/"ref":(\d+)/g)].map(([, ref]) => Number(ref));
    expect(refs).toHaveLength(2);
    expect(Math.min(...refs)).toBeGreaterThan(2);
  });

  it("two rooms in one storage do not mix", async () => {
    const storage = memoryStore();
    const [a, b] = [new TestedRoom(), new TestedRoom()];
    const one = join(a, "ann", { storage });
    const two = join(b, "ann", { storage });
    await Promise.all([one.client.publish(1), two.client.publish(2)]);
    await eventually(() => expect([one.items, two.items]).toEqual([[1], [2]]));
    expect(one.client.position?.session).not.toBe(two.client.position?.session);
    expect([one.log, two.log]).toEqual([["reset new at 0"], ["reset new at 0"]]);
  });

  it("a stored position that is not valid is a new session, not a refusal for good", async () => {
    const room = new TestedRoom();
    const storage = memoryStore();
    storage.set(`ws://edge.test/rooms/${room.path}`, '{"session":"a b","epoch":"é","offset":-1}');
    const { client, log } = join(room, "ann", { storage });
    expect((await client.publish(1)).offset).toBe(1);
    expect(log).toEqual(["reset new at 0"]);
  });

  it("the stored session of another user is a new session", async () => {
    const room = new TestedRoom();
    const storage = memoryStore();
    const ann = join(room, "ann", { storage });
    await ann.client.publish(1);
    await eventually(() => expect(ann.items).toEqual([1]));
    const bob = join(room, "bob", { storage });
    await isOpen(bob.client);
    expect(bob.log).toEqual(["reset session_unknown at 1"]);
    expect(bob.client.position?.session).not.toBe(ann.client.position?.session);
  });

  it("a copied tab takes the session over, the first tab gets a new one, and both stay", async () => {
    const room = new TestedRoom();
    const [mine, copy] = [memoryStore(), memoryStore()];
    const one = join(room, "ann", { storage: mine });
    await one.client.publish(1);
    await eventually(() => expect(one.items).toEqual([1]));
    const key = `ws://edge.test/rooms/${room.path}`;
    copy.set(key, mine.get(key) ?? "");
    const { session } = one.client.position ?? {};
    const two = join(room, "ann", { storage: copy });
    await eventually(() => expect(one.log).toEqual(["reset new at 0", "reset new at 1"]));
    await Promise.all([one.client.publish(2), two.client.publish(3)]);
    await eventually(() =>
      expect([one.items, two.items]).toEqual([
        [1, 2, 3],
        [2, 3],
      ]),
    );
    expect(two.client.position?.session).toBe(session);
    expect(one.client.position?.session).not.toBe(session);
    expect([one.Tap.urls.length, two.Tap.urls.length]).toEqual([2, 1]);
    // Each tab reloads into its own.
    expect(mine.get(key)).toContain(one.client.position?.session);
    expect(copy.get(key)).toContain(session);
  });
});

describe("a gap", () => {
  it("a message that never came is asked for by one sync", async () => {
    const room = new TestedRoom();
    const { client, Tap, items } = join(room, "ann");
    await isOpen(client);
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    let dropped = 0;
    Tap.drops = (data) => data.includes('"pub"') && dropped++ === 0;
    for (let ref = 1; ref <= 5; ref++) await bob.publish(ref, ref);
    await eventually(() => expect(items).toEqual([1, 2, 3, 4, 5]));
    expect(Tap.sent.filter((text) => text.includes("sync"))).toEqual(['{"type":"sync","offset":0}']);
  });

  it("a gap whose sync was lost is asked for again at the next heartbeat", async () => {
    const room = new TestedRoom("heartbeat");
    const { client, Tap, items } = join(room, "ann");
    await isOpen(client);
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    let dropped = 0;
    Tap.drops = (data) => data.includes('"pub"') && dropped++ < 3;
    for (let ref = 1; ref <= 2; ref++) await bob.publish(ref, ref);
    await eventually(() => expect(items).toEqual([1, 2]));
    expect(Tap.sent.filter((text) => text.includes("sync")).length).toBeGreaterThanOrEqual(2);
    expect(Tap.urls).toHaveLength(1);
  });
});

describe("going", () => {
  it("leave() is announced at once and forgets, and what the same turn published arrives", async () => {
    const room = new TestedRoom();
    const storage = memoryStore();
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    const { client, states } = join(room, "ann", { storage });
    await isOpen(client);
    const last = client.publish("farewell");
    client.leave();
    await expect(last).rejects.toMatchObject({ code: "outcome_unknown" });
    await bob.until(() => bob.of("presence").some(({ leave }) => leave?.includes("ann") === true));
    expect(bob.items.map(({ data }) => data)).toEqual(["farewell"]);
    expect(states).toEqual(["open", "closed left"]);
    expect(storage).toEqual(new Map());
    expect(client.position).toBeUndefined();
    await expect(client.publish("late")).rejects.toMatchObject({ code: "closed", retryable: false });
  });

  it("leave() and connect() in one turn begin anew", async () => {
    const room = new TestedRoom();
    const { client, log } = join(room, "ann");
    await client.publish(1);
    const { session } = client.position ?? {};
    client.leave();
    client.connect();
    expect((await client.publish(2)).offset).toBe(2);
    expect(client.position?.session).not.toBe(session);
    expect(log).toEqual(["reset new at 0", "reset new at 1"]);
  });

  it("close() is not announced, and connect() resumes", async () => {
    const room = new TestedRoom();
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    const { client, log, items } = join(room, "ann");
    await client.publish(1);
    await eventually(() => expect(items).toEqual([1]));
    client.close();
    client.close();
    await bob.publish(1, "while away");
    client.connect();
    await eventually(() => expect(items).toEqual([1, "while away"]));
    expect(log).toEqual(["reset new at 0", "resumed at 2"]);
    expect(bob.of("presence").filter(({ leave }) => leave)).toEqual([]);
  });
});

describe("a copied tab", () => {
  /** A client that has published once and whose line is dead, and a copy of it that has taken the session over. */
  async function copied() {
    const room = new TestedRoom();
    const key = `ws://edge.test/rooms/${room.path}`;
    const [mine, theirs] = [memoryStore(), memoryStore()];
    const original = join(room, "ann", { storage: mine, random: slow(randomFrom(1)) });
    await original.client.publish("seen by both");
    const line = original.Tap.last;
    line.isDead = true;
    const unsure = publishes(original.client, "of the original, on a dead line", 5);
    theirs.set(key, mine.get(key) ?? "");
    const copy = join(room, "ann", { storage: theirs, random: slow(randomFrom(2)) });
    expect(await publishes(copy.client, "of the copy", 5)).toEqual([2, 3, 4, 5, 6]);
    return { original: original.client, copy: copy.client, line, copyLine: copy.Tap.last, unsure };
  }

  /** Short waits for a test: the jitter takes the same numbers as the refs, which need all of their digits. */
  const slow = (random: () => number) => () => random() / 50;

  /** Publishes so many times. Returns the offsets of what was acked, and the codes of what was not. */
  async function publishes(client: RoomClient, what: string, times: number): Promise<unknown[]> {
    const settled = Array.from({ length: times }, (_, i) => client.publish(`${what} ${i}`));
    return Promise.all(
      settled.map((one) =>
        one.then(
          ({ offset }) => offset,
          (error: RoomError) => error.code,
        ),
      ),
    );
  }

  it("an original tab with a dead line never gets the acks of its copy", async () => {
    const { original, copy, line, unsure } = await copied();
    line.cut();
    // The original takes its session back. What it repeats took no effect, and the acks of the copy are not its own.
    expect(await unsure).toEqual(Array(5).fill("stale_ref"));
    expect(await original.publish("goes on")).toMatchObject({ offset: 7 });
    expect(await copy.publish("so does the copy")).toMatchObject({ offset: 8 });
  });

  it("a copied tab with a dead line never gets the acks of its original", async () => {
    const { original, copy, line, copyLine, unsure } = await copied();
    copyLine.isDead = true;
    const lost = publishes(copy, "of the copy, on a dead line", 5);
    line.cut();
    expect(await unsure).toEqual(Array(5).fill("stale_ref"));
    expect(await publishes(original, "back", 5)).toEqual([7, 8, 9, 10, 11]);
    copyLine.cut();
    expect(await lost).toEqual(Array(5).fill("stale_ref"));
  });
});
