/** The cursor of the list of rooms: opaque, and nothing in it that its reader may not know. */
import { describe, expect, it } from "vitest";
import { readCursor, writeCursor, type Position } from "../../src/http/api/cursor.ts";

const positions: Position[] = [{ shard: 0 }, { shard: 15 }, { shard: 3, after: "Zk3-_9" }];

describe("E1: a cursor of the list of rooms", () => {
  it.each(positions)("comes back as it went: %j", (position) => {
    const cursor = writeCursor(position);
    expect(cursor).toMatch(/^[\w-]+$/);
    expect(readCursor(cursor, 16)).toEqual(position);
  });

  it("cannot carry a room's name", () => {
    for (const after of ["chat/lobby", "a.b", "", "a b", "x".repeat(65)]) {
      expect(() => writeCursor({ shard: 0, after })).toThrow(TypeError);
    }
  });

  it("is refused when the app did not write it, and when its part does not exist", () => {
    const encode = (text: string) => btoa(text).replaceAll("=", "");
    const wrong = [
      "",
      "0",
      "0:chat/lobby",
      "!!",
      "x".repeat(200),
      ...["", "1", "1.", "2.0", "1.x", "1.0.", "1.0.a.b", "1.0.a/b", "1.99999"].map(encode),
    ];
    expect(wrong.filter((cursor) => readCursor(cursor, 16) !== undefined)).toEqual([]);
    expect(readCursor(writeCursor({ shard: 16 }), 16)).toBeUndefined();
  });
});
