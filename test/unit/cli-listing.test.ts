/** The lists of rooms and of members as commands read them: page by page, from a server that may answer anything. */
import { expect, it } from "vitest";
import type { Server } from "../../src/cli/http.ts";
import { findMembers, findRooms } from "../../src/cli/listing.ts";

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

/** A server that gives these pages of members, and keeps what it was asked. */
function serverOfMembers(page: (n: number) => object) {
  const asked: string[] = [];
  const ask = (_operation: string, _room: unknown, { query = "" }) =>
    Promise.resolve({ value: page(asked.push(query) - 1) });
  return { asked, server: { ask } as unknown as Server };
}

const LOBBY = { path: "/rooms/lobby" };

it("the members of a large room are read page by page", async () => {
  const pages = [{ members: [{ id: "a b" }], next: "a b" }, { members: [{ id: "c" }], next: "c" }, { members: [] }];
  const { asked, server } = serverOfMembers((n) => pages[n] ?? {});
  expect(await findMembers(server, LOBBY)).toEqual([{ id: "a b" }, { id: "c" }]);
  expect(asked).toEqual(["limit=1000", "limit=1000&after=a+b", "limit=1000&after=c"]);
});

it("members that come without an end, or are none, are an error", async () => {
  const stuck = serverOfMembers(() => ({ members: [], next: "a" }));
  await expect(findMembers(stuck.server, LOBBY)).rejects.toThrow("does not come to an end");
  expect(stuck.asked).toHaveLength(2);
  const endless = serverOfMembers((n) => ({ members: [], next: String(n) }));
  await expect(findMembers(endless.server, LOBBY)).rejects.toThrow("does not come to an end");
  await expect(findMembers(serverOfMembers(() => ({ members: 7 })).server, LOBBY)).rejects.toThrow("cannot be read");
});
