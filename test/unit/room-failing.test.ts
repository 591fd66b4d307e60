/** The disk, the platform or a row fails: what failed is undone whole, the alarm stands, and the tick can be played again. */
import { describe, expect, it } from "vitest";
import { reject, type RoomContext } from "../../src/room/definition.ts";
import { MAX_RECORDED, Recording, type RowBudget } from "../../src/room/runtime/recording.ts";
import { HostedRoom } from "../support/hosted.ts";
import { replayed } from "../support/replayed.ts";

const publish = (ref: number, data: unknown) => ({ type: "publish", ref, data });

describe("a tick that failed in the field", () => {
  it("is recorded as data, and fails the same way when a test plays it again", async () => {
    const definition = {
      onTimer: () => undefined,
      methods: { start: (self: RoomContext) => self.schedule("job", self.now + 1_000) },
    };
    const room = new HostedRoom(definition);
    const ann = await room.join();
    await room.settled(ann.say({ type: "call", ref: 1, method: "start", data: null }));
    room.storage.sql.exec("UPDATE edgerooms_jobs SET data = '{half'");
    await room.ring();
    const [recording] = room.recordings;
    expect(recording).toMatchObject({ room: "one", input: { events: [{ type: "timerDue", name: "job" }] } });
    const text = JSON.stringify(recording);
    const replay = (json: string) => replayed(JSON.parse(json) as Recording, room.definition);
    expect(() => replay(text)).toThrow("an event could not be applied");
    const outcome = replay(text.replace('"{half"', '"1"'));
    expect(outcome.results, "what made it fail is in the rows").toEqual([{ ok: true, value: undefined }]);
  });

  it("copies no more of the room for a batch of failures than for one", async () => {
    const room = new HostedRoom({ maxMessage: 1_000_000 });
    const ann = await room.join();
    await room.settled(ann.say(publish(1, "x".repeat(MAX_RECORDED / 5))));
    const input = { events: [], now: room.now, id: "tick" };
    const record = (budget: RowBudget) => Recording.of(room.place, input, new Error("no such row"), budget);
    const budget = { left: MAX_RECORDED };
    const batch = Array.from({ length: 20 }, () => record(budget));
    const whole = batch.filter(({ tables }) => tables !== undefined);
    expect(whole.map((recording) => batch.indexOf(recording))).toEqual([0, 1, 2, 3]);
    expect(JSON.stringify(whole.map(({ tables }) => tables)).length).toBeLessThan(1.1 * MAX_RECORDED);
  });
});

it("promise 7: an alarm with nothing due whose tick fails rings again", async () => {
  const room = new HostedRoom();
  await room.join();
  await room.pass(100);
  // The runtime rings it early, and has it no more.
  await room.storage.deleteAlarm();
  let failures = 0;
  room.storage.fault = (statement) => {
    if (/^(?:COMMIT|RELEASE)/i.test(statement) && failures++ === 0) throw new Error("disk I/O error: SQLITE_IOERR");
  };
  await room.alarm(0);
  room.storage.fault = undefined;
  expect(failures).toBeGreaterThan(0);
  expect(await room.storage.getAlarm()).toBe(room.now + 30_000);
});

it("promise 5: a hook whose transaction cannot be closed leaves nothing, not even its publication", async () => {
  const room = new HostedRoom({ onPublish: (self) => void self.sql.exec("CREATE TABLE IF NOT EXISTS t (x)") });
  const ann = await room.join();
  let failures = 0;
  room.storage.fault = (statement) => {
    if (/^RELEASE/i.test(statement) && failures++ < 3) throw new Error("disk I/O error: SQLITE_IOERR");
  };
  await room.settled(ann.say(publish(1, "undone")));
  room.storage.fault = undefined;
  expect(failures).toBeGreaterThan(0);
  const refused = ann.of("error").map(({ code, ref }) => [code, ref]);
  const acked = ann.of("ack").map(({ ref }) => ref);
  expect(refused.length + acked.length).toBe(1);
  expect(ann.items.length, "seen by its publisher exactly when it was acknowledged").toBe(acked.length);
  await room.evict();
  await room.settled(ann.say(publish(2, "next")));
  expect(ann.items.at(-1)).toMatchObject({ offset: acked.length + 1, data: "next" });
});

