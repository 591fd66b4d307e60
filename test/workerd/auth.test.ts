/** Tokens at the door: which are good, where they may be, and what is said to a client without one. */
import { env, waitUntil } from "cloudflare:workers";
import { generateKeyPair, SignJWT, type JWTPayload } from "jose";
import { afterEach, describe, expect, it, vi } from "vitest";
import { jwt } from "../../src/http/gate/auth.ts";
import { bearerProtocol } from "../../src/protocol/bearer.ts";
import { codes, nextStep } from "../../src/protocol/codes.ts";
import { SUBPROTOCOL } from "../../src/protocol/frames.ts";
import { Client, sign } from "../support/client.ts";
import { census, door, enter, expectBye, expectProblem, expectRefused, ours, plain, worker } from "../support/door.ts";
import { TestedRoom } from "../support/room.ts";

const SECRET = new TextEncoder().encode(env.AUTH_SECRET);
/** In every refused token, and in nothing that is said about it. */
const PRIVATE = "only-the-issuer-and-the-holder-know";

const now = () => Math.floor(Date.now() / 1_000);
const path = () => `/rooms/${new TestedRoom().path}`;
const base64url = (text: string) =>
  new TextEncoder().encode(text).toBase64({ alphabet: "base64url", omitPadding: true });

/** A token of ann with any claims at all; `undefined` takes one away. */
async function mint(claims: { [name: string]: unknown }, key: Uint8Array | CryptoKey = SECRET, alg = "HS256") {
  const all = { sub: "ann", exp: now() + 3_600, email: PRIVATE, ...claims } as JWTPayload;
  return new SignJWT(all).setProtectedHeader({ alg }).sign(key);
}

/** A signed token with claims that jose would not write. */
async function mintText(claims: string) {
  const text = `${base64url('{"alg":"HS256"}')}.${base64url(claims)}`;
  const key = await crypto.subtle.importKey("raw", SECRET, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const signature = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(text));
  return `${text}.${new Uint8Array(signature).toBase64({ alphabet: "base64url", omitPadding: true })}`;
}

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("a token is refused as unauthorized", () => {
  const bad: Record<string, () => Promise<string | null>> = {
    "when there is none": () => Promise.resolve(null),
    "when it is garbage": () => Promise.resolve("garbage"),
    "when it is garbage in three parts": () => Promise.resolve("a.b.c"),
    "when it is a megabyte of garbage": () => Promise.resolve("a".repeat(1_048_576)),
    "when another secret signed it": () => mint({}, new TextEncoder().encode("x".repeat(48))),
    "when its claims were changed after it was signed": async () => {
      const [header, , signature] = (await mint({})).split(".");
      return `${header}.${base64url(JSON.stringify({ sub: "bob", exp: now() + 60 }))}.${signature}`;
    },
    "when its signature is cut off": async () => (await mint({})).replace(/[^.]+$/, ""),
    "when it says alg none": () =>
      Promise.resolve(`${base64url('{"alg":"none"}')}.${base64url(`{"sub":"ann","exp":${now() + 60}}`)}.`),
    "when the right secret signed it with HS512": () => mint({}, SECRET, "HS512"),
    "when it is signed with RS256 and a secret is configured": async () =>
      mint({}, (await generateKeyPair("RS256")).privateKey, "RS256"),
    "when it has no sub": () => mint({ sub: undefined }),
    "when its sub is empty": () => mint({ sub: "" }),
    "when its sub is a number": () => mint({ sub: 5 }),
    "when its sub is an object": () => mint({ sub: { length: 3 } }),
    "when its sub is an array": () => mint({ sub: ["ann"] }),
    "when its sub is null": () => mint({ sub: null }),
    "when its sub has a line break": () => mint({ sub: "ann\nlevel=error" }),
    "when its sub has a zero byte": () => mint({ sub: "ann\u0000" }),
    "when its sub turns the direction of text": () => mint({ sub: "ann\u202ebob" }),
    "when its sub is half a character": () => mintText(`{"sub":"ann\\ud800","exp":${now() + 60}}`),
    "when its sub is longer than 255 characters": () => mint({ sub: "a".repeat(256) }),
    "when it never expires": () => mint({ exp: undefined }),
    "when its exp is text": () => mintText(`{"sub":"ann","exp":"${now() + 60}"}`),
    "when its iat is text": () => mint({ iat: "now" }),
    "when it counts only from the future on": () => mint({ nbf: now() + 120 }),
    "issued in the future": () => mint({ iat: now() + 120 }),
    "when it needs an extension we do not know": async () =>
      new SignJWT({ sub: "ann", exp: now() + 60 })
        .setProtectedHeader({ alg: "HS256", crit: ["urn:x"], "urn:x": true })
        .sign(SECRET, { crit: { "urn:x": false } }),
  };
  for (const [why, make] of Object.entries(bad)) {
    it(`${why}, and no room wakes for it`, async () => {
      const before = await census();
      const token = await make();
      const problem = await expectRefused(worker, path(), { token }, "unauthorized");
      expect(JSON.stringify(problem)).not.toContain(PRIVATE);
      expect(await census()).toBe(before);
    });
  }
});

