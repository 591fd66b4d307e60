/** The manners of closing, at the end of the room: every close is answered, and every end cleans up. */
import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import type { EndRecord } from "../../src/room/telemetry/end.ts";
import { Client } from "../support/client.ts";
import { TestedRoom } from "../support/room.ts";
import { equip } from "../support/watching.ts";

const closes: [number | undefined, string][] = [
  [undefined, ""],
  [1000, "done"],
  [3000, "mine"],
  [4999, "é".repeat(61)],
];

it.each(closes)("answers a close with %s %s, and the session stays", async (code, reason) => {
  const room = new TestedRoom();
  const { client, welcome } = await Client.join(room.path);
  if (code === undefined) client.socket.close();
  else client.socket.close(code, reason);
  await client.until(() => client.closed !== undefined, "the answer");
  await room.dropped(welcome.session);
  expect(await room.stub.members()).toEqual([{ id: "ann" }]);
  const { welcome: again } = await Client.join(room.path, {
    session: welcome.session,
    epoch: welcome.epoch,
    offset: 0,
  });
  expect(again.resumed).toBe(true);
});

it("takes codes that no close frame may carry, and an error, for a drop", async () => {
  const room = new TestedRoom();
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  for (const code of [0, 999, 1005, 1006, 1015, 5000, 65_535]) {
    const { welcome } = await Client.join(room.path, { user: "bob" });
    await runInDurableObject(room.stub, async (object, state) => {
      const socket = state
        .getWebSockets()
        .find((ws) => JSON.stringify(ws.deserializeAttachment()).includes(welcome.session));
      await object.webSocketClose?.(socket as WebSocket, code, "x".repeat(200));
    });
    await room.dropped(welcome.session);
  }
  const { welcome } = await Client.join(room.path, { user: "bob" });
  await runInDurableObject(room.stub, async (object, state) => {
    const socket = state
      .getWebSockets()
      .find((ws) => JSON.stringify(ws.deserializeAttachment()).includes(welcome.session));
    await object.webSocketError?.(socket as WebSocket);
  });
  await room.dropped(welcome.session);
  await ann.publish(1, "still fine");
  expect(room.reports).toEqual([]);
});

it("T18: the end of a connection says who closed it, also when the room slept until then", async () => {
  const room = new TestedRoom();
  const ends: EndRecord[] = [];
  const listen = () => equip(room, { ended: (end) => void ends.push(end) });
  const { client: ann, welcome } = await Client.join(room.path, { user: "ann" });
  const { client: bob } = await Client.join(room.path, { user: "bob" });
  await listen();
  bob.send({ type: "leave" });
  await bob.next("bye");
  await room.evict();
  await listen();
  ann.socket.close(3_000, "mine");
  await room.dropped(welcome.session);
  expect(ends.map(({ code, close, user }) => ({ code, close, user }))).toEqual([
    { code: "done", close: undefined, user: "bob" },
    { code: "closed", close: 3_000, user: "ann" },
  ]);
  expect(ends.every(({ lasted, room: name }) => lasted >= 0 && name === room.name)).toBe(true);
});

it("a socket that closes while others are written to stops nobody", async () => {
  const room = new TestedRoom("fast");
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const others = await Promise.all(Array.from({ length: 20 }, (_, i) => Client.join(room.path, { user: `u${i}` })));
  for (let ref = 1; ref <= 20; ref++) {
    others[ref - 1]?.client.socket.close(1000);
    ann.send({ type: "publish", ref, data: ref });
  }
  await ann.until(() => ann.items.length === 20);
  expect(room.reports).toEqual([]);
});

it("each who is sent away has its own two seconds to close", async () => {
  const room = new TestedRoom();
  const [one, two] = await Promise.all(["one", "two"].map((user) => Client.join(room.path, { user })));
  if (!one || !two) throw new Error("two joined");
  for (const { client } of [one, two]) client.deaf = true;
  const closedAt = ({ client }: typeof one) => client.until(() => client.closed !== undefined).then(() => Date.now());
  const start = Date.now();
  await room.stub.kick("one");
  const first = closedAt(one);
  await one.client.next("bye");
  expect(one.client.closed).toBeUndefined();
  const later = await first;
  expect(later - start).toBeGreaterThanOrEqual(1_900);
  await room.stub.kick("two");
  expect((await closedAt(two)) - later).toBeGreaterThanOrEqual(1_900);
});
