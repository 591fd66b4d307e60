/**
 * What the stores of a room promise, as tests that run over both storages. The rule behind all of them: a store that is
 * built anew from its tables answers as the one that wrote them. Knows nothing of sockets, ticks or the wire.
 */
import { describe, expect, it } from "vitest";
import type { Admission } from "../../src/room/admission.ts";
import { Epochs } from "../../src/room/store/epochs.ts";
import { Idempotency } from "../../src/room/store/idempotency.ts";
import { Meta } from "../../src/room/store/meta.ts";
import { Revocations } from "../../src/room/store/revocations.ts";
import { migrate } from "../../src/room/store/schema.ts";
import { Sessions } from "../../src/room/store/sessions.ts";
import { Timers } from "../../src/room/store/timers.ts";
import { copyContract } from "./copy.ts";
import type { Given, WithTables } from "./given.ts";
import { logContract } from "./log.ts";
import { outboxContract } from "./outbox.ts";
import { remoteContract } from "./remote.ts";

/** A moment that tests count from, in ms since the epoch. */
const NOW = 1_795_750_000_000;
const DAY_MS = 86_400_000;

/** Defines the tests. `given` hands an empty storage to each. */
export function storesContract(given: Given): void {
  const withTables: WithTables = (test) => () =>
    given((storage) => {
      storage.transactionSync(() => migrate(storage.sql));
      test(storage.sql);
    });
  describe("sessions", () => {
    sessionsContract(withTables);
  });
  describe("the log", () => {
    logContract(withTables);
  });
  describe("a copy of a log", () => {
    copyContract(withTables);
  });
  describe("sessions elsewhere", () => {
    remoteContract(withTables);
  });
  describe("the outbox", () => {
    outboxContract(withTables);
  });
  describe("timers", () => {
    timersContract(withTables);
  });
  describe("idempotency keys", () => {
    idempotencyContract(withTables);
  });
  describe("facts, epochs and revocations", () => {
    factsContract(withTables);
  });
}

const rules = { grace: 10_000, resumeWindow: 60_000, maxConnectionsPerUser: 2, presence: "list" } as const;

function admission(user: string, receivedAt = NOW): Admission {
  const credentials = {
    user,
    name: `${user} é`,
    grants: ["join", "publish"],
    issued: NOW,
    expires: NOW + DAY_MS,
  } as const;
  return { kind: "room", room: "r", credentials, requestId: `of ${user}`, receivedAt, credit: false };
}

function sessionsContract(withTables: WithTables): void {
  const rowsIn = (sql: SqlStorage) =>
    sql
      .exec("SELECT id FROM edgerooms_sessions")
      .toArray()
      .map((row) => row["id"]);

  it(
    "come back as they were, once they are committed",
    withTables((sql) => {
      const sessions = new Sessions(sql, rules);
      const ann = sessions.open("s1", admission("ann"));
      sessions.show(ann, { mood: "ü😀" }, NOW);
      sessions.drop(sessions.open("s2", admission("bob")), NOW + 5);
      expect(rowsIn(sql)).toEqual([]);
      sessions.commit();
      const again = new Sessions(sql, rules);
      for (const id of ["s1", "s2"]) expect(again.get(id)).toEqual(sessions.get(id));
      expect(again.get("s1")).toMatchObject({ data: { mood: "ü😀" }, droppedAt: null, generation: 1, name: "ann é" });
      expect(again.get("s2")).toMatchObject({ data: undefined, droppedAt: NOW + 5 });
      expect(again.nextDeadline()).toBe(sessions.nextDeadline());
      expect(again.size).toBe(2);
    }),
  );

  it(
    "are written once a commit, however often they changed, and not again",
    withTables((sql) => {
      const total = () => Number(sql.exec("SELECT total_changes() AS n").one()["n"]);
      const sessions = new Sessions(sql, rules);
      const before = total();
      const ann = sessions.open("s1", admission("ann"));
      sessions.show(ann, 1, NOW);
      sessions.show(ann, 2, NOW);
      sessions.commit();
      expect(total()).toBe(before + 1);
      sessions.commit();
      expect(total()).toBe(before + 1);
    }),
  );

  it(
    "belong to their user, and count their connections",
    withTables((sql) => {
      const sessions = new Sessions(sql, rules);
      const first = sessions.open("s1", admission("ann"));
      expect(sessions.owned("s1", "bob")).toBeUndefined();
      expect(sessions.owned("s1", "ann")).toBe(first);
      sessions.drop(first, NOW + 1);
      const second = sessions.connect(sessions.get("s1") ?? first, admission("ann", NOW + 2));
      expect(second).toMatchObject({ generation: 2, droppedAt: null, connectedAt: NOW + 2 });
    }),
  );

  it(
    "end for good, and are one too many when a user dropped more than the limit",
    withTables((sql) => {
      const sessions = new Sessions(sql, rules);
      const three = ["s3", "s1", "s2"].map((id) => sessions.open(id, admission("ann")));
      const surplus = three.map((session, i) => sessions.drop(session, NOW + i));
      expect(surplus.map((session) => session?.id)).toEqual([undefined, undefined, "s3"]);
      sessions.commit();
      for (const session of surplus) if (session) sessions.end(session);
      sessions.commit();
      expect(rowsIn(sql)).toEqual(["s1", "s2"]);
      expect(new Sessions(sql, rules).of("ann").map(({ id }) => id)).toEqual(["s1", "s2"]);
    }),
  );
}

