/** What a room of another version may answer to a token refresh, and what the Worker makes of it. */
import { expect, it, vi } from "vitest";

vi.mock("cloudflare:workers", () => ({ DurableObject: Object, tracing: undefined, waitUntil: undefined }));

/** What the app answers a member whose room answers this. */
async function refresh(answer: unknown): Promise<{ status: number; body: unknown }> {
  const { createApp } = await import("../../src/http/app.ts");
  const claims = { rooms: { "*": ["join"] } };
  const auth = {
    tokenInUrl: false,
    verify: () => Promise.resolve({ user: "ann", issued: 0, expires: Infinity, claims }),
  };
  const app = createApp<{ ROOMS: never }>({ rooms: { chat: "ROOMS" }, auth });
  const ROOMS = { getByName: () => ({ refresh: () => Promise.resolve(answer) }) };
  const request = { method: "POST", body: JSON.stringify({ session: "abc" }) };
  const response = await app.request("/rooms/chat/a/session", request, { ROOMS });
  return { status: response.status, body: await response.json() };
}

it("hands on the moment at which the session's token now ends, and a refusal", async () => {
  expect(await refresh({ ok: true, expires: 5 })).toEqual({ status: 200, body: { expires: 5 } });
  expect(await refresh({ ok: false, code: "unknown_session" })).toMatchObject({ status: 404 });
});

it.each([undefined, null, "ok", { ok: true }, { ok: true, expires: "soon" }, { ok: true, expires: NaN }, {}])(
  "sends the member back for %j, which is no success and no fault of this Worker",
  async (answer) => {
    expect(await refresh(answer)).toMatchObject({ status: 503, body: { code: "restarting", retryAfter: 1_000 } });
  },
);
