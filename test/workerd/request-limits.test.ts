/** How much one user and one address may ask before a room is asked: buckets in the isolate, or the bound rate limiter. */
import { expect, it } from "vitest";
import { sign } from "../support/client.ts";
import { heldDate } from "../support/clock.ts";
import { door, expectProblem, expectRefused, ours, outcome, plain, type Door } from "../support/door.ts";
import { TestedRoom } from "../support/room.ts";

const pass = heldDate();
const tight = { perSecond: 1, burst: 3 };
const path = () => `/rooms/${new TestedRoom().path}`;
const knock = async (at: Door, user: string, headers = {}) =>
  outcome(await ours(at, path(), { token: await sign(user), headers }));

async function refresh(at: Door, user: string): Promise<Response> {
  const headers = { authorization: `Bearer ${await sign(user)}` };
  return at(new Request(`http://edge.test${path()}/session`, { method: "POST", headers, body: '{"session":"none"}' }));
}

it("E9: connects and refreshes of one user are limited together, and nobody else is kept out", async () => {
  const at = door({ limits: { join: tight } });
  expect(await knock(at, "mallory")).toBe("welcome");
  expect(await knock(at, "mallory")).toBe("welcome");
  await expectProblem(await refresh(at, "mallory"), "unknown_session");
  const { retryAfter } = await expectRefused(at, path(), { token: await sign("mallory") }, "rate_limited");
  // By chance up to twice as long, so that not all come back at once.
  expect(retryAfter).toBeGreaterThanOrEqual(1_000);
  expect(retryAfter).toBeLessThanOrEqual(2_000);
  await expectProblem(await refresh(at, "mallory"), "rate_limited");
  expect(await knock(at, "ann")).toBe("welcome");
  pass(1_000);
  expect(await knock(at, "mallory")).toBe("welcome");
  expect(await knock(at, "mallory")).toBe("rate_limited");
});

it("E9: a flood of refreshes does not get through by default", async () => {
  const at = door({});
  const statuses: number[] = [];
  for (let i = 0; i < 300; i++) {
    const response = await refresh(at, "mallory");
    await response.body?.cancel();
    statuses.push(response.status);
  }
  expect(statuses.filter((status) => status === 404)).toHaveLength(200);
  expect(statuses.filter((status) => status === 429)).toHaveLength(100);
});

it("E9: requests of an address are counted before anything is verified, an IPv6 network as one", async () => {
  const at = door({ limits: { address: tight } });
  const from = (ip: string) => ({ "cf-connecting-ip": ip });
  for (let i = 0; i < 3; i++) {
    await expectProblem(await plain(at, path(), { token: "garbage", headers: from(`2001:db8::${i}`) }), "unauthorized");
  }
  const refused = await expectRefused(at, path(), { headers: from("2001:db8::ffff") }, "rate_limited");
  expect(refused.detail).toContain("address");
  expect(await knock(at, "ann", from("203.0.113.7"))).toBe("welcome");
  for (let i = 0; i < 5; i++) expect(await knock(at, "ann", from("127.0.0.1"))).toBe("welcome");
});

it("E9: a rate limiter that is bound as RATE_LIMIT counts users, and never everybody of one address", async () => {
  const keys: string[] = [];
  const limiter = {
    limit: async ({ key }: { key: string }) => {
      keys.push(key);
      // Its limit is one user's: an office behind one address would be over it.
      return Promise.resolve({ success: !/mallory|203/.test(key) });
    },
  };
  const at = door({ limits: { join: { perSecond: 1, burst: 1 } } }, { RATE_LIMIT: limiter });
  const headers = { "cf-connecting-ip": "203.0.113.7" };
  for (let i = 0; i < 3; i++) expect(await knock(at, "ann", headers)).toBe("welcome");
  const waits = new Set<number | undefined>();
  for (let i = 0; i < 5; i++) {
    const { retryAfter } = await expectRefused(at, path(), { token: await sign("mallory"), headers }, "rate_limited");
    expect(retryAfter).toBeGreaterThanOrEqual(10_000);
    expect(retryAfter).toBeLessThanOrEqual(20_000);
    waits.add(retryAfter);
  }
  expect(waits.size, "not all come back at once").toBeGreaterThan(1);
  expect([...new Set(keys)]).toEqual(["join:ann", "join:mallory"]);
});

it("E9: addresses are counted in the isolate where a rate limiter is bound, and Workers of others are none", async () => {
  const limiter = { limit: async () => Promise.resolve({ success: true }) };
  const at = door({ limits: { address: tight } }, { RATE_LIMIT: limiter });
  const from = async (ip: string) => knock(at, "ann", { "cf-connecting-ip": ip });
  for (let i = 0; i < 3; i++) expect(await from("203.0.113.7")).toBe("welcome");
  expect(await from("203.0.113.7")).toBe("rate_limited");
  expect(await from("::ffff:203.0.113.8")).toBe("welcome");
  for (let i = 0; i < 5; i++) expect(await from("2a06:98c0:3600::103")).toBe("welcome");
});

it("E9: where the bound rate limiter fails, hangs or answers nothing, the isolate's own buckets count", async () => {
  const answers = [Promise.reject(new Error("away")), new Promise(() => undefined), Promise.resolve(undefined)];
  for (const answer of answers) answer.catch(() => undefined);
  for (const bound of [...answers.map((answer) => ({ limit: async () => answer })), "no limiter"]) {
    const at = door({ limits: { join: { perSecond: 1, burst: 1 } } }, { RATE_LIMIT: bound });
    expect(await knock(at, "ann")).toBe("welcome");
    expect(await knock(at, "ann")).toBe("rate_limited");
  }
});

it("C11: a limit that is undefined is the default", async () => {
  const at = door({ limits: { join: undefined, request: undefined, address: tight } });
  for (let i = 0; i < 5; i++) expect(await knock(at, "ann")).toBe("welcome");
});

it("E9: a limit that is no limit is refused when the app is made", () => {
  for (const join of [
    { perSecond: 0, burst: 1 },
    { perSecond: 1, burst: 0 },
    { perSecond: Number.NaN, burst: 1 },
  ]) {
    expect(() => door({ limits: { join } })).toThrow(RangeError);
  }
});
