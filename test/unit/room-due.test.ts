/** Things that are due do not share a fate, and neither do the events of a tick: what cannot be done fails alone. */
import { describe, expect, it } from "vitest";
import type { Definition, RoomContext } from "../../src/room/definition.ts";
import { HostedRoom } from "../support/hosted.ts";

const MINUTE_MS = 60_000;
const call = (method: string, ref = 1) => ({ type: "call", ref, method, data: null });

/** A room with a timer named `job`, somebody whose connection is lost, and somebody whose token runs out. */
async function besideTimer(definition: Definition, disk?: (room: HostedRoom) => void) {
  const room = new HostedRoom({
    heartbeat: { every: 10_000, idle: 10_000, misses: 100 },
    methods: { start: (self) => self.schedule("job", self.now + 5_000) },
    ...definition,
  });
  const ann = await room.join({ user: "ann" });
  const bob = await room.join({ user: "bob", credentials: { expires: room.now + MINUTE_MS } });
  const cat = await room.join({ user: "cat" });
  disk?.(room);
  void ann.say(call("start"));
  await room.pass(100);
  await cat.end();
  await room.pass(2 * MINUTE_MS);
  return { room, ann, bob };
}

const poisons: readonly [string, Definition, ((room: HostedRoom) => void)?][] = [
  ["schedules a name that is not text", { onTimer: (room) => room.schedule(undefined as never, room.now + 1) }],
  ["schedules data over 2 MB", { onTimer: (room) => room.schedule("job", room.now, "x".repeat(2_200_000)) }],
  ["throws", { onTimer: () => fail("a bug") }],
  [
    "asks for what the room refuses",
    { onTimer: (room) => room.publish("x".repeat(10), { to: Array(101).fill("ann") as string[] }) },
  ],
  [
    "has a row that the disk does not change",
    { onTimer: () => undefined },
    ({ storage }) =>
      storage.sql.exec(
        "CREATE TRIGGER stuck BEFORE DELETE ON edgerooms_jobs BEGIN SELECT RAISE(ABORT, 'SQLITE_IOERR'); END",
      ),
  ],
];

function fail(message: string): never {
  throw new Error(message);
}

describe.each(poisons)("beside a timer that %s", (_what, definition, disk) => {
  it("promise 7, 8, 11: R1: heartbeats, leaves and ends of tokens go on", async () => {
    const { room, ann, bob } = await besideTimer(definition, disk);
    expect(ann.of("heartbeat").length).toBeGreaterThanOrEqual(11);
    expect(ann.of("presence").flatMap(({ leave = [] }) => leave)).toEqual(["cat", "bob"]);
    expect(bob.of("bye")).toMatchObject([{ reason: "token_expired" }]);
    expect(room.failures.length, "the timer is reported").toBeGreaterThan(0);
    expect(await room.storage.getAlarm()).toBeLessThanOrEqual(room.now + 30_000);
  });
});

it("promise 7: R1: a due thing that fails is held for 30 s, tried again alone, and done once it can be", async () => {
  let tries = 0;
  const { room } = await besideTimer({ onTimer: () => void tries++ }, ({ storage }) =>
    storage.sql.exec("CREATE TRIGGER stuck BEFORE DELETE ON edgerooms_jobs BEGIN SELECT RAISE(ABORT, 'x'); END"),
  );
  expect(tries, "once in the tick of all, once alone, every 30 s").toBeLessThanOrEqual(10);
  expect(tries).toBeGreaterThanOrEqual(4);
  room.storage.sql.exec("DROP TRIGGER stuck");
  await room.pass(30_000);
  const before = tries;
  await room.pass(MINUTE_MS);
  expect(room.rows("SELECT name FROM edgerooms_jobs")).toEqual([]);
  expect(tries).toBe(before);
});

it("promise 7: R1: one timer that cannot be done does not undo the others that are due with it", async () => {
  const done: string[] = [];
  const room = new HostedRoom({
    methods: { start: (self) => ["a", "b", "c"].forEach((name) => self.schedule(name, self.now + 5_000)) },
    onTimer: (self, name) => (done.push(name), self.publish(name)),
  });
  const ann = await room.join();
  await room.settled(ann.say(call("start")));
  room.storage.sql.exec(
    "CREATE TRIGGER stuck BEFORE DELETE ON edgerooms_jobs WHEN OLD.name = 'b' BEGIN SELECT RAISE(ABORT, 'x'); END",
  );
  await room.pass(6_000);
  expect(ann.items.map(({ data }) => data)).toEqual(["a", "c"]);
  expect(room.rows("SELECT name FROM edgerooms_jobs")).toEqual([{ name: "b" }]);
});

