/** Storage of every released schema, written by the version that had it, is brought up with everything in it. */
import { describe, expect, it } from "vitest";
import type { Publication } from "../../src/protocol/frames.ts";
import { defineRoom } from "../../src/room/definition.ts";
import { migrate, SCHEMA_VERSION, versionOf } from "../../src/room/store/schema.ts";
import { RoomState } from "../../src/room/store/state.ts";
import { oldStorages, type OldFacts } from "../support/old-storage.ts";
import { NodeStorage } from "../support/sqlite.ts";

const DAY_MS = 86_400_000;

/** As the room was that wrote the storage. */
const definition = defineRoom({
  retain: 5,
  grace: "10m",
  resumeWindow: "30m",
  events: { to: () => Promise.resolve() },
});

function build(storage: NodeStorage, now: number): RoomState {
  storage.transactionSync(() => migrate(storage.sql));
  return new RoomState({
    definition,
    sql: storage.sql,
    atomic: (run) => storage.transactionSync(run),
    room: "old",
    pointers: [],
    alarm: undefined,
    heartbeatAt: undefined,
    now,
    held: new Map(),
    continuations: new Map(),
  });
}

function publicationsAfter(state: RoomState, offset: number, user: string): Publication[] {
  return [...state.replay.after(offset, user, 1_000)].flatMap(({ items }) => JSON.parse(`[${items}]`) as Publication[]);
}

/** Every ref whose offset is known, where it was and where the room says it was. */
function refsOf(state: RoomState, { ann, crowd }: OldFacts) {
  return [ann, ...crowd].flatMap(({ session, refs }) =>
    refs.map(({ ref, offset }) => ({ session, ref, offset, found: state.log.refs.find(session, ref)?.offset })),
  );
}

function expectRefs(state: RoomState, facts: OldFacts): void {
  const refs = refsOf(state, facts);
  expect(refs.length).toBeGreaterThan(5);
  for (const { offset, found } of refs) expect(found).toBe(offset);
}

