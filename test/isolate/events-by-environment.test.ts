/** T22: EVENTS_WEBHOOK_URL is enough for any room whose definition says nothing of events, as the documents promise. */
import { runInDurableObject } from "cloudflare:test";
import { afterEach, expect, it, vi } from "vitest";
import { Client } from "../support/client.ts";
import { Site } from "../support/issuer.ts";
import { eventually } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";

const SECRET = `whsec_${new Uint8Array(32).toBase64()}`;

afterEach(() => void vi.restoreAllMocks());

async function withEnv(room: TestedRoom, vars: Record<string, unknown>): Promise<void> {
  await runInDurableObject(room.stub, (object) => {
    Object.assign((object as unknown as { env: object }).env, vars);
  });
}

it("T22: a room without `events` sends all of them where EVENTS_WEBHOOK_URL says, and none without it", async () => {
  const receiver = new Site();
  const types: string[] = [];
  receiver.answer = async (request) => {
    const { data } = await request.json<{ data: { events: { type: string }[] } }>();
    types.push(...data.events.map(({ type }) => type));
    return new Response(null, { status: 204 });
  };
  const room = new TestedRoom("chat");
  await withEnv(room, { EVENTS_WEBHOOK_URL: receiver.url, EVENTS_WEBHOOK_SECRET: SECRET });
  const { client } = await Client.join(room.path);
  await client.publish(1, "hello");
  await eventually(() => expect(types).toEqual(["join", "publication"]));
  expect(receiver.requests[0]?.headers.get("webhook-signature")).toMatch(/^v1,/);
  await client.close();

  const silent = new TestedRoom("chat");
  await withEnv(silent, { EVENTS_WEBHOOK_URL: undefined });
  const { client: other } = await Client.join(silent.path, { user: "bob" });
  await other.publish(1, "hello");
  expect(await silent.sql("SELECT count(*) AS n FROM edgerooms_outbox")).toEqual([{ n: 0 }]);
});
