/** What relays cost a large room, and what members of a relay cannot make grow: memory, reads, and what waits. */
import { expect, it, vi } from "vitest";
import type { Mirrored } from "../../src/room/relaying.ts";
import type { Peer } from "../support/hosted.ts";
import { byeTo, RelayedRoom } from "../support/relayed.ts";

const UNLIMITED = { perSecond: 1_000_000, burst: 1_000_000 };
const calm = { heartbeat: { misses: 100 }, rate: UNLIMITED };

/** Statements that something runs in a room's storage. */
async function statements({ room }: RelayedRoom, run: () => Promise<unknown>): Promise<number> {
  const { sql } = room.storage;
  const spy = vi.spyOn(sql, "exec");
  await run();
  const { length } = spy.mock.calls;
  spy.mockRestore();
  return length;
}

it("a publication costs a room with many members of its own no more reads than one with few", async () => {
  const cost = async (members: number) => {
    const world = new RelayedRoom(calm);
    const ann = await world.relay("eu-0").join({ user: "ann" });
    await world.relay("us-0").join({ user: "bob" });
    for (let n = 0; n < members; n++) await world.room.join({ user: `u${n}` });
    await world.pass(5_000);
    const reads = await statements(world, () => world.say(ann, { type: "publish", ref: 1, data: 1 }));
    expect(ann.of("ack")).toHaveLength(1);
    return reads;
  };
  expect(await cost(60)).toBe(await cost(2));
});

it("a member who joins through a relay costs a room with many members no more reads than one with few", async () => {
  const cost = async (members: number) => {
    const world = new RelayedRoom(calm);
    for (let n = 0; n < members; n++) await world.room.join({ user: `u${n}` });
    for (let n = 0; n < members; n++) await world.relay("eu-0").join({ user: `v${n}` });
    await world.pass(5_000);
    return statements(world, () => world.relay("eu-0").join({ user: "next" }));
  };
  expect(await cost(60)).toBe(await cost(2));
});

it("a refused join writes nothing in the room", async () => {
  const world = new RelayedRoom({ ...calm, presence: "list" });
  await world.room.join({ user: "ann" });
  await world.pass(1_000);
  const spy = vi.spyOn(world.room.storage.sql, "exec");
  for (let n = 0; n < 5; n++) await world.relay("eu-0").connect({ user: `u${n}` });
  await world.pass(1_000);
  const queries = spy.mock.calls.map(([query]) => query);
  expect(queries.length).toBeGreaterThan(0);
  expect(queries.filter((query) => !query.startsWith("SELECT"))).toEqual([]);
});

it("the handler of a message ends when its own frames are answered, also where somebody always speaks", async () => {
  const world = new RelayedRoom(calm);
  const eu = world.relay("eu-0");
  const ann = await eu.join({ user: "ann" });
  const bob = await eu.join({ user: "bob" });
  await world.pass(1_000);
  let isOver = false;
  eu.exchange = "held";
  void ann.say({ type: "publish", ref: 1, data: 1 }).then(() => (isOver = true));
  await world.pass();
  for (let ref = 1; ref < 5; ref++) {
    void bob.say({ type: "publish", ref, data: ref });
    await world.pass(20);
    expect(isOver).toBe(ref > 1);
    await world.release();
  }
});

it("frames that wait for a room that does not answer are bounded by their length", async () => {
  const world = new RelayedRoom({ ...calm, maxMessage: 1_000_000 });
  const eu = world.relay("eu-0");
  const ann = await eu.join({ user: "ann" });
  await world.pass(1_000);
  eu.exchange = "held";
  const data = "x".repeat(900_000);
  for (let ref = 1; ref <= 30; ref++) {
    void ann.say({ type: "publish", ref, data });
    await world.pass(100);
  }
  const refused = ann.of("error").filter(({ code }) => code === "rate_limited");
  // 16 MiB, and the first, which is on its way.
  expect(refused).toHaveLength(30 - 19 - 1);
});

it("calls are so many in one exchange, because their answers come together", async () => {
  const world = new RelayedRoom(calm);
  const eu = world.relay("eu-0");
  const ann = await eu.join({ user: "ann" });
  await world.pass(1_000);
  eu.exchange = "held";
  const before = eu.asked.length;
  void ann.say(...Array.from({ length: 250 }, (_, i) => ({ type: "call", ref: i + 1, method: "edgerooms.who" })));
  await world.pass();
  void ann.say(...Array.from({ length: 250 }, (_, i) => ({ type: "call", ref: i + 251, method: "edgerooms.who" })));
  await world.pass();
  eu.exchange = "arrives";
  await world.release();
  await world.pass(1_000);
  const calls = eu.asked.slice(before).map(({ said }) => said.reduce((sum, { frames }) => sum + frames.length, 0));
  expect(Math.max(...calls)).toBe(128);
  expect(ann.of("reply")).toHaveLength(500);
});