describe.each(oldStorages)("storage of schema $facts.schema", ({ sql, facts }) => {
  const open = () => {
    const storage = new NodeStorage();
    storage.sql.exec(sql);
    return storage;
  };
  const { ann, bob, crowd, savedAt } = facts;

  it("is what the fixture says: its version, and refs older than the log", () => {
    const storage = open();
    expect(versionOf(storage.sql)).toBe(facts.schema);
    const [oldest] = storage.sql.exec("SELECT min(first) AS first FROM edgerooms_log");
    expect(Number(oldest?.["first"])).toBeGreaterThan(crowd[0]?.refs[0]?.offset ?? Infinity);
  });

  it("has every session, with its presence and the time of its drop", () => {
    const { sessions, lost } = build(open(), savedAt);
    expect(sessions.size).toBe(2 + crowd.length);
    expect(sessions.get(ann.session)).toMatchObject({
      user: "ann",
      name: "ann é",
      generation: 1,
      present: true,
      data: facts.annData,
      requestId: expect.stringMatching(/./),
    });
    const droppedAt = sessions.get(ann.session)?.droppedAt ?? 0;
    expect(savedAt - droppedAt).toBeGreaterThan(0);
    expect(sessions.nextDeadline()).toBeGreaterThan(droppedAt);
    expect(new Set(lost.map(({ user }) => user))).toEqual(new Set(["bob", "crowd1", "crowd2"]));
    expect(sessions.of("eve")).toEqual([]);
  });

  it("has the log: a replay gives each user what they may see, and bytes add up", () => {
    const { log, epochs, replay } = build(open(), savedAt);
    expect(log.head).toBe(bob.offset);
    expect(log.covers(ann.offset)).toBe(true);
    expect(log.covers(1)).toBe(false);
    expect(epochs.current).toBe(ann.epoch);
    expect(epochs.includes(ann, log.head)).toBe(true);
    expect(epochs.includes({ epoch: ann.epoch, offset: log.head + 1 }, log.head)).toBeUndefined();
    const state = build(open(), savedAt);
    expect(publicationsAfter(state, ann.offset, "ann")).toMatchObject(facts.missed);
    expect(publicationsAfter(state, ann.offset, "ann").length).toBe(facts.missed.length);
    expect(publicationsAfter(state, ann.offset, "eve").map(({ offset }) => offset)).toContain(facts.hidden);
    expect(replay.page(0, { limit: 100, maxBytes: 1e6 }).at(-1)?.offset).toBe(log.head);
    const kept = [...log.segments.after(0)].reduce((sum, { bytes }) => sum + bytes, 0);
    expect(log.segments.bytes).toBe(kept);
    expect(log.totalUpTo(log.head)).toBe(kept);
    expect(log.totalUpTo(ann.offset)).toBeLessThan(kept);
  });

  it("has the refs of publications that have left the log", () => {
    const state = build(open(), savedAt);
    expectRefs(state, facts);
    for (const { session } of crowd) expect(state.log.refs.last(session)).toBe(300);
    expect(state.log.refs.find(crowd[0]?.session ?? "", 1)).toBeUndefined();
  });

  it("has the timer with its data, and the revocation", () => {
    const { timers, revocations } = build(open(), savedAt);
    const timer = timers.get("tea");
    expect(timer).toMatchObject({ name: "tea", tries: 0 });
    expect(timer && timers.dataOf(timer)).toEqual({ text: "tea ☕" });
    expect(timers.nextDeadline()).toBe(timer?.due);
    expect(timers.due(savedAt, 10)).toEqual([]);
    expect(timers.due(savedAt + 3_600_000, 10)).toEqual([timer]);
    expect(revocations.covers("eve", savedAt - DAY_MS)).toBe(true);
    expect(revocations.covers("eve", savedAt + 1)).toBe(false);
    expect(revocations.covers("ann", savedAt - DAY_MS)).toBe(false);
  });

  it("has the idempotency keys and the outbox, if that version knew them", () => {
    const { idempotency, outbox } = build(open(), savedAt);
    expect(facts.key === undefined).toBe(facts.schema < 3);
    const { key, at, offset } = facts.key ?? {};
    expect(idempotency.find("op", "order-1", savedAt)?.offset).toBe(offset);
    expect(idempotency.find("op", "order-1", savedAt)?.at).toBe(at);
    expect(idempotency.find("ann", key ?? "order-1", savedAt)).toBeUndefined();
    expect(outbox.status).toMatchObject(facts.outbox ?? { pending: 0, dead: 0 });
    expect(outbox.dead(10).length).toBe(facts.outbox?.dead ?? 0);
  });

  it("goes on from there: new publications, and the old refs survive them and a restart", () => {
    const storage = open();
    let state = build(storage, savedAt);
    for (let n = 1; n <= 40; n++) {
      storage.transactionSync(() => {
        state.log.append({ by: "bob", at: savedAt + n, data: n }, { session: bob.session, ref: 1_000 + n });
        state.log.commit();
      });
      state.log.settle();
      if (n % 8 === 0) state = build(storage, savedAt + n);
      expectRefs(state, facts);
    }
    expect(state.log.head).toBe(bob.offset + 40);
    expect(state.log.refs.find(bob.session, 1_040)?.offset).toBe(bob.offset + 40);
    expect(state.log.covers(ann.offset)).toBe(false);
  });

  it("is migrated once: a second time writes nothing", () => {
    const storage = open();
    build(storage, savedAt);
    const total = () => storage.sql.exec("SELECT total_changes() AS n").one()["n"];
    const before = total();
    build(storage, savedAt);
    expect(total()).toBe(before);
    expect(versionOf(storage.sql)).toBe(SCHEMA_VERSION);
  });

  it("keeps its version when the migration crashes, at whichever statement, and is migrated afterwards", () => {
    const storage = open();
    const before = dump(storage);
    let crashes = 0;
    for (let isDone = false; !isDone; crashes++) {
      let left = crashes;
      storage.fault = () => {
        if (left-- <= 0) throw new Error("crash");
      };
      isDone = true;
      try {
        storage.transactionSync(() => migrate(storage.sql));
      } catch (error) {
        expect(String(error)).toBe("Error: crash");
        isDone = false;
      }
      storage.fault = undefined;
      if (!isDone) expect(dump(storage)).toEqual(before);
    }
    // BEGIN, COMMIT, the version read and written, and a statement or more for each step.
    expect(crashes).toBeGreaterThan(4 + SCHEMA_VERSION - facts.schema);
    expect(versionOf(storage.sql)).toBe(SCHEMA_VERSION);
    expectRefs(build(storage, savedAt), facts);
  });
});

/** All tables and rows. */
function dump({ sql }: NodeStorage): Record<string, unknown> {
  const tables = sql.exec("SELECT name, sql FROM sqlite_master ORDER BY name").toArray();
  return Object.fromEntries(
    tables.map((table) => {
      const name = table["name"] as string;
      return [name, { sql: table["sql"], rows: sql.exec(`SELECT * FROM ${name}`).toArray() }];
    }),
  );
}
