/** Tokens signed with an issuer's keys: which count, how often the issuer is asked, and what happens while it is away. */
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { describe, expect, it } from "vitest";
import { jwt } from "../../src/http/gate/auth.ts";
import {
  door,
  enter,
  expectBye,
  expectProblem,
  expectRefused,
  ours,
  outcome,
  plain,
  type Door,
} from "../support/door.ts";
import { heldDate } from "../support/clock.ts";
import { Issuer, makeKey } from "../support/issuer.ts";
import { eventually } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";

const SECOND = 1_000;
const MINUTE = 60_000;

const path = () => `/rooms/${new TestedRoom().path}`;
const byKeySet = ({ url }: Issuer, vars?: Record<string, string>): Door => door({ auth: jwt({ jwksUrl: url }) }, vars);
const knock = async (at: Door, token: string) => outcome(await ours(at, path(), { token }));
const pass = heldDate();

for (const alg of "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519".split(" ")) {
  it(`E14: a token signed with ${alg} by a key of the set gets in`, async () => {
    const key = await makeKey(alg);
    const { welcome } = await enter(byKeySet(new Issuer(await makeKey(alg), key)), path(), { token: await key.sign() });
    expect(welcome.member).toBe("ann");
  });
}

it("the address may come from the environment, and a secret there counts no more", async () => {
  const key = await makeKey();
  const at = door({}, { AUTH_JWKS_URL: new Issuer(key).url });
  expect(await knock(at, await key.sign())).toBe("welcome");
  await expectRefused(at, path(), {}, "unauthorized");
});

it("E14: two keys without an id are both tried, and a third that is in no set is refused", async () => {
  const withoutId = async () => {
    const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
    const sign = async () =>
      new SignJWT({}).setProtectedHeader({ alg: "ES256" }).setSubject("ann").setExpirationTime("2h").sign(privateKey);
    return { jwk: { ...(await exportJWK(publicKey)), alg: "ES256" }, sign };
  };
  const [one, two, three] = [await withoutId(), await withoutId(), await withoutId()];
  const issuer = new Issuer();
  issuer.answer = () => Response.json({ keys: [one.jwk, two.jwk] });
  const at = byKeySet(issuer);
  expect(await knock(at, await one.sign())).toBe("welcome");
  expect(await knock(at, await two.sign())).toBe("welcome");
  expect(await knock(at, await three.sign())).toBe("unauthorized");
});

it("E2: an answer without a usable key never takes the place of a good set", async () => {
  const key = await makeKey();
  const issuer = new Issuer(key);
  const at = byKeySet(issuer);
  expect(await knock(at, await key.sign())).toBe("welcome");
  for (const keys of [[], [{ kty: "oct", k: "c2VjcmV0" }], [{ ...key.jwk, use: "enc" }]]) {
    pass(11 * MINUTE);
    issuer.answer = () => Response.json({ keys });
    expect(await knock(at, await key.sign())).toBe("welcome");
  }
  issuer.answer = undefined;
  pass(MINUTE);
  expect(await knock(at, await key.sign())).toBe("welcome");
});

describe("E2: several issuers", () => {
  const ISSUERS = ["https://old.test/", "https://new.test/"];

  it("share one key set", async () => {
    const key = await makeKey();
    const at = door({}, { AUTH_JWKS_URL: new Issuer(key).url, AUTH_ISSUER: ISSUERS.join(", ") });
    for (const iss of ISSUERS) expect(await knock(at, await key.sign({ iss }))).toBe("welcome");
    for (const iss of ["https://other.test/", undefined]) {
      expect(await knock(at, await key.sign({ iss }))).toBe("unauthorized");
    }
  });

  it("have a key set each, and none signs in another's name", async () => {
    const keys = [await makeKey(), await makeKey()];
    const jwksUrl = keys.map((key) => new Issuer(key).url);
    const at = door({ auth: jwt({ jwksUrl, issuer: ISSUERS }) });
    for (const [i, key] of keys.entries()) {
      expect(await knock(at, await key.sign({ iss: ISSUERS[i] }))).toBe("welcome");
      expect(await knock(at, await key.sign({ iss: ISSUERS[1 - i] }))).not.toBe("welcome");
      expect(await knock(at, await key.sign({ iss: "https://other.test/" }))).toBe("unauthorized");
    }
  });

  it("with as many key sets as issuers or one, else nobody gets in", async () => {
    const key = await makeKey();
    const jwksUrl = [new Issuer(key).url, new Issuer(key).url];
    const { detail } = await expectRefused(door({ auth: jwt({ jwksUrl }) }), path(), {}, "misconfigured");
    expect(detail).toContain("AUTH_ISSUER");
  });
});