it("a member who asks for the past again and again wants one thing of the room", async () => {
  const world = new RelayedRoom(calm);
  const eu = world.relay("eu-0");
  const bob = await world.room.join({ user: "bob" });
  for (let ref = 1; ref < 9; ref++) await world.say(bob, { type: "publish", ref, data: ref });
  const ann = await eu.join({ user: "ann" });
  await world.pass(1_000);
  eu.exchange = "held";
  await world.say(ann, { type: "publish", ref: 1, data: "mine" });
  for (const offset of [5, 3, 4, 3, 5]) await world.say(ann, { type: "sync", offset });
  eu.exchange = "arrives";
  await world.release();
  expect(ann.items.map(({ offset }) => offset)).toEqual([9, 4, 5, 6, 7, 8, 9]);
});

it("a member who claims to be ahead comes back, and the room goes by its own history", async () => {
  const world = new RelayedRoom(calm);
  const ann = await world.relay("eu-0").join({ user: "ann" });
  await world.say(ann, { type: "sync", offset: 1_000_000 });
  expect(byeTo(ann)).toBe("restarting");
  const position = { epoch: ann.welcome.epoch, offset: 1_000_000 };
  const again = await world.relay("eu-0").join({ user: "ann", resume: { session: ann.welcome.session, position } });
  expect(again.welcome).toMatchObject({ resumed: false, reason: "offset_ahead" });
});

it("a session that moves, or is nowhere, has no relay list what it has", async () => {
  const world = new RelayedRoom(calm);
  const [eu, us] = [world.relay("eu-0"), world.relay("us-0")];
  await us.join({ user: "bob" });
  const ann = await eu.join({ user: "ann" });
  await world.pass(1_000);
  const before = us.asked.length;
  await us.join({ user: "ann", resume: { session: ann.welcome.session } });
  for (let n = 0; n < 5; n++) {
    await us.join({ user: "eve", resume: { session: `nowhere-${n}` } });
    await world.pass(1_000);
  }
  expect(us.asked.slice(before).filter(({ sessions }) => sessions)).toEqual([]);
  expect(us.object.host.state.sessions.of("eve")).toHaveLength(5);
});

it("members who come at once find as many places as there are", async () => {
  const world = new RelayedRoom(calm);
  const eu = world.relay("eu-0");
  eu.each = 5;
  await eu.join({ user: "first" });
  const all = Array.from({ length: 20 }, (_, n) =>
    eu.host.connect({ ...eu.object.admissionOf({ user: `u${n}` }), via: eu.via }),
  );
  const opened = (await world.time.settled(Promise.all(all))).filter(({ ok }) => ok);
  expect(opened).toHaveLength(4);
  expect(eu.object.host.state.connections.size).toBe(5);
});

it("what an undone history pushes in the tick that learns of it is not part of the new one", async () => {
  const world = new RelayedRoom(calm);
  const eu = world.relay("eu-0");
  const ann: Peer = await eu.join({ user: "ann" });
  await world.command({ type: "publish", data: "good" });
  const [told, pushed] = [eu.told.at(-1), eu.pushed.at(-1)];
  if (!told || !pushed) throw new Error("nothing was told");
  const item = JSON.stringify({ offset: 2, by: null, at: 1, data: "undone" });
  const late: Mirrored = { ...pushed, after: 1, upto: 2, items: item };
  const items = JSON.stringify({ offset: 2, by: null, at: 1, data: "new" });
  const { host } = eu.object;
  // The relay is busy, and knows it: both are in one tick.
  await world.time.settled(Promise.all(Array.from({ length: 8 }, () => host.submit({ type: "countDue" }))));
  const down = { ...told, epoch: "restored", after: 1, upto: 2, items, isUndone: true } as const;
  eu.exchange = "held";
  const taken = [late, down].map((mirrored) => host.submit({ type: "mirrored", mirrored, replies: [] }));
  await world.time.settled(Promise.all(taken));
  await world.pass(50);
  expect(byeTo(ann)).toBe("restarting");
  const { log, replay, epochs } = host.state;
  const items2 = [...replay.after(log.oldest - 1, undefined, 1e6)].map((stretch) => stretch.items).join();
  expect([epochs.current, log.head, items2]).toEqual(["restored", 2, items]);
});
