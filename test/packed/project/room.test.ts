/** A test that a user writes, in the runtime of the test plugin. */
import { env, exports } from "cloudflare:workers";
import { expect, it } from "vitest";

it("a room keeps what was published", async () => {
  const room = env.CHAT_ROOM.getByName("lobby");
  expect(await room.publish("hello")).toMatchObject({ offset: 1 });
  expect(await room.publish("world")).toMatchObject({ offset: 2 });
  const response = await exports.default.fetch("http://rooms.example.com/healthz");
  expect(await response.json()).toMatchObject({ ok: true });
});