it("R1: kicks that set off one another end in a clear error after eight, not in a deep stack", async () => {
  const left: string[] = [];
  const room = new HostedRoom({
    onLeave: (self, { id }) => (left.push(id), self.kick(`u${Number(id.slice(1)) + 1}`)),
  });
  for (let i = 0; i < 20; i++) await room.join({ user: `u${i}` });
  await room.settled(room.host.command({ type: "kick", user: "u0" }));
  expect(left).toEqual(Array.from({ length: 9 }, (_, i) => `u${i}`));
  expect(room.failures).toMatchObject([{ code: "hook_failed", source: "onLeave" }]);
  expect(room.failures[0]?.message).toContain("8 times in a row");
});

it("R1: a hook that asks for more than 1,000 things, alone or by what it sets off, gets an error", async () => {
  const room = new HostedRoom({
    methods: {
      much: (self) => void Array.from({ length: 1_001 }, (_, i) => self.signal(i)),
      enough: (self) => void Array.from({ length: 1_000 }, (_, i) => self.signal(i)),
      both: (self) => (self.kick("bob"), void Array.from({ length: 990 }, (_, i) => self.signal(i))),
    },
    onLeave: (self) => void Array.from({ length: 11 }, (_, i) => self.publish(i)),
  });
  const ann = await room.join();
  await room.join({ user: "bob" });
  await room.settled(ann.say(call("much"), call("enough", 2), call("both", 3)));
  await room.pass(1_000);
  const [much, enough, both] = ann.of("reply");
  expect(much?.error?.code).toBe("hook_failed");
  expect(enough?.error).toBeUndefined();
  expect(both?.error, "the call had its own share").toBeUndefined();
  expect(ann.items, "what onLeave asked for was more than what was left").toEqual([]);
  expect(room.failures.map(({ message }) => message)).toEqual([
    expect.stringContaining("at most 1,000 things"),
    expect.stringContaining("at most 1,000 things"),
  ]);
});

describe("one event of 401 that cannot be applied", () => {
  /** Where it stands among the 401: not where a half begins. */
  const POISON = 150;

  /** 400 publishes of the server side, and one event among them. */
  async function poisoned(poison: (room: HostedRoom) => Promise<unknown>) {
    const room = new HostedRoom({ methods: { bad: (self) => self.schedule("bad", self.now) } });
    const ann = await room.join();
    room.storage.sql.exec(
      "CREATE TRIGGER bad BEFORE INSERT ON edgerooms_jobs BEGIN SELECT RAISE(ABORT, 'SQLITE_FULL'); END",
    );
    const before = ann.messages.length;
    let outcomes: unknown[] = [];
    const rows = await room.written(async () => {
      const all: Promise<unknown>[] = [];
      for (let i = 0; i < 401; i++) {
        all.push(i === POISON ? poison(room) : room.host.command({ type: "publish", data: i }));
      }
      outcomes = await room.settled(Promise.all(all));
    });
    const logRows = room.rows("SELECT 1 FROM edgerooms_log").length;
    return { room, ann, outcomes, rows, logRows, messages: ann.messages.length - before };
  }

  it("R5: has a tick of its own, and the others share two", async () => {
    const { room, ann, outcomes, rows, logRows, messages } = await poisoned((self) =>
      self.host.command({ type: "schedule", name: "bad", due: self.now, data: null }),
    );
    expect(outcomes[POISON]).toMatchObject({ ok: false, code: "storage_failed" });
    expect(outcomes.filter((outcome) => (outcome as { ok: boolean }).ok)).toHaveLength(400);
    expect(ann.items.map(({ data }) => data)).toEqual([...Array(401).keys()].filter((i) => i !== POISON));
    expect(logRows).toBe(2);
    expect(messages).toBe(2);
    expect(rows).toBeLessThan(10);
    expect(room.codes).toEqual(["storage_failed"]);
  });

  it("R5: publish(10n) by RPC is the caller's slip: bad_request, no alert, and no other tick", async () => {
    const { room, outcomes, logRows } = await poisoned((self) =>
      self.host.command({ type: "publish", data: 10n as never }),
    );
    expect(outcomes[POISON]).toMatchObject({ ok: false, code: "bad_request" });
    expect(logRows).toBe(1);
    expect(room.failures).toEqual([]);
  });

  it("R5: what a tick could not write together it writes in halves, and the rest is not lost", async () => {
    const room = new HostedRoom();
    const ann = await room.join();
    room.storage.sql.exec(
      "CREATE TRIGGER big BEFORE INSERT ON edgerooms_log WHEN NEW.last - NEW.first >= 100 BEGIN SELECT RAISE(ABORT, 'x'); END",
    );
    const all = Array.from({ length: 401 }, (_, i) => room.host.command({ type: "publish", data: i }));
    const outcomes = await room.settled(Promise.all(all));
    expect(outcomes.every(({ ok }) => ok)).toBe(true);
    expect(ann.items).toHaveLength(401);
    expect(room.rows("SELECT 1 FROM edgerooms_log").length).toBeLessThan(12);
  });
});

