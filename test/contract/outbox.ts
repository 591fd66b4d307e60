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
