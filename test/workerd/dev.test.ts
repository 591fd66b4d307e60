/** Tokens for trying things out: only in development, only for our own pages, and as good as any other. */
import { decodeJwt } from "jose";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { door, enter, expectRefused, type Door } from "../support/door.ts";
import { TestedRoom } from "../support/room.ts";

/** The real app over the rooms of the tests, in development. */
function app(vars: Record<string, unknown> = {}): Door {
  return door({}, { ENVIRONMENT: "development", ...vars });
}

async function ask(at: Door, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return at(new Request("http://localhost:8787/dev/token", { method: "POST", headers, body: text }));
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

it("a page of another origin gets none, one of our own does", async () => {
  for (const origin of ["https://evil.test", "null", "", "http://localhost:8788", "https://localhost:8787"]) {
    const response = await ask(app(), { sub: "ann" }, { origin });
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ code: "forbidden" });
  }
  await enter(app(), path(), { token: await tokenFor(app(), { sub: "ann" }, { origin: "http://localhost:8787" }) });
  // A name of a stranger's that leads to this machine.
  const headers = { origin: "http://evil.test:8787" };
  const rebound = new Request("http://evil.test:8787/dev/token", { method: "POST", headers, body: '{"sub":"ann"}' });
  const response = await app()(rebound);
  expect(response.status).toBe(403);
  expect(await response.json()).toMatchObject({ code: "forbidden", requestId: expect.any(String) });
});

it("E14: are given where the project has routes, and to nobody who is not on this computer", async () => {
  // As `wrangler dev` asks: in the name of the first route, without a port.
  const from = (ip: string | undefined, url = "https://rooms.example.com/dev/token", origin = new URL(url).origin) =>
    app()(
      new Request(url, {
        method: "POST",
        headers: { origin, ...(ip !== undefined && { "cf-connecting-ip": ip }) },
        body: '{"sub":"ann"}',
      }),
    );
  for (const ip of ["127.0.0.1", "::1"]) {
    const response = await from(ip);
    expect(response.status).toBe(200);
    await enter(app(), path(), { token: (await response.json<{ token: string }>()).token });
  }
  const foreign = [
    from("203.0.113.7"),
    from(undefined),
    from("127.0.0.1.example.com"),
    from("127.0.0.1", "http://evil.test:8787/dev/token"),
    from("127.0.0.1", "https://rooms.example.com/dev/token", "https://evil.test"),
  ];
  for (const response of await Promise.all(foreign)) {
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ code: "forbidden" });
  }
});

it("T21: are there under whatever path the app is mounted, and signed with a secret of the Secrets Store", async () => {
  const store = { get: async () => Promise.resolve(env.AUTH_SECRET) };
  const token = await tokenFor(app({ AUTH_SECRET: store }), { sub: "ann" });
  await enter(app({ AUTH_SECRET: store }), path(), { token });
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
