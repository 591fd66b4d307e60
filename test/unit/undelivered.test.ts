/** How the directory learns of events that a room cannot deliver, and what an operator does about them. */
import { expect, it } from "vitest";
import { OutletRefused, type Batch } from "../../src/room/outlet.ts";
import type { RoomReport } from "../../src/room/telemetry/recorder.ts";
import { HostedRoom } from "../support/hosted.ts";

const MINUTE_MS = 60_000;

/** A room that somebody was in, whose receiver does what `answer` says: it takes, refuses or fails. */
async function withReceiver() {
  const { room, receiver } = neverEntered();
  const ann = await room.join();
  await room.settled(ann.say({ type: "leave" }));
  await ann.end();
  await room.pass(MINUTE_MS);
  room.reports.length = 0;
  return { room, receiver };
}

/** The same before anybody was in it: only calls through RPC, which do not say of which kind it is. */
function neverEntered(): { room: HostedRoom; receiver: { answer: "take" | "refuse" | "fail"; taken: Batch[] } } {
  const receiver = { answer: "refuse" as "take" | "refuse" | "fail", taken: [] as Batch[] };
  const room = new HostedRoom({
    events: {
      types: ["publication"],
      to: (batch) => {
        if (receiver.answer === "refuse") return Promise.reject(new OutletRefused("no"));
        if (receiver.answer === "fail") return Promise.reject(new Error("down"));
        receiver.taken.push(batch);
        return Promise.resolve();
      },
    },
  });
  return { room, receiver };
}

const say = async (room: HostedRoom, data: string) => {
  await room.settled(room.host.command({ type: "publish", data }));
  await room.pass(1);
};
const told = (room: HostedRoom) => room.reports.map(({ listing }) => listing.undelivered);
const value = async (room: HostedRoom, command: Parameters<HostedRoom["operate"]>[0]) => {
  const answer = await room.operate(command);
  if (!answer.ok) throw new Error(`${answer.code}: ${answer.message ?? ""}`);
  return answer.value;
};

it("E6: a room that nobody is in tells of its dead letters, at once and then once a minute", async () => {
  const { room } = await withReceiver();
  await say(room, "one");
  expect(told(room).at(-1)).toEqual({ dead: 1, pending: 0 });
  const before = room.reports.length;
  for (const data of ["two", "three", "four"]) await say(room, data);
  expect(room.reports.length).toBe(before);
  await room.pass(MINUTE_MS);
  expect(told(room).at(-1)).toEqual({ dead: 4, pending: 0 });
  const after = room.reports.length;
  expect(after).toBe(before + 1);
  // The directory knows: there is no alarm, and nothing more is told.
  expect(await room.storage.getAlarm()).toBeNull();
  await room.pass(60 * MINUTE_MS);
  expect(room.reports.length).toBe(after);
});

it("E6: a report that is lost is repeated until it has arrived, also by a room that was out of memory", async () => {
  const { room } = await withReceiver();
  const arrived: RoomReport[] = [];
  let isLost = true;
  room.sendReport = (report) => {
    if (isLost) return Promise.reject(new Error("the directory is restarting"));
    arrived.push(report);
    return Promise.resolve();
  };
  await say(room, "one");
  await room.pass(10 * MINUTE_MS);
  expect(arrived).toEqual([]);
  await room.evict();
  await room.pass(10 * MINUTE_MS);
  isLost = false;
  await room.pass(MINUTE_MS);
  expect(arrived.map(({ listing }) => listing.undelivered)).toEqual([{ dead: 1, pending: 0 }]);
  expect(await room.storage.getAlarm()).toBeNull();
});

it("E6: dead letters of an earlier version are told of when the room is loaded again", async () => {
  const { room } = await withReceiver();
  await say(room, "one");
  room.rows("DELETE FROM edgerooms_meta WHERE key = 'undelivered'");
  const before = room.reports.length;
  await room.evict();
  await value(room, { type: "stats" });
  await room.pass(1);
  expect(told(room).slice(before)).toEqual([{ dead: 1, pending: 0 }]);
});