it("promise 14: a connection that the platform has no socket for harms nobody else", async () => {
  const room = new HostedRoom();
  const ann = await room.join({ user: "ann" });
  const { sockets } = room.place;
  const open = sockets.open.bind(sockets);
  sockets.open = () => {
    throw new Error("too many sockets");
  };
  const refused = room.connect({ user: "bob" });
  const told = room.settled(ann.say(publish(1, "said in the same tick")));
  expect(await refused).toMatchObject({ ok: false, code: "internal" });
  await told;
  sockets.open = open;
  expect(ann.items.map((item) => item.data)).toEqual(["said in the same tick"]);
  await room.pass(20_000);
  expect(ann.of("presence").flatMap(({ leave = [] }) => leave)).toEqual(["bob"]);
});

it("what an operator learns of sessions is true of a room that slept", async () => {
  const room = new HostedRoom();
  const ann = await room.join();
  ann.ping();
  await room.evict();
  const answer = await room.operate({ type: "sessions" });
  expect(answer).toMatchObject({ ok: true, value: { sessions: [{ connected: true, heardAt: ann.answeredAt }] } });
});

it("work that a hook defers begins after the frames of its tick", async () => {
  const order: string[] = [];
  const room = new HostedRoom({
    onPublish: (self) => self.defer(() => Promise.resolve(void order.push(`work after ${ann.items.length}`))),
  });
  const ann = await room.join();
  await room.settled(ann.say(publish(1, "first")));
  await room.pass(100);
  expect(order).toEqual(["work after 1"]);
});

it("R1: a hook that asks for more than 8 MiB in all gets an error, and nothing of it happens", async () => {
  const mib = "x".repeat(1_000_000);
  const room = new HostedRoom({ methods: { much: (self) => [...Array(9)].forEach(() => self.publish(mib)) } });
  const ann = await room.join();
  await room.settled(ann.say({ type: "call", ref: 1, method: "much", data: null }));
  expect(ann.of("reply")[0]?.error).toMatchObject({ code: "hook_failed" });
  expect(ann.items).toEqual([]);
});

it("R5: a disk that takes no publication costs a batch of 512 few transactions", async () => {
  const room = new HostedRoom({ rate: { perSecond: 100_000, burst: 100_000 } });
  const ann = await room.join();
  let begun = 0;
  room.storage.fault = (statement) => {
    if (statement === "BEGIN") begun++;
    if (statement.includes("INTO edgerooms_log")) throw new Error("database or disk is full: SQLITE_FULL");
  };
  const frames = Array.from({ length: 256 }, (_, i) => publish(i + 1, i));
  await room.settled(
    Promise.all([ann.say(...frames), ann.say(...frames.map(({ ref }) => publish(ref + 256, "more")))]),
  );
  room.storage.fault = undefined;
  expect(ann.of("error").map(({ code }) => code)).toEqual(Array.from({ length: 512 }, () => "storage_failed"));
  expect(begun).toBeLessThan(100);
  const rows = room.recordings.filter(({ tables }) => tables !== undefined);
  expect(JSON.stringify(rows.map(({ tables }) => tables)).length, "of two batches at most").toBeLessThan(
    2.2 * MAX_RECORDED,
  );
  await room.settled(ann.say(publish(1, "again")));
  expect(ann.items.map(({ data }) => data)).toEqual(["again"]);
});

it("R7: recipients that fit no row are the hook's own error, and undo nothing else", async () => {
  const to = Array.from({ length: 100 }, (_, i) => String.fromCodePoint(0x4e00 + i).repeat(254));
  const room = new HostedRoom({
    methods: {
      large: (self: RoomContext) => self.publish("z".repeat(1_048_000), { to }),
      small: (self: RoomContext) => self.publish("z", { to }),
    },
  });
  const ann = await room.join();
  await room.settled(ann.say({ type: "call", ref: 1, method: "large", data: null }));
  await room.settled(ann.say({ type: "call", ref: 2, method: "small", data: null }));
  expect(ann.of("reply").map(({ error }) => error?.code)).toEqual(["hook_failed", undefined]);
  expect(room.failures.map(({ code, source }) => [code, source])).toEqual([["hook_failed", "methods.large"]]);
});

it("a rejection where nobody can be refused is a failure that is reported", async () => {
  const rejecting = (): never => {
    throw reject("not now");
  };
  const room = new HostedRoom({
    grace: "1s",
    onLeave: rejecting,
    onTimer: rejecting,
    snapshot: rejecting,
    methods: { start: (self: RoomContext) => self.schedule("job", self.now) },
  });
  const ann = await room.join();
  await room.settled(ann.say({ type: "call", ref: 1, method: "start", data: null }));
  await ann.end();
  await room.pass(1_500);
  const failed = room.failures.map(({ code, source }) => [code, source]);
  expect(failed).toEqual(["snapshot", "onTimer", "onLeave"].map((source) => ["hook_failed", source]));
});
