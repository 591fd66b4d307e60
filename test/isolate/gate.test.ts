/** What the gate tells operators: a stranger's fault pages nobody, a wrong setting is named, and neither quotes anybody. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createApp } from "../../src/http/app.ts";
import { jwt } from "../../src/http/gate/auth.ts";
import { isolate } from "../../src/ops/isolate.ts";
import { sign } from "../support/client.ts";
import { heldDate } from "../support/clock.ts";
import { door, enter, expectProblem, expectRefused, ours, outcome, plain, rooms, type Door } from "../support/door.ts";
import { Issuer, makeKey } from "../support/issuer.ts";
import { TestedRoom } from "../support/room.ts";
import { Log } from "../support/watching.ts";
import type { Env } from "../support/worker.ts";

const pass = heldDate();
const path = () => `/rooms/${new TestedRoom().path}`;
const base64url = (value: unknown) =>
  new TextEncoder().encode(JSON.stringify(value)).toBase64({ alphabet: "base64url", omitPadding: true });

let log: Log;
beforeEach(() => {
  log = new Log();
});
afterEach(() => void vi.restoreAllMocks());

describe("E3: a stranger's fault", () => {
  it("is never ours: made-up key ids, signatures and tokens are 401, no error line and no alert", async () => {
    const key = await makeKey();
    const issuer = new Issuer(key);
    const alerts: unknown[] = [];
    const at = door({ auth: jwt({ jwksUrl: issuer.url }), onAlert: (alert) => void alerts.push(alert) });
    await enter(at, path(), { token: await key.sign() });
    isolate.take();
    const claims = base64url({ sub: "x", exp: 9e9 });
    const seen = new Set<string>();
    for (let i = 0; i < 40; i++) {
      pass(1_000);
      const headers = [{ alg: "ES256", kid: `x${i}` }, { alg: "ES256", kid: key.jwk.kid }, { alg: "none" }, "nonsense"];
      for (const header of headers) {
        seen.add(await outcome(await ours(at, path(), { token: `${base64url(header)}.${claims}.AAAA` })));
      }
    }
    expect([...seen].toSorted()).toEqual(["token_early", "unauthorized"]);
    const refused = Object.keys(isolate.counts).filter((series) => series.startsWith("upgrades|refused"));
    expect(refused.toSorted()).toEqual(["upgrades|refused|token_early", "upgrades|refused|unauthorized"]);
    expect(log.lines.filter(({ level }) => level !== "warn")).toEqual([]);
    expect(alerts).toEqual([]);
    expect(issuer.asked, "once in 30 s, however many come").toBeLessThanOrEqual(3);
  });

  it("E11: has no word of the stranger's in its line", async () => {
    // The lines of a code are bounded by the minute.
    pass(300_000);
    const words = "admin-login-ok";
    const token = `${base64url({ alg: "HS256", crit: [words], [words]: true })}.${base64url({ sub: words })}.AAAA`;
    const headers = { "x-request-id": words, traceparent: `00-${words}-01`, "user-agent": words };
    for (const given of [token, words, null]) {
      await plain(door({}), `/rooms/relay/${words}?trace=${words}`, { token: given, headers });
    }
    expect(log.of("unauthorized").length).toBe(3);
    expect(log.texts.join("\n")).not.toContain(words);
  });
});

describe("E5: what observes a request", () => {
  it("fails with a line of its own, and the request is answered all the same", async () => {
    const app = createApp<Env>({ rooms });
    const broken = Object.defineProperty({ ...env }, "ALERT_WEBHOOK_URL", {
      get: () => {
        throw new Error("a runtime that lacks something");
      },
    });
    const answer = await app.fetch(new Request("http://edge.test/rooms/relay/x/members"), broken);
    expect((await expectProblem(answer, "unauthorized")).status).toBe(401);
    expect(log.of("internal")).toMatchObject([{ source: "observe end", message: expect.stringContaining("lacks") }]);
    vi.spyOn(crypto, "randomUUID").mockImplementation(() => {
      throw new Error("no random ids here");
    });
    expect((await app.fetch(new Request("http://edge.test/healthz"), { ...env })).status).toBe(200);
    expect(log.of("internal").at(-1)).toMatchObject({ source: "observe begin" });
  });
});

describe("E4: METRICS_TOKEN", () => {
  const TOKEN = "a scrape token of 29 bytes...".replaceAll(" ", "-");
  const scrape = async (at: Door, headers: Record<string, string>) =>
    at(new Request("http://edge.test/metrics", { headers }));

  it.each([
    ["as text", TOKEN],
    ["from the Secrets Store", { get: async () => Promise.resolve(TOKEN) }],
  ])("%s is good for the scraper, and for nobody else", async (_how, bound) => {
    const at = door({}, { METRICS_TOKEN: bound });
    expect((await scrape(at, { authorization: `Bearer ${TOKEN}` })).status).toBe(200);
    for (const wrong of ["[object Object]", "[object Fetcher]", `${TOKEN}x`, ""]) {
      expect((await scrape(at, { authorization: `Bearer ${wrong}` })).status, wrong).toBe(401);
      expect((await scrape(at, { "sec-websocket-protocol": `bearer.${wrong}` })).status, wrong).toBe(401);
    }
    expect((await scrape(at, { "sec-websocket-protocol": `bearer.${TOKEN}` })).status).toBe(401);
  });

  it("is good although METRICS_TOKEN_PREVIOUS is none", async () => {
    for (const previous of ["", "short", { get: async () => Promise.reject(new Error("away")) }]) {
      const at = door({}, { METRICS_TOKEN: TOKEN, METRICS_TOKEN_PREVIOUS: previous });
      expect((await scrape(at, { authorization: `Bearer ${TOKEN}` })).status).toBe(200);
    }
    const told = log.of("misconfigured").map(({ message }) => message);
    expect(told).toEqual([
      expect.stringContaining("METRICS_TOKEN_PREVIOUS is empty"),
      expect.stringContaining("METRICS_TOKEN_PREVIOUS must have 16"),
    ]);
  });

  it("and METRICS_TOKEN_PREVIOUS are good at once during a rotation", async () => {
    const next = `${TOKEN}-next`;
    const at = door({}, { METRICS_TOKEN: next, METRICS_TOKEN_PREVIOUS: TOKEN });
    for (const token of [TOKEN, next]) {
      expect((await scrape(at, { authorization: `Bearer ${token}` })).status).toBe(200);
    }
  });

  it.each([
    ["of 15 bytes", "x".repeat(15), "METRICS_TOKEN must have 16 bytes or more."],
    ["that is empty", "", "METRICS_TOKEN is empty."],
    ["that is an object", { token: TOKEN }, "METRICS_TOKEN must be a secret"],
    ["from a store without text", { get: async () => Promise.resolve(5) }, "METRICS_TOKEN must be a secret"],
  ])("%s lets nobody in, and the log names it; operators get in all the same", async (_what, bound, message) => {
    const at = door({}, { METRICS_TOKEN: bound });
    const given = typeof bound === "string" ? bound : TOKEN;
    const problem = await expectProblem(await scrape(at, { authorization: `Bearer ${given}` }), "misconfigured");
    expect(problem.detail).toContain(message);
    expect(log.of("misconfigured")).toMatchObject([{ level: "alert", message: expect.stringContaining(message) }]);
    const operator = await sign("op", { rooms: { "*": ["admin"] } });
    expect((await scrape(at, { authorization: `Bearer ${operator}` })).status).toBe(200);
  });
});

describe("E14: a mistake in ALLOWED_ORIGINS", () => {
  it.each([
    ["*", 2],
    ["https://*.example.com", 3],
    ["app.example.com", 4],
    ["https://bob:hunter2@internal.example", 5],
  ])("such as %j is told once, by its place (%d)", async (wrong, place) => {
    const at = door({}, { ALLOWED_ORIGINS: `${"https://good.test, ".repeat(place - 1)}${wrong}` });
    for (let i = 0; i < 3; i++) {
      await expectRefused(at, path(), { headers: { origin: "https://other.test" } }, "forbidden");
    }
    await enter(at, path(), { headers: { origin: "https://good.test" } });
    const message = expect.stringContaining(`Entry ${place} of ALLOWED_ORIGINS is no origin`);
    expect(log.of("misconfigured")).toMatchObject([{ source: "origins", message }]);
    expect(log.texts.join("")).not.toContain("hunter2");
  });

  it("is an alert, as everything of its severity", async () => {
    pass(300_000);
    const alerts: unknown[] = [];
    const at = door(
      { onAlert: (alert) => void alerts.push(alert) },
      { ALLOWED_ORIGINS: "one, two, https://good.test" },
    );
    for (let i = 0; i < 2; i++) await enter(at, path(), { headers: { origin: "https://good.test" } });
    const message = expect.stringContaining("Entry 1 of");
    expect(alerts).toMatchObject([{ code: "misconfigured", source: "origins", message }]);
  });

  it("in a function that throws or returns none is refused, and what it threw is told to nobody", async () => {
    const returned = [() => undefined, () => "https://good.test"] as unknown as (() => string[])[];
    const throwing = () => {
      throw new Error("short-secret");
    };
    for (const origins of [throwing, ...returned]) {
      const at = door({ origins }, { ENVIRONMENT: "production" });
      const code = origins === throwing ? "internal" : "hook_failed";
      await expectRefused(at, path(), { headers: { origin: "https://good.test" } }, code);
      const problem = await expectProblem(await at(new Request("http://edge.test/readyz")), "misconfigured");
      expect(problem.detail).toBe("The function `origins` of createApp failed.");
    }
  });
});

describe("E2: a previous secret that is none", () => {
  it.each([
    ["", "AUTH_SECRET_PREVIOUS is empty", 600_000],
    ["too short", "AUTH_SECRET_PREVIOUS must have 32", 900_000],
  ])("is an alert once (%j), and the door is open all the same", async (previous, message, later) => {
    // An alert of a code keeps others of it away for a minute.
    pass(later);
    const alerts: unknown[] = [];
    const at = door({ onAlert: (alert) => void alerts.push(alert) }, { AUTH_SECRET_PREVIOUS: previous });
    for (let i = 0; i < 3; i++) await enter(at, path(), { token: await sign("ann") });
    expect(alerts).toMatchObject([{ code: "misconfigured", message: expect.stringContaining(message) }]);
    expect(log.of("misconfigured")).toHaveLength(1);
  });
});

describe("GET /readyz", () => {
  const HOOK = `whsec_${new Uint8Array(32).toBase64()}`;
  const ready = async (vars: Record<string, unknown>) => door({}, vars)(new Request("http://edge.test/readyz"));

  it("is 200 where everything is set, from the Secrets Store too", async () => {
    for (const vars of [
      {},
      { AUTH_SECRET: { get: async () => Promise.resolve(env.AUTH_SECRET) } },
      { EVENTS_WEBHOOK_URL: "https://hook.test", EVENTS_WEBHOOK_SECRET: HOOK },
    ]) {
      const response = await ready(vars);
      expect([response.status, await response.json()]).toEqual([200, { ok: true }]);
    }
  });

  it("is 200 where only the class of a room can know, and warns", async () => {
    const response = await ready({ EVENTS_WEBHOOK_URL: "https://hook.test", MY_OWN_SECRET: HOOK });
    const warnings = [expect.stringContaining("EVENTS_WEBHOOK_SECRET is not")];
    expect([response.status, await response.json()]).toEqual([200, { ok: true, warnings }]);
  });

  it("is 503 where an Authenticator fails, and does not say with what", async () => {
    const failing = {
      tokenInUrl: false,
      verify: async () => Promise.resolve({ code: "unauthorized" } as const),
      problems: async () => Promise.reject(new Error("short-secret")),
    };
    const response = await door({ auth: failing })(new Request("http://edge.test/readyz"));
    expect((await expectProblem(response, "misconfigured")).detail).toBe("The Authenticator failed.");
  });

  it.each([
    [{ AUTH_SECRET: undefined }, "set AUTH_SECRET"],
    [{ AUTH_SECRET: "short-secret" }, "AUTH_SECRET must have"],
    [{ AUTH_SECRET: { get: async () => Promise.reject(new Error("short-secret")) } }, "AUTH_SECRET cannot be read"],
    [{ AUTH_SECRET_PREVIOUS: "" }, "AUTH_SECRET_PREVIOUS is empty"],
    [{ AUTH_SECRET_PREVIOUS: "short-secret" }, "AUTH_SECRET_PREVIOUS must have"],
    [
      { AUTH_SECRET_PREVIOUS: { get: async () => Promise.reject(new Error("short-secret")) } },
      "AUTH_SECRET_PREVIOUS cannot be read",
    ],
    [{ METRICS_TOKEN: "m".repeat(16), METRICS_TOKEN_PREVIOUS: "short-secret" }, "METRICS_TOKEN_PREVIOUS must have"],
    [{ RELAY: undefined }, "no Durable Object binding RELAY"],
    [{ CHAT: "short-secret" }, "no Durable Object binding CHAT"],
    [{ EDGEROOMS_DIRECTORY: "short-secret" }, "EDGEROOMS_DIRECTORY is no"],
    [{ METRICS_TOKEN: "short-secret" }, "METRICS_TOKEN must have"],
    [{ ALLOWED_ORIGINS: "https://good.test,https://bob:short-secret@x.test" }, "Entry 2 of ALLOWED_ORIGINS is no"],
    [{ RATE_LIMIT: "short-secret" }, "RATE_LIMIT is"],
    [{ EVENTS_WEBHOOK_URL: "http://hook.test" }, "EVENTS_WEBHOOK_URL must be"],
    [
      { EVENTS_WEBHOOK_URL: "https://hook.test", EVENTS_WEBHOOK_SECRET: "short-secret" },
      "EVENTS_WEBHOOK_SECRET is whsec_",
    ],
    [
      { ALERT_WEBHOOK_URL: "https://hook.test", ALERT_WEBHOOK_SECRET: "short-secret" },
      "ALERT_WEBHOOK_SECRET is whsec_",
    ],
  ])("is 503 with %j, and names what is missing without its value", async (vars, message) => {
    const problem = await expectProblem(await ready(vars), "misconfigured");
    expect(problem.detail).toContain(message);
    expect(JSON.stringify(problem) + log.texts.join("")).not.toContain("short-secret");
  });

  it("says everything that is wrong at once, and health goes on", async () => {
    const vars = { AUTH_SECRET: "", RELAY: undefined };
    expect((await expectProblem(await ready(vars), "misconfigured")).detail).toMatch(/RELAY.*AUTH_SECRET/);
    expect((await door({}, vars)(new Request("http://edge.test/healthz"))).status).toBe(200);
  });
});
