/** The list of rooms as commands read it: page by page, from a server that may answer anything. */
import { expect, it } from "vitest";
import type { Server } from "../../src/cli/http.ts";
import { findRooms } from "../../src/cli/listing.ts";

const room = (name: string) => ({
  kind: "chat",
  room: name,
  connections: 1,
  members: 1,
  sessions: 1,
  offset: 1,
  at: 1,
});

/** A server that gives these pages, and counts them. */
function serverOf(page: (n: number) => object) {
  const seen = { pages: 0 };
  return { seen, server: { rooms: () => Promise.resolve(page(seen.pages++)) } as unknown as Server };
}

it("P: all pages are one list, by name, with the parts that are missing", async () => {
  const pages = [{ rooms: [room("b")], next: "1" }, { rooms: [], next: "2", incomplete: [3] }, { rooms: [room("a")] }];
  const { server } = serverOf((n) => pages[n] ?? {});
  expect(await findRooms(server)).toEqual({ rooms: [room("a"), room("b")], incomplete: [3] });
});

it("P: a list that leads back to itself, or goes on for ever, is an error and no wait without an end", async () => {
  const same = serverOf(() => ({ rooms: [], next: "1" }));
  await expect(findRooms(same.server)).rejects.toThrow("does not come to an end");
  expect(same.seen.pages).toBe(2);
  const endless = serverOf((n) => ({ rooms: [], next: String(n) }));
  await expect(findRooms(endless.server)).rejects.toThrow("does not come to an end");
});

it("P: what is no list of rooms is said to be none", async () => {
  for (const rooms of ["<html>", null, [null], [{ kind: "chat" }], [7]]) {
    const { server } = serverOf(() => ({ rooms }));
    await expect(findRooms(server), JSON.stringify(rooms)).rejects.toThrow("The list of rooms cannot be read.");
  }
});

it("P: a list of many thousand rooms is one too", async () => {
  const many = Array.from({ length: 300_000 }, (_, n) => room(`r${n}`));
  expect((await findRooms(serverOf(() => ({ rooms: many })).server)).rooms).toHaveLength(300_000);
});