describe("a request of a hook that the room cannot do", () => {
  const orders = (self: RoomContext) => {
    self.sql.exec("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY)");
    self.sql.exec("INSERT INTO orders DEFAULT VALUES");
  };
  // As long as ids may be: three bytes each, 76 KB in all.
  const manyIds = Array.from({ length: 100 }, () => "\u20ac".repeat(255));
  const wishes: readonly [string, (room: RoomContext) => void][] = [
    ["a publication over 1 MiB", (self) => self.publish("x".repeat(1_200_000))],
    ["a publication that JSON cannot carry", (self) => self.publish(10n as never)],
    ["a publication to nobody", (self) => self.publish(1, { to: [] })],
    ["a publication that its addresses make too large", (self) => self.publish("x".repeat(1_048_000), { to: manyIds })],
    ["a signal over 1 MiB", (self) => self.signal("x".repeat(1_200_000))],
    ["a timer without a name", (self) => self.schedule("", self.now)],
    ["a timer at no moment", (self) => self.schedule("a", Number.NaN)],
    ["a timer with data over 1 MiB", (self) => self.schedule("a", self.now, "x".repeat(1_200_000))],
    ["the end of a timer without a name", (self) => self.cancel(undefined as never)],
    ["a kick of nobody in particular", (self) => self.kick(undefined as never)],
    ["work that is not a function", (self) => self.defer(undefined as never)],
  ];

  it.each(wishes)("promise 5: R7: %s undoes the publish that led to it, and says so", async (_what, wish) => {
    const room = new HostedRoom({ onPublish: (self) => (orders(self), self.publish("audit"), wish(self)) });
    const ann = await room.join();
    room.storage.sql.exec("CREATE TABLE orders (id INTEGER PRIMARY KEY)");
    await room.settled(ann.say({ type: "publish", ref: 1, data: "order" }));
    await room.pass(1_000);
    expect(ann.of("ack")).toEqual([]);
    expect(ann.of("error")).toMatchObject([{ ref: 1, code: "hook_failed" }]);
    expect(ann.items).toEqual([]);
    expect(room.rows("SELECT * FROM orders")).toEqual([]);
    expect(room.codes).toEqual(["hook_failed"]);
  });

  it("promise 5: R7: what only the disk refuses undoes the event and all else that its hook asked for", async () => {
    const room = new HostedRoom({
      onPublish: (self) => (orders(self), self.publish("audit"), self.schedule("a", self.now + 9)),
    });
    const ann = await room.join();
    room.storage.sql.exec("CREATE TABLE orders (id INTEGER PRIMARY KEY)");
    room.storage.sql.exec(
      "CREATE TRIGGER full BEFORE INSERT ON edgerooms_jobs BEGIN SELECT RAISE(ABORT, 'SQLITE_FULL'); END",
    );
    await room.settled(ann.say({ type: "publish", ref: 1, data: "order" }));
    await room.pass(1_000);
    expect(ann.of("error")).toMatchObject([{ ref: 1, code: "storage_failed" }]);
    expect(ann.of("ack")).toEqual([]);
    expect(ann.items).toEqual([]);
    expect(room.rows("SELECT * FROM orders")).toEqual([]);
    room.storage.sql.exec("DROP TRIGGER full");
    await room.settled(ann.say({ type: "publish", ref: 1, data: "order" }));
    expect(ann.of("ack")).toMatchObject([{ ref: 1, offset: 1 }]);
    expect(ann.items.map(({ data }) => data)).toEqual(["order", "audit"]);
  });
});