it("one question serves many upgrades", async () => {
  const key = await makeKey();
  const issuer = new Issuer(key);
  const at = byKeySet(issuer);
  for (let i = 0; i < 5; i++) expect(await knock(at, await key.sign())).toBe("welcome");
  const token = await key.sign();
  expect(await Promise.all(Array.from({ length: 10 }, () => knock(at, token)))).toEqual(Array(10).fill("welcome"));
  expect(await knock(byKeySet(issuer), token), "another app of the same isolate").toBe("welcome");
  expect(issuer.asked).toBe(1);
});

it("many who come before the first answer all get in, with one question", async () => {
  const key = await makeKey();
  const issuer = new Issuer(key);
  const at = byKeySet(issuer);
  const token = await key.sign();
  expect(await Promise.all(Array.from({ length: 10 }, () => knock(at, token)))).toEqual(Array(10).fill("welcome"));
  expect(issuer.asked).toBe(1);
});

it("who waits for the first answer asks too after a second: the request that asked may be gone", async () => {
  const key = await makeKey();
  const issuer = new Issuer(key);
  const at = byKeySet(issuer);
  const token = await key.sign();
  const answer = Promise.withResolvers<Response>();
  issuer.answer = () => answer.promise;
  const first = knock(at, token);
  await eventually(() => expect(issuer.asked).toBe(1));
  issuer.answer = undefined;
  const others = [knock(at, token), knock(at, token)];
  pass(SECOND);
  expect(await Promise.all(others)).toEqual(["welcome", "welcome"]);
  expect(issuer.asked).toBe(2);
  answer.resolve(Response.json({ keys: [key.jwk] }));
  expect(await first).toBe("welcome");
});

it("a token signed with HS256 is refused, even with the public key for a secret", async () => {
  const key = await makeKey("RS256");
  const issuer = new Issuer(key);
  const { kid = "", n = "" } = key.jwk;
  for (const secret of [JSON.stringify(key.jwk), n, Uint8Array.fromBase64(n, { alphabet: "base64url" })]) {
    const bytes = typeof secret === "string" ? new TextEncoder().encode(secret) : secret;
    const token = await new SignJWT({ sub: "ann" })
      .setProtectedHeader({ alg: "HS256", kid })
      .setExpirationTime("1h")
      .sign(bytes);
    await expectRefused(byKeySet(issuer), path(), { token }, "unauthorized");
  }
  expect(issuer.asked).toBe(0);
});

it("a token is refused when a key of another issuer signed it under a known key id", async () => {
  const [key, other] = [await makeKey(), await makeKey()];
  const at = byKeySet(new Issuer({ ...key, jwk: { ...key.jwk, kid: other.jwk.kid ?? "" } }));
  const problem = await expectRefused(at, path(), { token: await other.sign() }, "unauthorized");
  expect(problem.detail).toBe("signature verification failed");
});

