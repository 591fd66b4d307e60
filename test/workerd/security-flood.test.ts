/** What one member can cost everybody else: connections, tokens, bodies, publications to nobody, comings and goings. */
import { describe, expect, it } from "vitest";
import { Client, sign, upgrade } from "../support/client.ts";
import { census, expectProblem, outcome, worker } from "../support/door.ts";
import { TestedRoom } from "../support/room.ts";

async function refresh(path: string, user: string, body: BodyInit): Promise<Response> {
  const headers = { authorization: `Bearer ${await sign(user)}`, "content-type": "application/json" };
  return worker(new Request(`http://edge.test/rooms/${path}/session`, { method: "POST", headers, body }));
}

const rowsOf = async (room: TestedRoom, table: string) =>
  Number((await room.sql(`SELECT count(*) AS n FROM ${table}`))[0]?.["n"]);

describe("one member who floods", () => {
  it("with frames is refused, then closed, and the others are served meanwhile", async () => {
    const room = new TestedRoom();
    const { client: ann } = await Client.join(room.path, { user: "ann" });
    const { client: eve, welcome } = await Client.join(room.path, { user: "eve" });
    const message = JSON.stringify(Array.from({ length: 256 }, () => ({ type: "signal", data: "x".repeat(200) })));
    for (let i = 0; i < 20; i++) eve.socket.send(message);
    expect((await ann.publish(1, "through")).offset).toBe(1);
    expect(await eve.next("bye")).toMatchObject({ code: 4100, reason: "rate_limited" });
    // What the bucket holds, not what was sent.
    expect(ann.of("signal").length).toBeLessThanOrEqual(welcome.limits.burst + 50);
    expect(eve.of("error").length).toBeLessThanOrEqual(welcome.limits.burst + 50);
  });

  it("with connections that come and go leaves few sessions and the log behind, and no connection", async () => {
    const room = new TestedRoom("small");
    const { client: ann } = await Client.join(room.path, { user: "ann" });
    for (let i = 0; i < 60; i++) {
      const { client, welcome } = await Client.join(room.path, { user: "eve" });
      client.send({ type: "presence", data: i });
      await client.close();
      if (i > 49) await room.dropped(welcome.session);
    }
    expect(await rowsOf(room, "edgerooms_sessions")).toBeLessThanOrEqual(6);
    expect((await ann.publish(1, "here")).offset).toBe(1);
    expect(ann.of("presence").filter((frame) => frame.join)).toHaveLength(1);
  });

  it("with refreshes grows nothing, and the others are served meanwhile", async () => {
    const room = new TestedRoom();
    const { client: ann } = await Client.join(room.path, { user: "ann" });
    const { welcome } = await Client.join(room.path, { user: "eve" });
    const before = await rowsOf(room, "edgerooms_sessions");
    const flood = Array.from({ length: 100 }, (_, i) =>
      refresh(room.path, "eve", JSON.stringify({ session: i % 2 ? welcome.session : `guess-${i}` })),
    );
    expect((await ann.publish(1, "through")).offset).toBe(1);
    const statuses = (await Promise.all(flood)).map((response) => response.status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(50);
    expect(statuses.filter((status) => status === 404)).toHaveLength(50);
    expect(await rowsOf(room, "edgerooms_sessions")).toBe(before);
    expect(ann.of("presence").filter((frame) => frame.update)).toEqual([]);
  });

  it("with bodies of a megabyte is refused before a room is asked", async () => {
    const before = await census();
    const { path } = new TestedRoom();
    const bodies = Array.from({ length: 16 }, () => refresh(path, "eve", `{"session":"${"s".repeat(1_048_576)}"}`));
    for (const response of await Promise.all(bodies)) await expectProblem(response, "too_large");
    expect(await census()).toBe(before);
  });

  it("with messages of a megabyte is closed at the first", async () => {
    const room = new TestedRoom();
    const { client: ann } = await Client.join(room.path, { user: "ann" });
    const { client: eve } = await Client.join(room.path, { user: "eve" });
    const message = JSON.stringify({ type: "publish", ref: 1, data: "x".repeat(1_048_576) });
    for (let i = 0; i < 8; i++) eve.socket.send(message);
    expect(await eve.next("bye")).toMatchObject({ code: 1009, reason: "too_large" });
    await ann.publish(1, "through");
    expect(ann.items.map((item) => item.data)).toEqual(["through"]);
    expect(room.reports).toEqual([]);
  });

  it("with takeovers of one session holds one connection, and the replaced hears nothing more", async () => {
    const room = new TestedRoom();
    const { client: ann } = await Client.join(room.path, { user: "ann" });
    const { client: first, welcome } = await Client.join(room.path, { user: "eve" });
    const { session, epoch } = welcome;
    const replaced = [first];
    for (let i = 0; i < 20; i++) {
      const { client } = await Client.join(room.path, { user: "eve", session, epoch, offset: 0 });
      replaced.push(client);
    }
    const last = replaced.pop();
    await ann.publish(1, "to those here");
    await last?.until(() => last.items.length === 1);
    expect(replaced.flatMap((client) => client.items)).toEqual([]);
    expect(replaced.map((client) => client.of("bye")[0]?.reason)).toEqual(replaced.map(() => "replaced"));
    expect(await rowsOf(room, "edgerooms_sessions")).toBe(2);
    expect(ann.of("presence")).toHaveLength(1);
  });
});

it("a room that is full says so to the next and keeps those it has", async () => {
  const room = new TestedRoom("chat");
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  for (let i = 0; i < 3; i++) await Client.join(room.path, { user: "eve" });
  for (let i = 0; i < 5; i++) {
    expect(await outcome(await upgrade(room.path, { user: "eve" }))).toBe("room_full");
  }
  expect((await ann.publish(1, "still here")).offset).toBe(1);
  expect(await rowsOf(room, "edgerooms_sessions")).toBe(4);
});
