/** What a log promises that is a copy of another one, with its rows in memory. Part of stores.ts. */
import { expect, it } from "vitest";
import type { Publication } from "../../src/protocol/frames.ts";
import { MemoryRows } from "../../src/room/store/log-rows.ts";
import { Log } from "../../src/room/store/log.ts";
import { Mirror } from "../../src/room/store/mirror.ts";
import { Replay } from "../../src/room/store/replay.ts";
import type { WithTables } from "./given.ts";

const NOW = 1_795_750_000_000;
const nobody = () => false;

/** Publications of these offsets, as a room tells them. */
function told(from: number, upto: number, size = 1): Publication[] {
  return Array.from({ length: upto - from + 1 }, (_, i) => ({
    offset: from + i,
    by: "ann",
    at: NOW + from + i,
    data: `${from + i}`.padEnd(size, "x"),
  }));
}

/** A tick that takes what the room tells. */
function take(log: Log, publications: readonly Publication[]): void {
  log.adopt(publications);
  log.commit();
  log.settle();
}

function offsets(log: Log, after = log.oldest - 1): number[] {
  const stretches = [...new Replay(log).after(after, undefined, 1e9)];
  return stretches.flatMap(({ items }) => (JSON.parse(`[${items}]`) as Publication[]).map(({ offset }) => offset));
}

/** Defines the tests. */
export function copyContract(withTables: WithTables): void {
  it(
    "takes what follows, leaves out what it has and what would leave a gap, and writes nothing down",
    withTables((sql) => {
      const log = new Log(sql, 100, nobody, new MemoryRows());
      take(log, told(1, 3));
      take(log, told(2, 5));
      take(log, told(7, 9));
      take(log, told(1, 5));
      expect([log.head, log.committed, log.oldest, offsets(log)]).toEqual([5, 5, 1, [1, 2, 3, 4, 5]]);
      expect(log.newestAt).toBe(NOW + 5);
      expect(sql.exec("SELECT count(*) AS n FROM edgerooms_log").one()["n"]).toBe(0);
    }),
  );

  it(
    "has what the last one had over the same rows",
    withTables((sql) => {
      const rows = new MemoryRows();
      const log = new Log(sql, 3, nobody, rows);
      for (let n = 1; n <= 9; n++) take(log, told(n, n, 10 * n));
      const again = new Log(sql, 3, nobody, rows);
      expect([again.head, again.oldest, offsets(again)]).toEqual([log.head, log.oldest, offsets(log)]);
      for (let offset = log.oldest - 1; offset <= 9; offset++)
        expect(again.totalUpTo(offset)).toBe(log.totalUpTo(offset));
    }),
  );

  it(
    "begins further back, and keeps its end and what it counts",
    withTables((sql) => {
      const whole = new Log(sql, 100, nobody, new MemoryRows());
      for (let n = 1; n <= 9; n++) take(whole, told(n, n, 50));
      const rows = new MemoryRows();
      rows.clear({ offset: 6, total: whole.totalUpTo(6) });
      const copy = new Log(sql, 100, nobody, rows);
      take(copy, told(7, 9, 50));
      expect([copy.oldest, copy.head]).toEqual([7, 9]);
      copy.refill(2, told(3, 9, 50));
      for (const each of [copy, new Log(sql, 100, nobody, rows)]) {
        expect([each.oldest, each.head, each.committed]).toEqual([3, 9, 9]);
        expect(offsets(each)).toEqual([3, 4, 5, 6, 7, 8, 9]);
        expect([2, 9].map((offset) => each.totalUpTo(offset))).toEqual([2, 9].map((offset) => whole.totalUpTo(offset)));
      }
      take(copy, told(10, 10, 50));
      take(whole, told(10, 10, 50));
      expect(copy.totalUpTo(10)).toBe(whole.totalUpTo(10));
    }),
  );

  it(
    "does not begin further back with what is not whole",
    withTables((sql) => {
      const rows = new MemoryRows();
      rows.clear({ offset: 6, total: 100 });
      const copy = new Log(sql, 100, nobody, rows);
      take(copy, told(7, 9));
      copy.refill(2, told(4, 9));
      copy.refill(2, told(3, 8));
      copy.refill(2, []);
      expect([copy.oldest, copy.head, offsets(copy)]).toEqual([7, 9, [7, 8, 9]]);
    }),
  );

  it(
    "fills a long past in rows of a size that is read at once",
    withTables((sql) => {
      const rows = new MemoryRows();
      rows.clear({ offset: 100, total: 0 });
      const copy = new Log(sql, 1_000, nobody, rows);
      copy.refill(0, told(1, 100, 10_000));
      expect(rows.load().length).toBeGreaterThan(10);
      expect(Math.max(...rows.load().map(({ bytes }) => bytes))).toBeLessThan(70_000);
      expect(offsets(copy)).toHaveLength(100);
    }),
  );

  it(
    "begins anew somewhere else, with nothing",
    withTables((sql) => {
      const rows = new MemoryRows();
      const copy = new Log(sql, 100, nobody, rows);
      take(copy, told(1, 5));
      copy.rebase(2);
      for (const each of [copy, new Log(sql, 100, nobody, rows)]) {
        expect([each.head, each.oldest, each.covers(2), each.covers(1)]).toEqual([2, 3, true, false]);
      }
      take(copy, told(3, 4));
      expect(offsets(copy)).toEqual([3, 4]);
    }),
  );

  it(
    "takes out what a transaction has undone when a state is built anew",
    withTables((sql) => {
      const mirror = new Mirror();
      mirror.rewind(undefined);
      const log = new Log(sql, 100, nobody, mirror.rows);
      take(log, told(1, 2));
      mirror.settle({ epoch: "one", offset: 2, total: log.totalUpTo(2) });
      take(log, told(3, 4));
      mirror.rewind(undefined);
      const again = new Log(sql, 100, nobody, mirror.rows);
      expect([again.head, offsets(again), mirror.get("epochs")]).toEqual([2, [1, 2], "one 0"]);
    }),
  );

  it(
    "begins after waking where its members are, as a socket remembers",
    withTables((sql) => {
      const mirror = new Mirror();
      mirror.rewind({ epoch: "one", offset: 7, total: 70 });
      const log = new Log(sql, 100, nobody, mirror.rows);
      expect([log.head, log.oldest, log.totalUpTo(7), log.covers(7), log.covers(6)]).toEqual([7, 8, 70, true, false]);
      // What it has told since counts, and not what a socket remembers of before.
      mirror.settle({ epoch: "one", offset: 9, total: 90 });
      mirror.rewind({ epoch: "one", offset: 7, total: 70 });
      expect(mirror.fed?.offset).toBe(9);
    }),
  );
}