it("E6: a room whose oldest batch fails for minutes says that it is held up, and when that is over", async () => {
  const { room, receiver } = await withReceiver();
  receiver.answer = "fail";
  await say(room, "one");
  await room.pass(5 * MINUTE_MS);
  expect(told(room).every(({ pending }) => pending === 0)).toBe(true);
  await room.pass(10 * MINUTE_MS);
  expect(told(room).at(-1)).toEqual({ dead: 0, pending: 1 });
  receiver.answer = "take";
  await room.pass(10 * MINUTE_MS);
  expect(receiver.taken).toHaveLength(1);
  expect(told(room).at(-1)).toEqual({ dead: 0, pending: 0 });
});

it("E6: a room whose events are taken writes no row and sets no alarm for this", async () => {
  const { room, receiver } = await withReceiver();
  receiver.answer = "take";
  await say(room, "one");
  const before = room.reports.length;
  await say(room, "two");
  expect(room.reports.length).toBe(before);
  expect(await room.storage.getAlarm()).toBeNull();
  expect(room.rows("SELECT 1 FROM edgerooms_meta WHERE key = 'undelivered'")).toEqual([]);
});

it("E6: an operator sees a batch, skips, drops or delivers one again, and the directory learns the rest", async () => {
  const { room, receiver } = await withReceiver();
  for (const data of ["one", "two", "three"]) await say(room, data);
  const { dead } = (await value(room, { type: "dead" })) as { dead: { id: string }[] };
  const [three = "", two = "", one = ""] = dead.map(({ id }) => id);
  expect(await value(room, { type: "letter", batch: two })).toMatchObject({
    id: two,
    events: [{ type: "publication" }],
  });
  receiver.answer = "take";
  expect(await value(room, { type: "redeliver", batch: three })).toEqual({ pending: 1, redelivered: 1 });
  await room.pass(1);
  expect(receiver.taken.map(({ id }) => id)).toEqual([three]);
  expect(await value(room, { type: "drop", batch: one })).toEqual({ dropped: 1, dead: 1 });
  expect(await value(room, { type: "redeliver" })).toEqual({ pending: 1, redelivered: 1 });
  await room.pass(MINUTE_MS);
  expect(receiver.taken.map(({ id }) => id)).toEqual([three, two]);
  expect(told(room).at(-1)).toEqual({ dead: 0, pending: 0 });

  receiver.answer = "fail";
  await say(room, "four");
  await room.pass(100);
  const { stuck } = (await value(room, { type: "dead" })) as { stuck: { id: string } };
  await say(room, "five");
  receiver.answer = "take";
  expect(await value(room, { type: "skip", batch: stuck.id })).toEqual({ pending: 1, dead: 1 });
  await room.pass(1);
  expect(receiver.taken.at(-1)?.events).toMatchObject([{ publication: { data: "five" } }]);
  for (const command of [
    { type: "letter", batch: "typo" },
    { type: "redeliver", batch: "typo" },
    { type: "skip", batch: "typo" },
    { type: "drop", batch: "typo" },
  ] as const) {
    expect(await room.operate(command), command.type).toMatchObject({ ok: false, code: "not_found" });
  }
  expect(await value(room, { type: "drop" })).toEqual({ dropped: 1, dead: 0 });
});

/** What can be asked about events that were not delivered. */
const UNDELIVERED = [
  { type: "dead" },
  { type: "letter", batch: "one" },
  { type: "redeliver" },
  { type: "skip", batch: "one" },
  { type: "drop" },
] as const;

it.each(UNDELIVERED)(
  "E6: a room whose storage was deleted leaves the list when it is asked for: $type",
  async (command) => {
    const { room } = await withReceiver();
    await say(room, "one");
    expect(told(room).at(-1)).toEqual({ dead: 1, pending: 0 });
    for (const { name } of room.rows("SELECT name FROM sqlite_master WHERE name LIKE 'edgerooms%'"))
      room.rows(`DROP TABLE ${name as string}`);
    await room.crash();
    const before = room.reports.length;
    expect(await room.operate(command)).toMatchObject({ ok: false, code: "not_found" });
    const listings = room.reports.slice(before).map(({ listing }) => listing);
    expect(listings).toMatchObject([
      { kind: "test", room: "one", connections: 0, undelivered: { dead: 0, pending: 0 } },
    ]);
    expect(room.rows("SELECT name FROM sqlite_master WHERE name LIKE 'edgerooms%'")).toEqual([]);
  },
);

