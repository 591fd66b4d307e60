/** What the outbox promises: order, one batch at a time, retries, dead letters, and all of it again after a restart. */
import { expect, it } from "vitest";
import { Outbox } from "../../src/room/store/outbox.ts";
import type { WithTables } from "./given.ts";

const NOW = 1_795_750_000_000;
const DOWN = { ok: false, code: "upstream_failed", final: false } as const;
const REFUSED = { ok: false, code: "upstream_failed", final: true } as const;

/** An event as a tick hands it in. */
const event = (type: string) => `"type":"${type}","at":${NOW}}`;

/** Takes the next batch, in words. */
function take(outbox: Outbox, now = NOW): { id: string; tries: number; types: string[] } | undefined {
  const batch = outbox.take("room", "r", now);
  return batch && { id: batch.id, tries: batch.tries, types: batch.events.map(({ type }) => type) };
}

/** Defines the tests. Part of stores.ts. */
export function outboxContract(withTables: WithTables): void {
  it(
    "hands out batches in their order, one at a time, also after a restart",
    withTables((sql) => {
      const first = new Outbox(sql);
      first.add([event("join"), event("leave")], NOW, "a");
      new Outbox(sql).add([event("empty")], NOW, "b");
      const outbox = new Outbox(sql);
      expect(outbox.status).toMatchObject({ pending: 2, dead: 0, tries: 0 });
      const batch = take(outbox);
      expect(batch).toMatchObject({ tries: 0, types: ["join", "leave"] });
      expect(take(outbox)).toBeUndefined();
      expect(outbox.settle("another", { ok: true }, NOW)).toBeUndefined();
      expect(outbox.settle(batch?.id ?? "", { ok: true }, NOW)).toBe("delivered");
      expect(take(outbox)?.types).toEqual(["empty"]);
      // The process dies here: what was being delivered is delivered again.
      expect(take(new Outbox(sql))?.types).toEqual(["empty"]);
      expect(new Outbox(sql).status.pending).toBe(1);
    }),
  );

  it(
    "lets events of later ticks join a batch that nobody was handed, with ids that differ",
    withTables((sql) => {
      const outbox = new Outbox(sql);
      outbox.add([event("join")], NOW, "a");
      outbox.add([event("leave")], NOW, "b");
      expect(outbox.status.pending).toBe(1);
      const batch = outbox.take("room", "r", NOW);
      expect(batch?.events.map(({ type }) => type)).toEqual(["join", "leave"]);
      expect(new Set(batch?.events.map(({ id }) => id)).size).toBe(2);
      outbox.add([event("empty")], NOW, "c");
      expect(outbox.status.pending).toBe(2);
    }),
  );

  it(
    "tries a failed batch again, later each time, before any other",
    withTables((sql) => {
      new Outbox(sql).add([event("join")], NOW, "a");
      new Outbox(sql).add([event("leave")], NOW, "b");
      let now = NOW;
      const waits: number[] = [];
      for (let n = 0; n < 12; n++) {
        const outbox = new Outbox(sql);
        const batch = take(outbox, now);
        expect(batch).toMatchObject({ tries: n, types: ["join"] });
        expect(outbox.settle(batch?.id ?? "", DOWN, now)).toBe("failed");
        expect(take(outbox, now)).toBeUndefined();
        waits.push((outbox.next ?? 0) - now);
        now = outbox.next ?? 0;
      }
      expect(waits.slice(0, 4)).toEqual([1_000, 2_000, 4_000, 8_000]);
      expect(waits.at(-1)).toBe(300_000);
    }),
  );

  it(
    "keeps a refused batch as a dead letter, which may wait again behind the others",
    withTables((sql) => {
      const outbox = new Outbox(sql);
      outbox.add([event("join"), event("leave")], NOW, "a");
      const refused = take(outbox);
      outbox.add([event("empty")], NOW, "b");
      expect(outbox.settle(refused?.id ?? "", REFUSED, NOW)).toBe("dead");
      const again = new Outbox(sql);
      expect(again.status).toMatchObject({ pending: 1, dead: 1 });
      const letter = { id: refused?.id, at: NOW, tries: 1, error: "upstream_failed", events: 2 };
      expect(again.dead(10)).toEqual([letter]);
      again.revive(NOW);
      const revived = new Outbox(sql);
      expect(revived.status).toMatchObject({ pending: 2, dead: 0 });
      const batch = take(revived);
      expect(batch?.types).toEqual(["empty"]);
      revived.settle(batch?.id ?? "", { ok: true }, NOW);
      expect(take(revived)).toEqual({ id: refused?.id, tries: 0, types: ["join", "leave"] });
    }),
  );

  /** Three dead letters, in the order in which they died. */
  const threeDead = (sql: SqlStorage): { outbox: Outbox; ids: string[] } => {
    const outbox = new Outbox(sql);
    const ids = ["a", "b", "c"].map((tick) => {
      outbox.add([event("join")], NOW, tick);
      const { id = "" } = take(outbox) ?? {};
      expect(outbox.settle(id, REFUSED, NOW)).toBe("dead");
      return id;
    });
    return { outbox, ids };
  };

  it(
    "E6: shows one dead letter with its events, brings one back, and forgets one for good or all",
    withTables((sql) => {
      const { outbox, ids } = threeDead(sql);
      const [first = "", second = "", third = ""] = ids;
      const letter = outbox.letter(second);
      expect(letter).toMatchObject({ id: second, at: NOW, tries: 1, error: "upstream_failed" });
      expect(letter?.events).toMatchObject([{ type: "join", at: NOW }]);
      expect(outbox.letter("another")).toBeUndefined();
      expect([outbox.revive(NOW, "another"), outbox.drop("another")]).toEqual([0, 0]);
      expect(outbox.revive(NOW, second)).toBe(1);
      expect(outbox.status).toMatchObject({ pending: 1, dead: 2 });
      expect(take(outbox)?.id).toBe(second);
      expect(outbox.drop(first)).toBe(1);
      const again = new Outbox(sql);
      expect(again.dead(10).map(({ id }) => id)).toEqual([third]);
      expect(again.status).toMatchObject({ pending: 1, dead: 1 });
      expect(again.drop()).toBe(1);
      expect(new Outbox(sql).status).toMatchObject({ pending: 1, dead: 0 });
      expect(again.drop()).toBe(0);
    }),
  );

  it(
    "E6: sets the batch that holds up the others aside, and only that one",
    withTables((sql) => {
      new Outbox(sql).add([event("join")], NOW, "a");
      const outbox = new Outbox(sql);
      outbox.add([event("leave")], NOW, "b");
      const held = take(outbox);
      expect(outbox.stuck).toBeUndefined();
      outbox.settle(held?.id ?? "", DOWN, NOW);
      expect(outbox.stuck).toEqual({ id: held?.id, at: NOW, tries: 1, events: 1, nextTry: NOW + 1_000 });
      expect(outbox.skip("another")).toBe(false);
      expect(outbox.status).toMatchObject({ pending: 2, dead: 0 });
      expect(outbox.skip(held?.id ?? "")).toBe(true);
      expect(outbox.stuck).toBeUndefined();
      expect(take(outbox)?.types).toEqual(["leave"]);
      const again = new Outbox(sql);
      expect(again.dead(10)).toMatchObject([{ id: held?.id, tries: 1, error: "skipped" }]);
      expect(again.status).toMatchObject({ pending: 1, dead: 1 });
    }),
  );

  it(
    "E6: a batch that is skipped while it is delivered is no dead letter if the receiver has it, and the next waits for that",
    withTables((sql) => {
      const outbox = new Outbox(sql);
      outbox.add([event("join")], NOW, "a");
      for (const outcome of [DOWN, { ok: true } as const]) {
        const { id = "" } = take(outbox) ?? {};
        outbox.add([event("leave")], NOW, "b");
        expect(outbox.skip(id)).toBe(true);
        expect(outbox.status.dead).toBe(outcome.ok ? 2 : 1);
        expect(take(outbox)).toBeUndefined();
        expect(outbox.settle(id, outcome, NOW)).toBe(outcome.ok ? "delivered" : "skipped");
        expect(outbox.status.dead).toBe(1);
        expect(new Outbox(sql).status).toMatchObject({ pending: 1, dead: 1 });
      }
      expect(take(outbox)?.types).toEqual(["leave"]);
    }),
  );

  it(
    "E6: counts as undelivered what is dead, and what waits behind a batch that has failed for minutes",
    withTables((sql) => {
      const { outbox } = threeDead(sql);
      outbox.add([event("join")], NOW, "d");
      new Outbox(sql).add([event("leave")], NOW, "e");
      let now = NOW;
      const seen: number[] = [];
      for (let n = 0; n < 10; n++) {
        const each = new Outbox(sql);
        seen.push(each.undelivered.pending);
        each.settle(take(each, now)?.id ?? "", DOWN, now);
        now = each.next ?? 0;
      }
      expect(seen).toEqual(Array.from({ length: 10 }, () => 0));
      expect(new Outbox(sql).undelivered).toEqual({ dead: 3, pending: 2 });
    }),
  );

  it(
    "keeps dead letters apart, when the process was killed between them",
    withTables((sql) => {
      const ids = ["a", "b", "c"].map((tick) => {
        const outbox = new Outbox(sql);
        outbox.add([event("join")], NOW, tick);
        const batch = take(outbox);
        expect(outbox.settle(batch?.id ?? "", REFUSED, NOW)).toBe("dead");
        return batch?.id;
      });
      expect(new Outbox(sql).dead(2).map(({ id }) => id)).toEqual([ids[2], ids[1]]);
      expect(new Outbox(sql).status.dead).toBe(3);
    }),
  );
}
