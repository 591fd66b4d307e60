/** What earlier versions stored in the directory, and rooms of earlier versions report, is still read. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import type { Report } from "../../src/ops/directory.ts";

const part = (name: string) => env.EDGEROOMS_DIRECTORY.getByName(name);

it("a failure that was stored with where has it as its source", async () => {
  const directory = part("old-failures");
  const now = Date.now();
  await directory.failures();
  await runInDurableObject(directory, (_object, { storage: { sql } }) => {
    const store = (slot: number, failure: object) =>
      sql.exec("INSERT INTO edgerooms_notes VALUES (?, ?, ?)", slot, slot + 1, JSON.stringify(failure));
    store(0, { at: now + 1, code: "internal", where: "tick", kind: "chat", room: "a" });
    store(1, { at: now + 2, code: "a_code_of_tomorrow", source: "tick" });
    store(2, { at: now + 3, code: "hook_failed", source: "onPublish" });
  });
  expect(await directory.failures()).toEqual({
    failures: [
      { at: now + 3, code: "hook_failed", source: "onPublish" },
      { at: now + 1, code: "internal", source: "tick", kind: "chat", room: "a" },
    ],
    ends: [],
  });
});

it("counts that were stored are added to what is reported today", async () => {
  const directory = part("old-counts");
  const nothing = { rooms: 0, connections: 0, members: 0, sessions: 0, undelivered_rooms: 0, dead_letters: 0 };
  await directory.totals();
  await runInDurableObject(directory, (_object, { storage: { sql } }) => {
    sql.exec(`INSERT INTO edgerooms_past VALUES ('chat', '{"resumes|reset|log_trimmed":2,"gone":1}')`);
  });
  await directory.count({ "alerts|sent": 1 }, []);
  const report: Report = { kind: "chat", room: "a", connections: 1, members: 1, offset: 0, ttl: 60_000 };
  await directory.update({ ...report, counts: { "resumes|reset|log_trimmed": 3 } });
  expect(await directory.totals()).toEqual({
    "": { ...nothing, counts: { "alerts|sent": 1 } },
    chat: {
      ...nothing,
      rooms: 1,
      connections: 1,
      members: 1,
      counts: { "resumes|reset|log_trimmed": 5, gone: 1 },
    },
  });
});

it("a part that the first version made has every column after its next start", async () => {
  const directory = part("old-table");
  await runInDurableObject(directory, (_object, { storage: { sql } }) => {
    sql.exec(`DROP TABLE edgerooms_directory;
      CREATE TABLE edgerooms_directory (
        kind TEXT, room TEXT, connections INTEGER NOT NULL, members INTEGER NOT NULL, offset INTEGER NOT NULL,
        at INTEGER NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (kind, room)) WITHOUT ROWID;
      INSERT INTO edgerooms_directory VALUES ('chat', 'a', 2, 1, 7, 5, 9e15);`);
  });
  await runInDurableObject(directory, (_object, state) => state.abort("made anew")).catch(() => undefined);
  const again = part("old-table");
  expect(await again.list()).toEqual({
    rooms: [{ kind: "chat", room: "a", connections: 2, members: 1, sessions: 0, offset: 7, at: 5 }],
  });
});