function timersContract(withTables: WithTables): void {
  it(
    "come back with their data, and are due in the order of their time",
    withTables((sql) => {
      const timers = new Timers(sql);
      timers.schedule("late", NOW + 3, { text: "ü" });
      timers.schedule("early", NOW + 1, [1, null]);
      timers.schedule("moved", NOW, "old");
      timers.schedule("moved", NOW + 2, "new");
      timers.schedule("gone", NOW, null);
      timers.cancel("gone");
      timers.cancel("never");
      for (const each of [timers, new Timers(sql)]) {
        expect(each.size).toBe(3);
        expect(each.nextDeadline()).toBe(NOW + 1);
        expect(each.due(NOW, 10)).toEqual([]);
        const due = each.due(NOW + 9, 10);
        expect(due.map(({ name }) => name)).toEqual(["early", "moved", "late"]);
        expect(due.map((timer) => each.dataOf(timer))).toEqual([[1, null], "new", { text: "ü" }]);
        expect(each.due(NOW + 9, 2).length).toBe(2);
      }
    }),
  );

  it(
    "wait twice as long after each try, an hour at most, and forget it when they are set again",
    withTables((sql) => {
      new Timers(sql).schedule("t", NOW, 0);
      const waits = Array.from({ length: 14 }, () => {
        const timers = new Timers(sql);
        const timer = timers.get("t");
        if (timer) timers.retry(timer, NOW);
        return (timers.nextDeadline() ?? 0) - NOW;
      });
      expect(waits.slice(0, 4)).toEqual([2_000, 4_000, 8_000, 16_000]);
      expect(waits.at(-1)).toBe(3_600_000);
      const timers = new Timers(sql);
      expect(timers.get("t")?.tries).toBe(14);
      timers.schedule("t", NOW, 0);
      expect(new Timers(sql).get("t")?.tries).toBe(0);
    }),
  );
}

function idempotencyContract(withTables: WithTables): void {
  it(
    "are remembered for a day, each for its own user",
    withTables((sql) => {
      const posted = { offset: 7, at: NOW, digest: "d" };
      new Idempotency(sql).remember("ann", "k", posted);
      const keys = new Idempotency(sql);
      expect(keys.find("ann", "k", NOW)).toMatchObject(posted);
      expect(keys.find("bob", "k", NOW)).toBeUndefined();
      expect(keys.find("ann", "k", NOW + DAY_MS - 1)).toMatchObject(posted);
      expect(keys.find("ann", "k", NOW + DAY_MS)).toBeUndefined();
    }),
  );

  it(
    "give way to newer ones past 4,096, before and after a restart",
    withTables((sql) => {
      const keys = new Idempotency(sql);
      for (let n = 0; n < 4_098; n++) keys.remember("ann", `k${n}`, { offset: n, at: NOW, digest: "" });
      for (const each of [keys, new Idempotency(sql)]) {
        const found = ["k0", "k1", "k2", "k4097"].map((key) => each.find("ann", key, NOW)?.offset);
        expect(found).toEqual([undefined, undefined, 2, 4_097]);
      }
      const again = new Idempotency(sql);
      again.remember("ann", "next", { offset: 9_999, at: NOW, digest: "" });
      expect(again.find("ann", "k2", NOW)).toBeUndefined();
      expect(again.find("ann", "k3", NOW)?.offset).toBe(3);
      expect(sql.exec("SELECT count(*) AS n FROM edgerooms_keys").one()["n"]).toBe(4_096);
    }),
  );
}

function factsContract(withTables: WithTables): void {
  it(
    "facts come back, and the same fact is not written twice",
    withTables((sql) => {
      const total = () => Number(sql.exec("SELECT total_changes() AS n").one()["n"]);
      const meta = new Meta(sql);
      meta.set("name", "räum");
      const before = total();
      meta.set("name", "räum");
      expect(total()).toBe(before);
      expect(new Meta(sql).get("name")).toBe("räum");
      meta.delete("name");
      expect(new Meta(sql).get("name")).toBeUndefined();
    }),
  );

  it(
    "an epoch is good up to where the next one began; an unknown one never is",
    withTables((sql) => {
      const first = new Epochs(new Meta(sql));
      expect(first.current).toBe("");
      first.begin("one", 0, 1);
      new Epochs(new Meta(sql)).begin("two", 10, 1);
      const epochs = new Epochs(new Meta(sql));
      expect(epochs.current).toBe("two");
      const includes = (epoch: string, offset: number) => epochs.includes({ epoch, offset }, 20);
      expect([
        includes("one", 10),
        includes("one", 11),
        includes("two", 20),
        includes("two", 21),
        includes("three", 0),
      ]).toEqual([true, false, true, undefined, false]);
      // What the log no longer reaches back to is forgotten.
      epochs.begin("three", 20, 15);
      expect(new Epochs(new Meta(sql)).includes({ epoch: "one", offset: 5 }, 20)).toBe(false);
      expect(new Epochs(new Meta(sql)).includes({ epoch: "two", offset: 20 }, 20)).toBe(true);
    }),
  );

  it(
    "a revocation covers its user's tokens that were issued until then",
    withTables((sql) => {
      new Revocations(sql).revoke("ann", NOW);
      const revocations = new Revocations(sql);
      expect([NOW - 1, NOW, NOW + 1, 0].map((issued) => revocations.covers("ann", issued))).toEqual([
        true,
        true,
        false,
        true,
      ]);
      expect(revocations.covers("bob", 0)).toBe(false);
    }),
  );
}
