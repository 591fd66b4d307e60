/** Plays a recorded tick again on plain SQLite: the rows, pointers and events that the recording holds, and nothing else. */
import type { RoomDefinition } from "../../src/room/definition.ts";
import { applyTick, type TickOutcome } from "../../src/room/core/tick.ts";
import type { Recording } from "../../src/room/runtime/recording.ts";
import { RoomState } from "../../src/room/store/state.ts";
import { NodeStorage } from "./sqlite.ts";

/** Applies the tick of a recording that may have been JSON meanwhile. Throws what the tick threw. */
export function replayed({ room, input, pointers, tables }: Recording, definition: RoomDefinition): TickOutcome {
  const storage = new NodeStorage();
  for (const { name, sql, rows } of tables ?? []) {
    storage.sql.exec(sql);
    for (const row of rows) {
      const columns = Object.keys(row);
      const places = columns.map(() => "?").join(", ");
      storage.sql.exec(`INSERT INTO ${name} (${columns.join(", ")}) VALUES (${places})`, ...Object.values(row));
    }
  }
  const state = new RoomState({
    definition,
    sql: storage.sql,
    atomic: (run) => storage.transactionSync(run),
    room,
    pointers,
    alarm: input.now,
    heartbeatAt: undefined,
    now: input.now,
    held: new Map(),
    continuations: new Map(),
  });
  return storage.transactionSync(() => applyTick(state, input));
}