describe("a key id that is not in the set", () => {
  it("E3: is 401 while the issuer is up, and told to come later when it is too early to ask again", async () => {
    const [key, stranger] = [await makeKey(), await makeKey()];
    const issuer = new Issuer(key);
    const at = byKeySet(issuer);
    const token = await stranger.sign();
    expect(await knock(at, token)).toBe("unauthorized");
    expect(issuer.asked, "the set is as new as can be").toBe(1);
    for (const asked of [2, 3]) {
      pass(31 * SECOND);
      const answers = await Promise.all(Array.from({ length: 10 }, () => knock(at, token)));
      expect(answers.toSorted()).toEqual([...Array<string>(9).fill("token_early"), "unauthorized"]);
      pass(28 * SECOND);
      const { retryAfter } = await expectRefused(at, path(), { token }, "token_early");
      expect(retryAfter).toBe(2_000);
      expect(issuer.asked).toBe(asked);
    }
    expect(await knock(at, await key.sign())).toBe("welcome");
  });

  it("is good as soon as the issuer has it", async () => {
    const [key, next] = [await makeKey(), await makeKey()];
    const issuer = new Issuer(key);
    const at = byKeySet(issuer);
    expect(await knock(at, await key.sign())).toBe("welcome");
    issuer.keys = [next];
    pass(31 * SECOND);
    expect(await knock(at, await next.sign())).toBe("welcome");
    pass(31 * SECOND);
    expect(await knock(at, await key.sign()), "the withdrawn one").toBe("unauthorized");
    expect(issuer.asked).toBe(3);
  });

  it("cannot be used by strangers to have an honest token turned away for good", async () => {
    const [key, next, stranger] = [await makeKey(), await makeKey(), await makeKey()];
    const issuer = new Issuer(key);
    const at = byKeySet(issuer);
    expect(await knock(at, await key.sign())).toBe("welcome");
    pass(31 * SECOND);
    expect(await knock(at, await stranger.sign())).toBe("unauthorized");
    issuer.keys = [key, next];
    pass(2 * SECOND);
    expect(await knock(at, await next.sign())).toBe("token_early");
    pass(29 * SECOND);
    expect(await knock(at, await next.sign())).toBe("welcome");
  });

  it("is told to come later while the question about it is open, and others are not kept waiting", async () => {
    const [key, next] = [await makeKey(), await makeKey()];
    const issuer = new Issuer(key);
    const at = byKeySet(issuer);
    expect(await knock(at, await key.sign())).toBe("welcome");
    pass(31 * SECOND);
    const answer = Promise.withResolvers<Response>();
    issuer.answer = () => answer.promise;
    const first = knock(at, await next.sign());
    await eventually(() => expect(issuer.asked).toBe(2));
    expect(await knock(at, await next.sign())).toBe("token_early");
    expect(await knock(at, await key.sign())).toBe("welcome");
    answer.resolve(Response.json({ keys: [next.jwk] }));
    expect(await first).toBe("welcome");
    expect(issuer.asked).toBe(2);
  });
});

it("a key that the issuer withdrew is good for ten minutes and no longer", async () => {
  const [key, next] = [await makeKey(), await makeKey()];
  const issuer = new Issuer(key);
  const at = byKeySet(issuer);
  const token = await key.sign();
  expect(await knock(at, token)).toBe("welcome");
  issuer.keys = [next];
  pass(10 * MINUTE - SECOND);
  expect(await knock(at, token)).toBe("welcome");
  expect(issuer.asked).toBe(1);
  pass(SECOND);
  expect(await knock(at, token)).toBe("unauthorized");
  expect(issuer.asked).toBe(2);
});

interface Outage {
  readonly answer: () => Response | Promise<Response>;
  /** How often a question is asked while the breaker is closed: what may pass at once is worth a second try. */
  readonly tries: 1 | 2;
}