it("the refusal of a stranger is 401 with a challenge for programs and 4401 for clients of ours", async () => {
  const response = await plain(worker, path(), { token: null });
  expect(response.headers.get("www-authenticate")).toBe("Bearer");
  expect((await expectProblem(response, "unauthorized")).status).toBe(401);
  const client = await expectBye(await ours(worker, path(), { token: null }), "unauthorized");
  expect(client.closed).toEqual({ code: 4401, reason: "unauthorized" });
});

it("a token that expired longer ago than clocks may differ is refused as expired, 401 or 4200", async () => {
  const token = await mint({ exp: now() - 11 });
  const problem = await expectRefused(worker, path(), { token }, "token_expired");
  expect(problem.status).toBe(401);
  const client = await expectBye(await ours(worker, path(), { token }), "token_expired");
  expect(client.closed?.code).toBe(4200);
});

it("a token is good to the last second of the tolerance and the welcome says so", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  const exp = now() - 9;
  const { welcome } = await enter(worker, path(), { token: await mint({ exp }) });
  expect(welcome.expires).toBe((exp + 10) * 1_000);
  await expectRefused(worker, path(), { token: await mint({ exp: exp - 1 }) }, "token_expired");
});

it("the tolerance is what the deployer says", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  const strict = door({ auth: jwt({ clockTolerance: 0 }) });
  await enter(strict, path(), { token: await mint({ exp: now() + 1 }) });
  await expectRefused(strict, path(), { token: await mint({ exp: now() }) }, "token_expired");
  const lenient = door({ auth: jwt({ clockTolerance: 60 }) });
  const { welcome } = await enter(lenient, path(), { token: await mint({ exp: now() - 59 }) });
  expect(welcome.expires).toBe((now() + 1) * 1_000);
});

it("a tolerance that is negative, above a minute or no number is refused when the app is made", () => {
  for (const clockTolerance of [-1, 61, Number.NaN, Infinity]) {
    expect(() => jwt({ clockTolerance })).toThrow(RangeError);
  }
});

it("a token may begin to count within the tolerance", async () => {
  const { welcome } = await enter(worker, path(), { token: await mint({ nbf: now() + 5 }) });
  expect(welcome.member).toBe("ann");
});

it("a token without end is cut to the end of time, which JSON can carry", async () => {
  for (const exp of ["1e999", "1e300", String(Number.MAX_SAFE_INTEGER)]) {
    const { welcome } = await enter(worker, path(), { token: await mintText(`{"sub":"ann","exp":${exp}}`) });
    expect(welcome.expires).toBe(8.64e15);
  }
});

it("a user id of 255 characters and letters of any script is taken as it is", async () => {
  for (const sub of ["a".repeat(255), "Ζωή", "auth0|5f7c", "名前 🙂"]) {
    const { welcome } = await enter(worker, path(), { token: await mint({ sub }) });
    expect(welcome.member).toBe(sub);
  }
});

it("a name is passed on when it is printable text and left out when it is not", async () => {
  for (const [name, expected] of [
    ["Ann 🙂", "Ann 🙂"],
    ["x".repeat(128), "x".repeat(128)],
    ["x".repeat(129), undefined],
    ["", undefined],
    ["Ann\u0007", undefined],
    ["Ann\u202e", undefined],
    [{ first: "Ann" }, undefined],
  ] as const) {
    const { welcome } = await enter(worker, path(), { token: await mint({ name }) });
    expect(welcome.members).toEqual([{ id: "ann", ...(expected && { name: expected }) }]);
  }
});

