/** What creating a room's tables writes, as the runtime's cursors say it is billed. */
import { runInDurableObject } from "cloudflare:test";
import { migrate } from "../../src/room/store/schema.ts";
import { TestedRoom } from "./room.ts";

/** Rows of a new room's tables: all of them, and those that SQLite does not count among its changes. */
export async function schemaRows(): Promise<{ readonly all: number; readonly uncounted: number }> {
  return runInDurableObject(new TestedRoom().stub, (_room, { storage }) => {
    let all = 0;
    let uncounted = 0;
    const exec = (text: string, ...values: SqlStorageValue[]) => {
      const cursor = storage.sql.exec(text, ...values);
      all += cursor.rowsWritten;
      return cursor;
    };
    storage.transactionSync(() => migrate({ exec } as unknown as SqlStorage, (rows) => (uncounted = rows)));
    return { all, uncounted };
  });
}
