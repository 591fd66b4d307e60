/** What the log promises: order, retention, replay, refs, and the same answers after a restart. Part of stores.ts. */
import { expect, it } from "vitest";
import type { Publication } from "../../src/protocol/frames.ts";
import { MAX_ITEM_BYTES } from "../../src/protocol/limits.ts";
import { Log, type Source } from "../../src/room/store/log.ts";
import { MemoryRows } from "../../src/room/store/log-rows.ts";
import { Replay } from "../../src/room/store/replay.ts";
import type { WithTables } from "./given.ts";

const NOW = 1_795_750_000_000;

interface Said {
  readonly by?: string;
  readonly data: Publication["data"];
  readonly to?: readonly string[];
  readonly source?: Source;
}

/** One tick that publishes. */
function tick(log: Log, ...said: readonly Said[]): void {
  for (const { by = "ann", data, to, source } of said) {
    expect(log.append({ by, at: NOW, data, ...(to && { to }) }, source)).toBeDefined();
  }
  log.commit();
  log.settle();
}

const everyone = () => true;

/** What a user is fed after an offset, in words. */
function fed(log: Log, offset: number, user = "ann", maxBytes = 1_000_000): unknown[] {
  const stretches = [...new Replay(log).after(offset, user, maxBytes)];
  let upto = offset;
  for (const stretch of stretches) {
    expect(stretch.from).toBe(upto + 1);
    upto = stretch.upto;
  }
  expect(upto).toBe(Math.max(offset, log.head));
  return stretches.flatMap(({ items }) => (JSON.parse(`[${items}]`) as Publication[]).map(({ data }) => data));
}