it("iss and aud are checked when the deployer names them, and only then", async () => {
  const checked = [
    door({ auth: jwt({ issuer: "https://id.test", audience: "rooms" }) }),
    door({}, { AUTH_ISSUER: "https://id.test", AUTH_AUDIENCE: "rooms" }),
    door({ auth: jwt({ issuer: "https://id.test", audience: "rooms" }) }, { AUTH_ISSUER: "other", AUTH_AUDIENCE: "x" }),
  ];
  const good = { iss: "https://id.test", aud: "rooms" };
  const others = [{}, { ...good, iss: "https://other.test" }, { ...good, aud: "shop" }, { iss: good.iss }];
  for (const at of checked) {
    await enter(at, path(), { token: await mint(good) });
    await enter(at, path(), { token: await mint({ ...good, aud: ["shop", "rooms"] }) });
    for (const claims of others) await expectRefused(at, path(), { token: await mint(claims) }, "unauthorized");
  }
  for (const claims of others) {
    expect((await enter(worker, path(), { token: await mint(claims) })).welcome.member).toBe("ann");
  }
});

const offer = (value: string) => ({ "sec-websocket-protocol": `${SUBPROTOCOL}, ${value}` });

describe("where a token may be", () => {
  it("in Authorization, whatever the case of the word Bearer", async () => {
    for (const scheme of ["Bearer", "bearer", "BEARER "]) {
      const headers = { authorization: `${scheme} ${await sign("ann")}` };
      const { welcome } = await enter(worker, path(), { token: null, headers });
      expect(welcome.member).toBe("ann");
    }
  });

  it("in the subprotocol, whose bearer is never sent back: the answer names edgerooms.v1 and nothing else", async () => {
    const token = await sign("ann");
    for (const headers of [
      offer(`bearer.${token}`),
      { "sec-websocket-protocol": `bearer.${token},chat,${SUBPROTOCOL}` },
    ]) {
      const response = await ours(worker, path(), { token: null, headers });
      expect(response.status).toBe(101);
      expect(response.headers.get("sec-websocket-protocol")).toBe("edgerooms.v1");
      expect(JSON.stringify([...response.headers])).not.toContain(token);
      const client = new Client(response.webSocket as WebSocket);
      expect((await client.next("welcome")).member).toBe("ann");
      expect(client.messages.join("")).not.toContain(token);
    }
  });

  it("T6: encoded in the subprotocol, where it has characters that a subprotocol cannot have", async () => {
    /** A door that knows one token, which is no JWT. */
    const knowing = (one: string) =>
      door({
        auth: {
          tokenInUrl: false,
          verify: (token) =>
            Promise.resolve(
              token === one
                ? { user: "ann", issued: 0, expires: Date.now() + 60_000, claims: { rooms: { "*": ["join"] } } }
                : { code: "unauthorized" },
            ),
        },
      });
    const opaque = "s3cr(e)t/+== \u00fc%41";
    const at = knowing(opaque);
    const encoded = { token: null, headers: offer(bearerProtocol(opaque)) };
    expect((await enter(at, path(), encoded)).welcome.member).toBe("ann");
    // A percent sign in the plain form is a percent sign.
    const plainly = { token: null, headers: offer("bearer.a%41") };
    expect((await enter(knowing("a%41"), path(), plainly)).welcome.member).toBe("ann");
    for (const malformed of ["bearer-encoded.%", "bearer-encoded.%ff", "bearer-encoded."]) {
      const response = await ours(at, path(), { token: null, headers: offer(malformed) });
      await expectBye(response, "unauthorized");
    }
  });

  it("in Authorization rather than the subprotocol when it is in both, even if only the other is good", async () => {
    const bob = `bearer.${await sign("bob")}`;
    const { welcome } = await enter(worker, path(), { token: await sign("ann"), headers: offer(bob) });
    expect(welcome.member).toBe("ann");
    await expectBye(await ours(worker, path(), { token: "garbage", headers: offer(bob) }), "unauthorized");
  });

  it("in the subprotocol when Authorization is about something else", async () => {
    const headers = { authorization: "Basic YW5uOmFubg==", ...offer(`bearer.${await sign("ann")}`) };
    expect((await enter(worker, path(), { token: null, headers })).welcome.member).toBe("ann");
  });

  it("in the URL only if the deployer turns that on, and last of all", async () => {
    const asked = `${path()}?token=${await sign("bob")}`;
    await expectRefused(worker, asked, { token: null }, "unauthorized");
    const open = door({ auth: jwt({ tokenInUrl: true }) });
    expect((await enter(open, asked, { token: null })).welcome.member).toBe("bob");
    expect((await enter(open, asked, { token: await sign("ann") })).welcome.member).toBe("ann");
  });
});

