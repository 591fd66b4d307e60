/** What readers say to be fed, and how presence is grouped: neither may cost a reader its connection, or the room a tick. */
import { expect, it } from "vitest";
import { HostedRoom, type Peer } from "../support/hosted.ts";

const tight = { rate: { perSecond: 1, burst: 5 } };
const call = (ref: number) => ({ type: "call", ref, method: "none", data: null });

/** The server side publishes so many times, in as few ticks as it takes. */
async function publish(room: HostedRoom, times: number, data: unknown = 1): Promise<void> {
  const all = Array.from({ length: times }, () => room.host.command({ type: "publish", data: data as string }));
  await room.settled(Promise.all(all));
}

/** Codes of everything that a client was told it did wrong. */
const told = (peer: Peer) => peer.of("error").map(({ code }) => code);

it("R12: a reader that acknowledges each of 300 publications of 2 KB is never rate limited", async () => {
  const room = new HostedRoom(tight);
  const reader = await room.join({ credit: true });
  for (let i = 1; i <= 300; i++) {
    await publish(room, 1, "x".repeat(2_000));
    await room.settled(reader.say({ type: "ack", offset: i }));
  }
  expect(told(reader)).toEqual([]);
  expect(reader.of("bye")).toEqual([]);
  expect(reader.items).toHaveLength(300);
});

it("R12: acks that need a tick cost nothing either: the whole burst is left after them", async () => {
  const room = new HostedRoom(tight);
  const reader = await room.join({ credit: true });
  await publish(room, 40);
  // Two in one message: such a message has its tick.
  for (let i = 1; i < 40; i += 2) {
    await room.settled(reader.say({ type: "ack", offset: i }, { type: "ack", offset: i + 1 }));
  }
  expect(told(reader)).toEqual([]);
  await room.settled(reader.say(...Array.from({ length: 6 }, (_, i) => call(i + 1))));
  expect(reader.of("reply").map(({ error }) => error?.code)).toEqual([
    ...Array(5).fill("unknown_method"),
    "rate_limited",
  ]);
});

it("R12: a client in debt that acknowledges gets its credit back, and what waited for it", async () => {
  const room = new HostedRoom(tight);
  const reader = await room.join({ credit: true });
  for (let i = 0; i < 13; i++) await publish(room, 100);
  const fed = reader.of("pub").at(-1)?.upto ?? 0;
  expect(fed, "it lacks credit").toBeLessThan(1_300);
  await room.settled(reader.say(...Array.from({ length: 8 }, (_, i) => call(i + 1))));
  expect(reader.of("reply").at(-1)?.error?.code, "it is in debt").toBe("rate_limited");
  await room.settled(reader.say({ type: "ack", offset: fed }));
  expect(told(reader)).toEqual([]);
  expect(reader.items.map(({ offset }) => offset)).toEqual(Array.from({ length: 1_300 }, (_, i) => i + 1));
});

it("R12: an ack that acknowledges nothing new is a frame like any other, and is rate limited", async () => {
  const room = new HostedRoom(tight);
  const reader = await room.join({ credit: true });
  await publish(room, 1);
  for (let i = 0; i < 7; i++) await room.settled(reader.say({ type: "ack", offset: 1 }));
  expect(told(reader)).toEqual(["rate_limited"]);
  expect(reader.of("error")[0]).toMatchObject({ frame: "ack" });
});

it("R12: an ack alone reads nothing and writes nothing", async () => {
  const room = new HostedRoom(tight);
  const [first, second] = [await room.join({ credit: true }), await room.join({ user: "bob", credit: true })];
  await publish(room, 2);
  const statements: string[] = [];
  room.storage.fault = (statement) => void statements.push(statement);
  for (const peer of [first, second]) await room.settled(peer.say({ type: "ack", offset: 2 }));
  expect(statements).toEqual([]);
});

it("R12: credit that an ack gave back outlives an eviction", async () => {
  const room = new HostedRoom();
  const [first, second] = [await room.join({ credit: true }), await room.join({ user: "bob", credit: true })];
  await publish(room, 1_000);
  for (const peer of [first, second]) await room.settled(peer.say({ type: "ack", offset: 1_000 }));
  await room.evict();
  for (let i = 0; i < 2; i++) await publish(room, 500);
  expect(first.items).toHaveLength(2_000);
  expect(second.items).toHaveLength(2_000);
});

it("R13: 50 presence frames in one message are one row, and one update for everyone", async () => {
  const room = new HostedRoom();
  const [ann, bob] = [await room.join(), await room.join({ user: "bob" })];
  await room.pass(1_000);
  const rows = await room.written(() =>
    room.settled(ann.say(...Array.from({ length: 50 }, (_, i) => ({ type: "presence", data: i })))),
  );
  expect(rows).toBe(1);
  for (const peer of [ann, bob]) {
    expect(peer.of("presence").flatMap(({ update = [] }) => update)).toEqual([{ id: "ann", data: 49 }]);
  }
});

it("R13: what several members show in one tick is one update of each, in one frame", async () => {
  const room = new HostedRoom();
  const peers = [await room.join(), await room.join({ user: "bob" }), await room.join({ user: "cat" })];
  await room.pass(1_000);
  const before = peers[2]?.messages.length ?? 0;
  const rows = await room.written(() =>
    room.settled(
      Promise.all([
        // It has a tick at once, because the room is quiet; all others share the next.
        room.host.command({ type: "members" }),
        ...[0, 1, 2, 3].flatMap((data) => peers.map((peer) => peer.say({ type: "presence", data }))),
      ]),
    ),
  );
  expect(rows).toBe(3);
  expect(peers[2]?.messages.slice(before).map((text) => JSON.parse(text) as unknown)).toEqual([
    { type: "presence", update: ["ann", "bob", "cat"].map((id) => ({ id, data: 3 })) },
  ]);
});