/** Defines the tests. */
export function logContract(withTables: WithTables): void {
  it(
    "gives rising offsets without gaps, and has everything after a restart",
    withTables((sql) => {
      const log = new Log(sql, 100, everyone);
      tick(log, { data: "ü😀" }, { data: { a: [1, null, true] } });
      tick(log, { data: "third" });
      for (const each of [log, new Log(sql, 100, everyone)]) {
        expect(each).toMatchObject({ head: 3, committed: 3, oldest: 1, newestAt: NOW });
        expect(fed(each, 0)).toEqual(["ü😀", { a: [1, null, true] }, "third"]);
        expect(fed(each, 1)).toEqual([{ a: [1, null, true] }, "third"]);
        expect(fed(each, 0, "ann", 1)).toEqual(fed(each, 0));
        expect(fed(each, 3)).toEqual([]);
        expect([each.covers(0), each.covers(3), each.covers(4)]).toEqual([true, true, false]);
      }
      expect(new Replay(log).page(1, { limit: 1, maxBytes: 1e6 }).map(({ offset }) => offset)).toEqual([2]);
      expect(new Replay(log).recent({ limit: 2, maxBytes: 1e6 }).map(({ offset }) => offset)).toEqual([2, 3]);
    }),
  );

  it(
    "writes a tick as one row, and nothing before it is committed",
    withTables((sql) => {
      const rows = () => Number(sql.exec("SELECT count(*) AS n FROM edgerooms_log").one()["n"]);
      const log = new Log(sql, 100, everyone);
      log.append({ by: "ann", at: NOW, data: 1 });
      log.append({ by: "ann", at: NOW, data: 2 });
      expect([rows(), log.head, log.committed]).toEqual([0, 2, 0]);
      expect(fed(log, 0)).toEqual([1, 2]);
      log.commit();
      log.settle();
      expect([rows(), log.committed]).toEqual([1, 2]);
    }),
  );

  it(
    "shows an addressed publication to its sender and to its addressees",
    withTables((sql) => {
      const log = new Log(sql, 100, everyone);
      tick(log, { data: "all" }, { data: "for bob", to: ["bob"] });
      tick(log, { data: "all again" });
      for (const each of [log, new Log(sql, 100, everyone)]) {
        expect(fed(each, 0, "ann")).toEqual(["all", "for bob", "all again"]);
        expect(fed(each, 0, "bob")).toEqual(["all", "for bob", "all again"]);
        expect(fed(each, 0, "eve")).toEqual(["all", "all again"]);
        expect(fed(each, 1, "eve")).toEqual(["all again"]);
      }
    }),
  );

  it(
    "keeps what it must retain, in slots that are used again",
    withTables((sql) => {
      let log = new Log(sql, 3, everyone);
      for (let n = 1; n <= 20; n++) {
        tick(log, { data: n });
        if (n % 7 === 0) log = new Log(sql, 3, everyone);
        expect(log.covers(Math.max(0, n - 3))).toBe(true);
      }
      expect(fed(log, 17)).toEqual([18, 19, 20]);
      expect(log.oldest).toBeGreaterThan(15);
      expect(Number(sql.exec("SELECT max(slot) AS n FROM edgerooms_log").one()["n"])).toBeLessThan(4);
    }),
  );

  it(
    "has as many of the newest publications as fit, and leaves out one that is larger by itself",
    withTables((sql) => {
      const log = new Log(sql, 100, everyone);
      const small = (n: number) => ({ data: `${n} ${"x".repeat(1_000)}` });
      const large = { data: "x".repeat(5_000) };
      tick(log, small(1), large, small(3));
      tick(log, large);
      tick(log, small(5));
      const again = new Log(sql, 100, everyone);
      const recent = (each: Log, maxBytes: number, limit = 50) =>
        new Replay(each).recent({ limit, maxBytes, user: "ann" }).map(({ offset }) => offset);
      for (const each of [log, again]) {
        expect(recent(each, 4_500)).toEqual([1, 3, 5]);
        expect(recent(each, 4_500, 2)).toEqual([3, 5]);
        expect(recent(each, 2_500)).toEqual([3, 5]);
        expect(recent(each, 100)).toEqual([]);
        // What fits by itself and no more ends the list: nothing is missing in its middle.
        expect(recent(each, 5_500)).toEqual([5]);
      }
      for (const data of [large.data, small(7).data]) log.append({ by: "ann", at: NOW, data });
      expect(recent(log, 2_500)).toEqual([5, 7]);
    }),
  );

  it(
    "counts bytes of everything ever published, the same after a restart",
    withTables((sql) => {
      const log = new Log(sql, 3, everyone);
      for (let n = 1; n <= 9; n++) tick(log, { data: "x".repeat(n * 10) });
      const again = new Log(sql, 3, everyone);
      for (let offset = log.oldest - 1; offset <= 9; offset++) {
        expect(again.totalUpTo(offset)).toBe(log.totalUpTo(offset));
        if (offset > log.oldest) expect(again.totalUpTo(offset)).toBeGreaterThan(again.totalUpTo(offset - 1));
      }
    }),
  );

  it(
    "remembers refs beyond its publications, in the log and in chunks, while their session lives",
    withTables((sql) => {
      const alive = new Set(Array.from({ length: 12 }, (_, n) => `s${n}`));
      let log = new Log(sql, 3, (session) => alive.has(session));
      const offsets = new Map<string, number>();
      for (let ref = 1; ref <= 220; ref++) {
        const said = [...alive].map((session) => ({ data: ref, source: { session, ref } }));
        tick(log, ...said);
        for (const [i, session] of [...alive].entries())
          offsets.set(`${session} ${ref}`, log.head - alive.size + i + 1);
        if (ref % 50 === 0) log = new Log(sql, 3, (session) => alive.has(session));
      }
      expect(Number(sql.exec("SELECT count(*) AS n FROM edgerooms_ref_chunks").one()["n"])).toBeGreaterThan(0);
      for (const each of [log, new Log(sql, 3, (session) => alive.has(session))]) {
        for (const [key, offset] of offsets) {
          const [session = "", ref] = key.split(" ");
          expect(each.refs.find(session, Number(ref))?.offset).toBe(offset);
        }
        expect(each.refs.last("s0")).toBe(220);
        expect(each.refs.after("s0", offsets.get("s0 218") ?? 0).map(({ ref }) => ref)).toEqual([219, 220]);
      }
      alive.delete("s0");
      log.forget("s0");
      expect(log.refs.find("s0", 220)).toBeUndefined();
      expect(new Log(sql, 3, (session) => alive.has(session)).refs.find("s0", 220)).toBeUndefined();
      expect(new Log(sql, 3, (session) => alive.has(session)).refs.find("s1", 1)?.offset).toBe(offsets.get("s1 1"));
    }),
  );

  it(
    "stores items of the largest size, several rows a tick, and refuses larger ones",
    withTables((sql) => {
      const log = new Log(sql, 100, everyone);
      const large = "é".repeat(MAX_ITEM_BYTES / 2 - 100);
      tick(log, { data: large }, { data: large }, { data: "small" });
      expect(log.append({ by: "ann", at: NOW, data: "x".repeat(MAX_ITEM_BYTES) })).toBeUndefined();
      expect(log.head).toBe(3);
      expect(Number(sql.exec("SELECT count(*) AS n FROM edgerooms_log").one()["n"])).toBeGreaterThan(1);
      const items = fed(new Log(sql, 100, everyone), 0);
      expect(items.map((data) => String(data).length)).toEqual([large.length, large.length, 5]);
    }),
  );

  it(
    "is filled again as far back as somebody goes on from, also past what it retains",
    withTables((sql) => {
      // A room's log reaches back up to twice its retention; a copy of it may be asked for all of that.
      const words = Array.from({ length: 20 }, (_, i) => `${i + 1} ${"x".repeat(20_000)}`);
      const all = words.map((data, i) => ({ offset: i + 1, by: "ann", at: NOW, data }));
      const rows = new MemoryRows();
      const copy = new Log(sql, 3, everyone, rows);
      copy.rebase(17);
      copy.adopt(all);
      copy.commit();
      copy.settle();
      expect([copy.oldest, copy.head]).toEqual([18, 20]);
      copy.refill(2, all);
      for (const each of [copy, new Log(sql, 3, everyone, rows)]) {
        expect([each.oldest, each.head]).toEqual([3, 20]);
        expect(fed(each, 2)).toEqual(words.slice(2));
        expect(each.totalUpTo(20) - each.totalUpTo(2)).toBeGreaterThan(18 * 20_000);
      }
      // What comes next lets go of it again.
      for (let offset = 21; offset <= 40; offset++) tick(copy, { data: "more" });
      expect(copy.oldest).toBeGreaterThan(30);
    }),
  );
}