describe("not configured means that nobody gets in, whatever token they have", () => {
  const wrong: [string, Record<string, unknown>, string][] = [
    ["without a secret", { AUTH_SECRET: undefined }, "set AUTH_SECRET"],
    ["with an empty secret", { AUTH_SECRET: "" }, "AUTH_SECRET is empty"],
    ["with a secret of 31 bytes", { AUTH_SECRET: "s".repeat(31) }, "AUTH_SECRET must have 32 bytes"],
    ["with a secret that is an object", { AUTH_SECRET: { secret: "s".repeat(32) } }, "AUTH_SECRET must be a secret"],
    [
      "with nothing but a previous secret",
      { AUTH_SECRET: undefined, AUTH_SECRET_PREVIOUS: "s".repeat(32) },
      "AUTH_SECRET is not",
    ],
    ["with a key set that is no URL", { AUTH_JWKS_URL: "the issuer" }, "AUTH_JWKS_URL must be an https URL"],
    ["with an empty address of a key set", { AUTH_JWKS_URL: "" }, "AUTH_JWKS_URL is empty"],
    ["with a key set over http", { AUTH_JWKS_URL: "http://issuer.test/keys" }, "AUTH_JWKS_URL must be an https URL"],
    ["with an empty issuer", { AUTH_ISSUER: " " }, "AUTH_ISSUER is empty"],
    ["with an empty audience", { AUTH_AUDIENCE: ",," }, "AUTH_AUDIENCE is empty"],
  ];
  for (const [what, vars, setting] of wrong) {
    it(`E2: ${what}: 503 or 4108, to come back in a minute; the client is told what to set, and no secret`, async () => {
      const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
      const secret = vars["AUTH_SECRET"];
      const mine =
        typeof secret === "string" && secret !== "" ? [await mint({}, new TextEncoder().encode(secret))] : [];
      const tokens = [await sign("ann"), null, ...mine];
      for (const token of tokens) {
        const problem = await expectRefused(door({}, vars), path(), { token }, "misconfigured");
        expect(problem).toMatchObject({ status: 503, retryAfter: 60_000 });
        expect(problem.detail).toContain(setting);
        expect(nextStep(codes[problem.code as "misconfigured"].close), "a bad deploy ends nobody for good").toBe(
          "later",
        );
      }
      expect(JSON.stringify(log.mock.calls)).not.toContain("s".repeat(31));
      expect(JSON.stringify(log.mock.calls)).not.toContain("eyJ");
    });
  }

  it("E4: a secret of the Secrets Store is as good as text, also while the store fails for a moment", async () => {
    const token = await sign("ann");
    let asked = 0;
    const store = {
      get: async () => {
        if (++asked > 1) throw new Error("the store is away");
        return Promise.resolve(env.AUTH_SECRET);
      },
    };
    const began = Date.now();
    for (let i = 0; i < 3; i++) await enter(door({}, { AUTH_SECRET: store }), path(), { token });
    expect(asked, "it is kept for a minute").toBe(1);
    vi.useFakeTimers({ toFake: ["Date"], now: began + 61_000 });
    await enter(door({}, { AUTH_SECRET: store }), path(), { token }).finally(() => vi.useRealTimers());
    expect(asked).toBe(2);
    expect(waitUntil, "what renewing needs to outlive its request").toBeTypeOf("function");
    const broken = { get: async () => Promise.reject(new Error("the store is away")) };
    await expectRefused(door({}, { AUTH_SECRET: broken }), path(), { token }, "upstream_failed");
  });

  it("E2: during a rotation both secrets are good, and afterwards only the new one", async () => {
    const next = "the next secret, as long as it has to be, of course";
    const tokens = [await sign("ann"), await mint({}, new TextEncoder().encode(next))] as const;
    const both = door({}, { AUTH_SECRET: next, AUTH_SECRET_PREVIOUS: env.AUTH_SECRET });
    for (const token of tokens) expect((await enter(both, path(), { token })).welcome.member).toBe("ann");
    await expectRefused(both, path(), { token: await mint({}, new TextEncoder().encode(`${next}?`)) }, "unauthorized");
    const expired = await mint({ exp: now() - 60 }, new TextEncoder().encode(env.AUTH_SECRET));
    await expectRefused(both, path(), { token: expired }, "token_expired");
    await expectRefused(door({}, { AUTH_SECRET: next }), path(), { token: tokens[0] }, "unauthorized");
    await enter(door({ auth: jwt({ secret: [next, env.AUTH_SECRET] }) }), path(), { token: tokens[0] });
  });

  it("E2: a previous secret that is none keeps nobody out whose token the current one signed", async () => {
    const token = await sign("ann");
    const strange = await mint({}, new TextEncoder().encode("s".repeat(32)));
    for (const previous of ["", " ", "s".repeat(31), { secret: 1 }]) {
      const at = door({}, { AUTH_SECRET_PREVIOUS: previous });
      await enter(at, path(), { token });
      await expectRefused(at, path(), { token: strange }, "unauthorized");
      await enter(door({ auth: jwt({ secret: [env.AUTH_SECRET, previous as string] }) }), path(), { token });
    }
  });

  it("E4: an empty secret in the program lets nobody in, and takes no key set in its place", async () => {
    const at = door({ auth: jwt({ secret: "" }) }, { AUTH_JWKS_URL: "https://keys.test/jwks" });
    await expectRefused(at, path(), { token: await sign("ann") }, "misconfigured");
  });

  it("E2: two secrets that are the same are one, and a token of neither is refused", async () => {
    const at = door({}, { AUTH_SECRET_PREVIOUS: env.AUTH_SECRET });
    await enter(at, path(), { token: await sign("ann") });
    const strange = await mint({}, new TextEncoder().encode("s".repeat(32)));
    await expectRefused(at, path(), { token: strange }, "unauthorized");
  });

  it("E2: a token of another secret is refused for a while, not for good, while the previous one is out of reach", async () => {
    const away = { get: async () => Promise.reject(new Error("the store is away")) };
    const at = door({}, { AUTH_SECRET_PREVIOUS: away });
    await enter(at, path(), { token: await sign("ann") });
    const old = await mint({}, new TextEncoder().encode("s".repeat(32)));
    await expectRefused(at, path(), { token: old }, "upstream_failed");
  });

  it("E2: several audiences are good at once", async () => {
    const at = door({}, { AUTH_AUDIENCE: "web, mobile" });
    for (const aud of ["web", "mobile", ["other", "web"]]) await enter(at, path(), { token: await mint({ aud }) });
    await expectRefused(at, path(), { token: await mint({ aud: "other" }) }, "unauthorized");
  });

  it("T5: a clock that is a little ahead heals: its token is told when to come again", async () => {
    for (const claims of [{ iat: now() + 40 }, { nbf: now() + 40 }]) {
      const { retryAfter } = await expectRefused(worker, path(), { token: await mint(claims) }, "token_early");
      expect(retryAfter).toBeGreaterThan(10_000);
      expect(retryAfter).toBeLessThanOrEqual(40_000);
    }
  });

  it("and a secret of 32 bytes is enough, in the environment or given to jwt()", async () => {
    const secret = "s".repeat(32);
    const token = await mint({}, new TextEncoder().encode(secret));
    await enter(door({}, { AUTH_SECRET: secret }), path(), { token });
    const { welcome } = await enter(door({ auth: jwt({ secret }) }, { AUTH_SECRET: undefined }), path(), { token });
    expect(welcome.member).toBe("ann");
  });
});
