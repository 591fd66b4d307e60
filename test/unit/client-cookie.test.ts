/** A page that logs in by cookie, in virtual time: what the client offers, how it renews, and when it stops. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { connect } from "../../src/client/client.ts";
import type { Fetch } from "../../src/client/session/token.ts";
import { snapshot } from "../support/dialled.ts";
import { lines } from "../support/line.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

const cookie = async (fetch: Fetch, expires: number) => {
  const { Class, all } = lines();
  const client = connect("http://edge.test", { room: "relay/one", WebSocket: Class, fetch, random: () => 0.01 });
  await pass(0);
  all[0]?.welcome({ expires }, snapshot);
  return { client, all };
};

it("T7: offers no token, and renews its session with its cookies", async () => {
  const posts: unknown[] = [];
  const fetch: Fetch = (url, init) => {
    posts.push([url, init]);
    return Promise.resolve({ ok: true, status: 200, json: async () => ({ expires: Date.now() + 3_600_000 }) });
  };
  const { client, all } = await cookie(fetch, Date.now() + 4_000);
  await pass(3_000);
  const headers = { "content-type": "application/json" };
  const body = '{"session":"s"}';
  expect(posts).toEqual([
    ["http://edge.test/rooms/relay/one/session", { method: "POST", headers, body, credentials: "include" }],
  ]);
  expect(all.map(({ protocols }) => protocols)).toEqual([["edgerooms.v1"]]);
  client.close();
});

it("T7: tries a refused cookie once more, which another page may have renewed, and closes at the second refusal", async () => {
  const { client, all } = await cookie(globalThis.fetch, Date.now() + 3_600_000);
  const bye = { type: "bye", code: 4401, reason: "unauthorized" };
  all[0]?.hears(bye);
  await pass(5_000);
  expect([all.length, client.state.name]).toEqual([2, "connecting"]);
  all[1]?.hears(bye);
  await pass(60_000);
  expect([all.length, client.state]).toMatchObject([2, { name: "closed", code: "unauthorized" }]);
});

it("T7: comes back at once when the cookie's time is over", async () => {
  const { client, all } = await cookie(globalThis.fetch, Date.now() + 3_600_000);
  all[0]?.hears({ type: "bye", code: 4200, reason: "token_expired" });
  await pass(0);
  expect([all.length, client.state.name]).toEqual([2, "connecting"]);
  client.close();
  expect(vi.getTimerCount()).toBe(0);
});
