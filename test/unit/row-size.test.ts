/**
 * No row of a room passes the platform's 2 MB, whatever its members do: a row that is refused once is refused for ever.
 * NodeStorage refuses such a row, as production does; the runtime's own storage takes it where it runs locally.
 */
import { describe, expect, it } from "vitest";
import type { Credentials } from "../../src/room/admission.ts";
import type { Command } from "../../src/room/core/event.ts";
import type { Grant } from "../../src/room/definition.ts";
import { MAX_ITEM_BYTES } from "../../src/protocol/limits.ts";
import { Log } from "../../src/room/store/log.ts";
import { Outbox } from "../../src/room/store/outbox.ts";
import { RefChunks } from "../../src/room/store/ref-chunks.ts";
import { RefMemory, type RefTable } from "../../src/room/store/refs.ts";
import { migrate } from "../../src/room/store/schema.ts";
import { HostedRoom } from "../support/hosted.ts";
import { NodeStorage } from "../support/sqlite.ts";

const NOW = 1_795_446_734_704;
const idOf = (i: number) => `session-${String(i).padStart(24, "0")}`;

function roomStorage(): NodeStorage {
  const storage = new NodeStorage();
  storage.transactionSync(() => migrate(storage.sql));
  return storage;
}

/** UTF-16 units of refs in the chunks from a slot on, and the newest slot. */
function chunksIn({ sql }: NodeStorage, from = 0): { length: number; slot: number } {
  const query = "SELECT sum(length(refs)) AS length, max(slot) AS slot FROM edgerooms_ref_chunks WHERE slot >= ?";
  return sql.exec<{ length: number; slot: number }>(query, from).one();
}

describe("chunks of refs", () => {
  const SESSIONS = 2_600;

  /** Chunks that hold 256 refs of each of many sessions, as if each had published in its turn. */
  function fullChunks() {
    const storage = roomStorage();
    const alive = new Set(Array.from({ length: SESSIONS }, (_, i) => idOf(i)));
    let offset = 0;
    const refOf = (ref: number) => [ref, ++offset, NOW + offset];
    for (let slot = 1; slot <= 320; slot++) {
      const round = Math.ceil(slot / 10);
      const some = [...alive].slice(((slot - 1) % 10) * 260).slice(0, 260);
      const refs = Array.from({ length: 8 }, (_, i) => round * 8 - 7 + i);
      const table = Object.fromEntries(some.map((id) => [id, refs.flatMap(refOf)]));
      storage.sql.exec("INSERT INTO edgerooms_ref_chunks (slot, refs) VALUES (?, ?)", slot, JSON.stringify(table));
    }
    const chunks = new RefChunks(storage.sql);
    const memory = new RefMemory();
    memory.load(chunks.tables, Infinity);
    /** 1,300 publications leave the log: as many refs must be held elsewhere. */
    const spill = () => {
      const carried: RefTable = {};
      const sessions = [...alive];
      for (let i = 0; i < 1_300; i++) {
        const session = sessions[i % sessions.length] ?? "";
        const [ref = 0, at = 0, moment = 0] = refOf(memory.last(session) + 1);
        memory.add(session, ref, { offset: at, at: moment }, at);
        (carried[session] ??= []).push(ref, at, moment);
      }
      storage.transactionSync(() => {
        expect(chunks.spill(carried, memory, (session) => alive.has(session), offset + 1)).toEqual({});
      });
    };
    return { storage, memory, alive, spill };
  }

  it("promise 4: rows of refs stay short when most sessions end together, and soon hold what counts", () => {
    const { storage, memory, alive, spill } = fullChunks();
    expect(memory.size).toBe(SESSIONS * 256);
    for (const id of [...alive].slice(SESSIONS / 4)) {
      alive.delete(id);
      memory.forget(id);
    }
    for (let n = 0; n < 100; n++) {
      const { slot } = chunksIn(storage);
      spill();
      // What one publication moves has a bound too, not only the rows in which it lies then.
      expect(chunksIn(storage, slot + 1).length).toBeLessThan(786_432);
      if (n > 20) expect(chunksIn(storage).length).toBeLessThan(2.5 * memory.size * 26);
    }
    const woken = new RefMemory();
    woken.load(
      new RefChunks(storage.sql).tables.map((table) =>
        Object.fromEntries(Object.entries(table).filter(([session]) => alive.has(session))),
      ),
      Infinity,
    );
    const first = [...alive][0] ?? "";
    const known = (of: RefMemory) => Array.from({ length: 2_000 }, (_, i) => of.find(first, i)?.offset);
    expect(known(woken)).toEqual(known(memory));
    expect(woken.size).toBe(memory.size);
  });

  it("promise 4: rows of refs stay short when a room is told to keep less of its log", () => {
    const storage = roomStorage();
    const before = new Log(storage.sql, 100_000, () => true);
    const SOME = 400;
    for (let ref = 1; ref <= 256; ref++) {
      for (let i = 0; i < SOME; i++) {
        before.append({ by: "ann", at: NOW, data: 1 }, { session: idOf(i), ref });
      }
      before.commit();
      before.settle();
    }
    const log = new Log(storage.sql, 0, () => true);
    log.append({ by: "ann", at: NOW, data: 2 });
    storage.transactionSync(() => log.commit());
    log.settle();
    expect(chunksIn(storage).length).toBeGreaterThan(2_000_000);
    const woken = new Log(storage.sql, 0, () => true);
    for (const each of [log, woken]) {
      expect(each.oldest).toBe(SOME * 256 + 1);
      expect([1, 256].map((ref) => each.refs.find(idOf(7), ref)?.offset)).toEqual([8, 255 * SOME + 8]);
    }
  });
});