it("E6: a room that was only called through RPC tells of its dead letters once an operator has looked at it", async () => {
  const { room } = neverEntered();
  await say(room, "one");
  await room.pass(2 * MINUTE_MS);
  // This one is told of with the publication, without a kind.
  await say(room, "two");
  await room.pass(10 * MINUTE_MS);
  expect(room.reports.at(-1)?.listing).toMatchObject({ kind: "", undelivered: { dead: 1 } });
  // Nobody knows its kind: whatever it reported could not be listed, and it does not try again and again.
  expect(room.rows("SELECT 1 FROM edgerooms_meta WHERE key = 'undelivered'")).toEqual([]);
  expect(await room.storage.getAlarm()).toBeNull();
  const before = room.reports.length;
  expect(await value(room, { type: "dead" })).toMatchObject({ dead: [{}, {}] });
  await room.pass(1);
  const listings = room.reports.slice(before).map(({ listing }) => listing);
  expect(listings).toMatchObject([{ kind: "test", room: "one", undelivered: { dead: 2, pending: 0 } }]);
  expect(await room.written(() => value(room, { type: "stats" }))).toBe(0);
  await room.evict();
  await say(room, "three");
  await room.pass(MINUTE_MS);
  expect(room.reports.at(-1)?.listing).toMatchObject({ kind: "test", undelivered: { dead: 3 } });
});

it.each([
  ["drained", { type: "drain", within: 1_000, reopenAfter: 60_000 }],
  ["closed to a user", { type: "revoke", user: "eve", before: 1 }],
  ["published to", { type: "publish", data: 1 }],
] as const)("E7: a room that was %s through RPC is there for an operator", async (_what, command) => {
  const room = new HostedRoom();
  expect(await room.settled(room.host.command(command))).toMatchObject({ ok: true });
  for (let loaded = 0; loaded < 2; loaded++) {
    expect(await room.operate({ type: "stats" })).toMatchObject({ ok: true, value: { kind: "test", room: "one" } });
    await room.evict();
  }
});

it("E7: a room that has tables and nothing in them never was: an earlier version made them for a look", async () => {
  const room = new HostedRoom();
  expect(await room.settled(room.host.command({ type: "revoke", user: "eve", before: 1 }))).toMatchObject({ ok: true });
  room.rows("DELETE FROM edgerooms_revoked");
  await room.evict();
  expect(await room.operate({ type: "stats" })).toMatchObject({ ok: false, code: "not_found" });
});

it("T20: what cannot be asked of a room that never was is refused, and writes nothing", async () => {
  const room = new HostedRoom();
  for (const command of [
    { type: "drain", within: 1_000, reopenAfter: 1_000 },
    { type: "kick", user: "ann" },
    { type: "members" },
    { type: "sessions" },
    { type: "stats" },
    { type: "read", limit: 10 },
  ] as const) {
    expect(await room.operate(command), command.type).toMatchObject({ ok: false, code: "not_found" });
  }
  expect(room.reports).toEqual([]);
  for (const command of UNDELIVERED) {
    expect(await room.operate(command), command.type).toMatchObject({ ok: false, code: "not_found" });
  }
  expect(room.rows("SELECT name FROM sqlite_master")).toEqual([]);
  // A user can be revoked before anybody was ever there, and who may join can.
  expect(await room.operate({ type: "revoke", user: "eve" })).toMatchObject({ ok: true });
  await room.join({ user: "ann" });
  expect(await room.operate({ type: "drain", within: 0, reopenAfter: 0 })).toMatchObject({ ok: true });
});
