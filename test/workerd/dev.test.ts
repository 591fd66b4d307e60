/** Tokens for trying things out: only in development, only for our own pages, and as good as any other. */
import { decodeJwt } from "jose";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { door, enter, expectProblem, expectRefused, type Door } from "../support/door.ts";
import { TestedRoom } from "../support/room.ts";

const HERE = "http://localhost:8787/dev/token";

/** The real app over the rooms of the tests, in development. */
function app(vars: Record<string, unknown> = {}): Door {
  return door({}, { ENVIRONMENT: "development", ...vars });
}

async function ask(at: Door, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return at(new Request(HERE, { method: "POST", headers, body: text }));
}

async function tokenFor(at: Door, body: object, headers?: Record<string, string>): Promise<string> {
  const response = await ask(at, body, headers);
  expect(response.status).toBe(200);
  return (await response.json<{ token: string }>()).token;
}

const path = () => `/rooms/${new TestedRoom().path}`;

it("the token joins a room under the name that was asked for, for an hour", async () => {
  const before = Date.now();
  const token = await tokenFor(app(), { sub: "ann", name: "Ann" });
  const { welcome } = await enter(app(), path(), { token });
  expect(welcome).toMatchObject({ member: "ann", members: [{ id: "ann", name: "Ann" }] });
  expect(Math.abs(welcome.expires - before - 3_600_000)).toBeLessThan(15_000);
});

it("the token has the grants and the time to live that were asked for", async () => {
  const only = await tokenFor(app(), { sub: "ann", rooms: { "chat/*": ["join"] } });
  await expectRefused(app(), path(), { token: only }, "forbidden");
  await expectRefused(app(), path(), { token: await tokenFor(app(), { sub: "ann", ttl: -60 }) }, "token_expired");
  const { iat = 0, exp } = decodeJwt(await tokenFor(app(), { sub: "ann", ttl: 86_400 }));
  expect(exp).toBe(iat + 86_400);
});

it("the token has the issuer and the audience that are checked", async () => {
  const vars = { AUTH_ISSUER: "https://id.test", AUTH_AUDIENCE: "rooms" };
  const token = await tokenFor(app(vars), { sub: "ann" });
  expect(decodeJwt(token)).toMatchObject({ iss: vars.AUTH_ISSUER, aud: vars.AUTH_AUDIENCE });
  await enter(app(vars), path(), { token });
});

it("there are no such tokens anywhere but in development", async () => {
  const elsewhere = [undefined, "", "production", "Development", "development2"] as const;
  for (const ENVIRONMENT of elsewhere) {
    const response = await ask(app({ ENVIRONMENT }), { sub: "ann" });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ code: "not_found" });
  }
  const keyless = await ask(app({ AUTH_SECRET: undefined }), { sub: "ann" });
  expect(keyless.status).toBe(404);
  await keyless.body?.cancel();
});

/** Asks as somebody does; the refusal says what to do instead. */
async function expectNone(headers: Record<string, string>, url = HERE): Promise<void> {
  const response = await app()(new Request(url, { method: "POST", headers, body: '{"sub":"ann"}' }));
  const problem = await expectProblem(response, "not_found");
  expect(problem.detail).toContain("--local-upstream localhost:8787");
  expect(problem.detail).toContain("npx edgerooms token");
}

it("E14: a page of another origin gets none, one of our own does", async () => {
  const own = { origin: "http://localhost:8787", "sec-fetch-site": "same-origin" };
  for (const origin of ["https://evil.test", "null", "", "http://localhost:8788", "https://localhost:8787"]) {
    for (const site of ["same-origin", "same-site", "cross-site"]) {
      await expectNone({ origin, "sec-fetch-site": site });
    }
  }
  await expectNone({ "sec-fetch-site": "cross-site" });
  await enter(app(), path(), { token: await tokenFor(app(), { sub: "ann" }, own) });
});

it("E14: nobody gets one by a name that leads here, also where `wrangler dev` puts localhost in its place", async () => {
  const evil = "http://evil.test:8787";
  await expectNone({ origin: evil }, `${evil}/dev/token`);
  await expectNone({ origin: evil, "sec-fetch-site": "same-origin" }, `${evil}/dev/token`);
  // Put in its place in Origin too. Browsers give their word (Sec-Fetch-Site) for localhost, and for no such name.
  await expectNone({ origin: "http://localhost:8787" });
});

it("E14: nobody gets one through a tunnel or proxy, whatever the address that is said to ask", async () => {
  for (const ip of ["127.0.0.1", "::1", "203.0.113.7"]) {
    for (const host of ["abc.ngrok.test", "203.0.113.7:8787", "rooms.example.com", "127.0.0.1.example.com"]) {
      await expectNone({ "cf-connecting-ip": ip }, `https://${host}/dev/token`);
    }
  }
  for (const name of ["x-forwarded-for", "forwarded", "x-forwarded-host"]) await expectNone({ [name]: "127.0.0.1" });
});

it("E14: localhost is localhost with a port and without", async () => {
  for (const host of ["localhost", "127.0.0.1:8787", "[::1]:8787", "127.0.0.1"]) {
    const asked = new Request(`http://${host}/dev/token`, { method: "POST", body: '{"sub":"ann"}' });
    expect((await app()(asked)).status, host).toBe(200);
  }
});

it("T21: are there under whatever path the app is mounted, and signed with a secret of the Secrets Store", async () => {
  const store = { get: async () => Promise.resolve(env.AUTH_SECRET) };
  for (const vars of [{ AUTH_SECRET: store }, { AUTH_SECRET_PREVIOUS: "" }]) {
    await enter(app(vars), path(), { token: await tokenFor(app(vars), { sub: "ann" }) });
  }
});

for (const body of [
  "",
  "nonsense",
  "null",
  "[]",
  '"ann"',
  {},
  { sub: "" },
  { sub: 5 },
  { sub: "ann", ttl: "1h" },
  { sub: "ann", ttl: 86_401 },
  { sub: "ann", ttl: -86_401 },
  { sub: "ann", ttl: null },
]) {
  it(`the body ${JSON.stringify(body)} is 400 and says what is wanted`, async () => {
    const response = await ask(app(), body);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain("sub");
  });
}