const outages: Record<string, Outage> = {
  "cannot be reached": { answer: () => Promise.reject(new Error("no route to the issuer")), tries: 2 },
  "answers 500": { answer: () => new Response("down", { status: 500 }), tries: 2 },
  "answers 429": { answer: () => new Response("busy", { status: 429 }), tries: 2 },
  "answers 404": { answer: () => new Response("what keys?", { status: 404 }), tries: 1 },
  "sends us elsewhere": {
    answer: () => new Response(null, { status: 302, headers: { location: "https://elsewhere.test/" } }),
    tries: 1,
  },
  "answers with a page": { answer: () => new Response("<h1>Maintenance</h1>"), tries: 1 },
  "answers with JSON that is no key set": { answer: () => Response.json({ keys: "soon" }), tries: 1 },
};
for (const [what, { answer, tries }] of Object.entries(outages)) {
  it(`an issuer that ${what} leaves its last good keys in force, is asked once per cooldown and recovers`, async () => {
    const [key, next] = [await makeKey(), await makeKey()];
    const issuer = new Issuer(key);
    const at = byKeySet(issuer);
    expect(await knock(at, await key.sign())).toBe("welcome");
    issuer.answer = answer;
    pass(11 * MINUTE);
    for (const asked of [1 + tries, 2 + tries]) {
      for (let i = 0; i < 3; i++) expect(await knock(at, await key.sign())).toBe("welcome");
      await expectRefused(at, path(), { token: await next.sign() }, "unavailable");
      expect(issuer.asked).toBe(asked);
      pass(31 * SECOND);
    }
    expect(await knock(at, await next.sign()), "the question was about this very token").toBe("upstream_failed");
    pass(31 * SECOND);
    issuer.answer = undefined;
    issuer.keys = [next];
    expect(await knock(at, await next.sign())).toBe("welcome");
    pass(31 * SECOND);
    expect(await knock(at, await key.sign()), "withdrawn meanwhile").toBe("unauthorized");
    expect(issuer.asked).toBe(5 + tries);
  });

  it(`an issuer that ${what} from the start is asked once a second by an isolate without keys, until it answers`, async () => {
    const key = await makeKey();
    const issuer = new Issuer(key);
    issuer.answer = answer;
    const at = byKeySet(issuer);
    const token = await key.sign();
    expect((await expectBye(await ours(at, path(), { token }), "upstream_failed")).closed?.code).toBe(4104);
    while (issuer.asked < 3) {
      expect(await expectProblem(await plain(at, path(), { token }), "upstream_failed")).toMatchObject({ status: 502 });
    }
    for (const asked of [3, 4]) {
      const refused = await expectRefused(at, path(), { token }, "unavailable");
      expect(refused).toMatchObject({ status: 503, retryAfter: 1_000 });
      expect(issuer.asked, "while the breaker is open").toBe(asked);
      pass(SECOND);
      if (asked === 3) expect(await knock(at, token), "the probe").toBe("upstream_failed");
    }
    issuer.answer = undefined;
    expect(await knock(at, token)).toBe("welcome");
    expect(issuer.asked).toBe(5);
  });
}

// Five seconds each, by the clock: together.
it.concurrent(
  "an issuer that hangs is a 504 and a 4105 for all who came at once, after five seconds and one question",
  async () => {
    const key = await makeKey();
    const issuer = new Issuer(key);
    issuer.answer = () => new Promise(() => {});
    const at = byKeySet(issuer);
    const token = await key.sign();
    const began = performance.now();
    const [client, problem] = await Promise.all([ours(at, path(), { token }), plain(at, path(), { token })]);
    expect(performance.now() - began).toBeGreaterThan(4_900);
    expect((await expectBye(client, "upstream_timeout")).closed?.code).toBe(4105);
    expect(await expectProblem(problem, "upstream_timeout")).toMatchObject({ status: 504, retryAfter: 1_000 });
    expect(issuer.asked).toBe(1);
  },
);

it.concurrent("an issuer that begins to answer and stops is one that hangs", async () => {
  const key = await makeKey();
  const issuer = new Issuer(key);
  issuer.answer = () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    void writable.getWriter().write(new TextEncoder().encode('{"keys":'));
    return new Response(readable);
  };
  expect(await knock(byKeySet(issuer), await key.sign())).toBe("upstream_timeout");
});

it("an unknown key id costs one question per cooldown also while the issuer is away and the set is fresh", async () => {
  const [key, stranger] = [await makeKey(), await makeKey()];
  const issuer = new Issuer(key);
  const at = byKeySet(issuer);
  expect(await knock(at, await key.sign())).toBe("welcome");
  issuer.answer = outages["answers 500"]?.answer;
  pass(31 * SECOND);
  expect(await knock(at, await stranger.sign())).toBe("upstream_failed");
  for (let i = 0; i < 5; i++) expect(await knock(at, await stranger.sign())).toBe("unavailable");
  expect(await knock(at, await key.sign())).toBe("welcome");
  expect(issuer.asked, "the one question was tried twice").toBe(3);
});

it("nobody waits for an issuer that is slow to renew a set: the old one goes on meanwhile", async () => {
  const key = await makeKey();
  const issuer = new Issuer(key);
  const at = byKeySet(issuer);
  expect(await knock(at, await key.sign())).toBe("welcome");
  pass(11 * MINUTE);
  const answer = Promise.withResolvers<Response>();
  issuer.answer = () => answer.promise;
  const first = knock(at, await key.sign());
  await eventually(() => expect(issuer.asked).toBe(2));
  expect(await knock(at, await key.sign())).toBe("welcome");
  answer.resolve(Response.json({ keys: [key.jwk] }));
  expect(await first).toBe("welcome");
  expect(issuer.asked).toBe(2);
});
