/** What an operator sees of a large room over HTTP, and does to members who are at its relays. */
import { exports } from "cloudflare:workers";
import { Validator, type Schema } from "@cfworker/json-schema";
import { describe, expect, it } from "vitest";
import { schemas, type SchemaName } from "../../src/http/api/schemas.ts";
import type { Drained, MemberList, RoomStats, SessionList } from "../../src/protocol/api.ts";
import { Client, sign } from "../support/client.ts";
import { eventually } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";

/** A room whose first two members are its own; three are at its first relay, the others at the next. */
async function filled(...users: string[]) {
  const room = new TestedRoom("large");
  const clients: Client[] = [];
  for (const user of users) clients.push((await Client.join(room.path, { user })).client);
  const clientOf = (user: string) => clients[users.indexOf(user)] as Client;
  return { room, clientOf };
}

/** Does an operation. The answer is as the OpenAPI document says. */
async function ask<T>(room: TestedRoom, operation: string, schema: SchemaName, body?: object): Promise<T> {
  const token = await sign("op", { rooms: { "*": ["admin"] } });
  const response = await exports.default.fetch(`http://edge.test/rooms/${room.path}/${operation}`, {
    method: body ? "POST" : "GET",
    headers: { authorization: `Bearer ${token}` },
    ...(body && { body: JSON.stringify(body) }),
  });
  const answer: unknown = await response.json();
  expect({ status: response.status, answer }).toMatchObject({ status: 200 });
  const validator = new Validator({ ...schemas[schema], components: { schemas } } as Schema, "2020-12", false);
  expect(validator.validate(answer).errors).toEqual([]);
  return answer as T;
}

const relayName = (room: TestedRoom, nth: number) => `${room.path}/any/${nth}`;

describe("an operator", () => {
  it("sees the relays of a room, and what they come to", async () => {
    const { room } = await filled("a", "b", "c", "d", "e", "f");
    await eventually(async () => {
      const stats = await ask<RoomStats>(room, "stats", "RoomStats");
      expect(stats).toMatchObject({
        members: 6,
        sessions: 6,
        connections: 6,
        direct: 2,
        relays: [
          { name: relayName(room, 0), region: "any", connections: 3, lag: 0 },
          { name: relayName(room, 1), region: "any", connections: 1, lag: 0 },
        ],
        regions: { any: { relays: 2, connections: 4 } },
      });
      for (const { heardAt = 0 } of stats.relays ?? []) expect(heardAt).toBeGreaterThan(0);
    });
  });

  it("reads members and sessions page by page", async () => {
    const { room } = await filled("a", "b", "c", "d");
    const all = await ask<MemberList>(room, "members", "Members");
    expect(all).toEqual({ members: ["a", "b", "c", "d"].map((id) => ({ id })) });
    const first = await ask<MemberList>(room, "members?limit=3", "Members");
    expect(first).toMatchObject({ members: [{ id: "a" }, { id: "b" }, { id: "c" }], next: "c" });
    expect(await ask(room, "members?limit=3&after=c", "Members")).toEqual({ members: [{ id: "d" }] });
    const { sessions, next = "" } = await ask<SessionList>(room, "sessions?limit=3", "Sessions");
    expect(sessions.map(({ user, connected, relay }) => [user, connected, relay])).toEqual([
      ["a", true, undefined],
      ["b", true, undefined],
      ["c", undefined, relayName(room, 0)],
    ]);
    const last = await ask<SessionList>(room, `sessions?limit=3&after=${encodeURIComponent(next)}`, "Sessions");
    expect(last).toMatchObject({ sessions: [{ user: "d", relay: relayName(room, 0), present: true }] });
    expect(last.next).toBeUndefined();
  });

  it("is told what is wrong with a page", async () => {
    const { room } = await filled("a", "b", "c");
    const token = await sign("op", { rooms: { "*": ["admin"] } });
    for (const query of ["limit=0", "limit=1001", "limit=x", "after="]) {
      for (const operation of ["members", "sessions"]) {
        const headers = { authorization: `Bearer ${token}` };
        const response = await exports.default.fetch(`http://edge.test/rooms/${room.path}/${operation}?${query}`, {
          headers,
        });
        expect({ query, status: response.status }).toEqual({ query, status: 400 });
      }
    }
  });

  it("sees that a relay asks nobody about a signal for those who are near, where no hook has a say", async () => {
    const { room, clientOf } = await filled("a", "b", "c", "d");
    const signals = async () => (await ask<RoomStats>(room, "stats", "RoomStats")).counts["signals"] ?? 0;
    const heard = () => clientOf("d").frames.filter(({ type }) => type === "signal").length;
    clientOf("c").send({ type: "signal", data: "near", scope: "near" });
    await clientOf("d").until(() => heard() === 1, "the near one");
    expect(await signals()).toBe(0);
    clientOf("c").send({ type: "signal", data: "far" });
    await clientOf("d").until(() => heard() === 2, "the far one");
    expect(await signals()).toBe(1);
  });

  it("kicks a session that is at a relay, and a user wherever it is", async () => {
    const { room, clientOf } = await filled("a", "b", "c", "d");
    const { sessions } = await ask<SessionList>(room, "sessions", "Sessions");
    const session = sessions.find(({ user }) => user === "c")?.session;
    expect(await ask(room, "kick", "Ended", { session })).toEqual({ sessions: 1 });
    expect(await clientOf("c").next("bye")).toMatchObject({ reason: "kicked" });
    const { client: again } = await Client.join(room.path, { user: "a" });
    expect(await ask(room, "kick", "Ended", { user: "a" })).toEqual({ sessions: 2 });
    for (const client of [again, clientOf("a")]) expect(await client.next("bye")).toMatchObject({ reason: "kicked" });
    await eventually(async () => {
      const { members } = await ask<MemberList>(room, "members", "Members");
      expect(members.map(({ id }) => id)).toEqual(["b", "d"]);
    });
  });

  it("revokes a user who is at a relay", async () => {
    const { room, clientOf } = await filled("a", "b", "c");
    expect(await ask(room, "revoke", "Ended", { user: "c" })).toEqual({ sessions: 1 });
    expect(await clientOf("c").next("bye")).toMatchObject({ reason: "revoked" });
    await eventually(async () =>
      expect(await ask(room, "stats", "RoomStats")).toMatchObject({ members: 2, sessions: 2, connections: 2 }),
    );
  });

  it("drains the relays with the room until nobody is left", async () => {
    const { room, clientOf } = await filled("a", "b", "c", "d");
    expect(await ask<Drained>(room, "drain", "Draining", { within: 0 })).toMatchObject({ connections: 4 });
    for (const user of ["a", "b", "c", "d"]) {
      const client = clientOf(user);
      await client.until(() => client.closed !== undefined, "the close");
    }
    await eventually(async () => expect(await ask(room, "stats", "RoomStats")).toMatchObject({ connections: 0 }));
  });
});