describe("other rows", () => {
  it("a row of the log has room for the largest publication and as many refs as a tick has", () => {
    const storage = roomStorage();
    const log = new Log(storage.sql, 0, () => true);
    for (let n = 1; n <= 3; n++) {
      for (let i = 0; i < 511; i++) {
        const ref = Number.MAX_SAFE_INTEGER - 3 + n;
        log.append({ by: "ann", at: NOW, data: "\u20ac".repeat(600) }, { session: idOf(i), ref });
      }
      const data = "\u20ac".repeat(Math.floor(MAX_ITEM_BYTES / 3) - 100);
      expect(log.append({ by: "ann", at: NOW, data }, { session: idOf(511), ref: n })).toBeDefined();
      storage.transactionSync(() => log.commit());
      log.settle();
    }
    expect(log.head).toBe(3 * 512);
  });

  it("a row of the outbox has room for the longest events, also joined, given up and revived", () => {
    const storage = roomStorage();
    const outbox = new Outbox(storage.sql);
    const event = (length: number) => `"type":"publication","data":"${"\u20ac".repeat(length)}"}`;
    storage.transactionSync(() => outbox.add([event(360_000)], NOW, "a".repeat(32)));
    storage.transactionSync(() => outbox.add(Array<string>(40).fill(event(65_000)), NOW, "b".repeat(32)));
    for (let n = 0; n < 40; n++) outbox.add([event(5_000)], NOW, `c${n}`);
    const { pending } = outbox.status;
    for (let n = 0; n < pending; n++) {
      const { id = "" } = outbox.take("room", "r", NOW) ?? {};
      expect(outbox.settle(id, { ok: false, code: "upstream_failed", final: true }, NOW)).toBe("dead");
    }
    storage.transactionSync(() => outbox.revive(NOW));
    expect(outbox.status.pending).toBe(pending);
  });

  it("a row of a timer has room for the largest data, whatever its characters", async () => {
    const room = new HostedRoom({
      methods: {
        longest: (r) => r.schedule("n".repeat(256), r.now + 60_000, "\u20ac".repeat(349_525 - 1)),
        longer: (r) => r.schedule("longer", r.now + 60_000, "\u20ac".repeat(349_526)),
      },
    });
    const ann = await room.join({ user: "ann" });
    await room.settled(ann.say({ type: "call", ref: 1, method: "longest" }));
    await room.settled(ann.say({ type: "call", ref: 2, method: "longer" }));
    expect(ann.of("reply")).toMatchObject([
      { ref: 1, data: null },
      { ref: 2, error: { code: "hook_failed" } },
    ]);
    expect(room.rows("SELECT count(*) AS n FROM edgerooms_jobs")).toEqual([{ n: 1 }]);
  });

  it("callers by RPC are refused what would be no user's id, name or grants: a row keeps them", async () => {
    const room = new HostedRoom();
    const ann = await room.join({ user: "ann" });
    const { session } = ann.welcome;
    const usual: Credentials = { user: "ann", grants: ["join"], issued: 0, expires: room.now + 60_000 };
    const ask = (command: Command) => room.settled(room.host.command(command));
    const tooMuch: Command[] = [
      { type: "revoke", user: "u".repeat(2_100_000), before: 1 },
      { type: "refresh", session, credentials: { ...usual, name: "n".repeat(2_100_000) } },
      { type: "refresh", session, credentials: { ...usual, grants: Array<Grant>(500_000).fill("join") } },
    ];
    for (const command of tooMuch) expect(await ask(command)).toMatchObject({ ok: false, code: "bad_request" });
    expect(room.failures).toEqual([]);
    const most: Credentials = {
      ...usual,
      name: "n".repeat(128),
      grants: ["join", "publish", "signal", "call", "admin"],
    };
    expect(await ask({ type: "refresh", session, credentials: most })).toMatchObject({ ok: true });
  });
});
