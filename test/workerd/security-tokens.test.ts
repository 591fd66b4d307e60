/** Tokens that an attacker makes: headers that name their own key, claims that say two things, tokens in many places. */
import { env } from "cloudflare:workers";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterEach, describe, expect, it, vi } from "vitest";
import { jwt } from "../../src/http/gate/auth.ts";
import { SUBPROTOCOL } from "../../src/protocol/frames.ts";
import { Client, sign } from "../support/client.ts";
import { census, door, enter, expectBye, expectRefused, ours, worker } from "../support/door.ts";
import { Issuer, makeKey } from "../support/issuer.ts";
import { TestedRoom } from "../support/room.ts";

const soon = () => Math.floor(Date.now() / 1_000) + 3_600;
const path = () => `/rooms/${new TestedRoom().path}`;
const bytes = (text: string) => new TextEncoder().encode(text);
const base64url = (data: Uint8Array) => data.toBase64({ alphabet: "base64url", omitPadding: true });

/** A token of exactly this header and these claims, signed with HMAC-SHA-256; `""` for no signature at all. */
async function forge(header: string, claims = `{"sub":"ann","exp":${soon()}}`, secret = env.AUTH_SECRET) {
  const text = `${base64url(bytes(header))}.${base64url(bytes(claims))}`;
  if (secret === "") return `${text}.`;
  const key = await crypto.subtle.importKey("raw", bytes(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return `${text}.${base64url(new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes(text))))}`;
}

/** A token that brings the public half of the key it is signed with, in every way a header can. */
async function ownKey(kid: string) {
  const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
  const jwk = await exportJWK(publicKey);
  const jku = "https://evil.test/keys.json";
  return new SignJWT({ sub: "ann" })
    .setProtectedHeader({ alg: "RS256", kid, jwk, jku, x5u: jku, x5c: [base64url(bytes("a certificate"))] })
    .setExpirationTime("1h")
    .sign(privateKey);
}

afterEach(() => {
  vi.restoreAllMocks();
});

const headers: Record<string, [header: string, secret?: string]> = {
  "that says alg None, in another case": ['{"alg":"None"}', ""],
  "that says alg NONE and is signed": ['{"alg":"NONE"}'],
  "that says no alg": ['{"typ":"JWT"}'],
  "whose alg is an array": ['{"alg":["HS256"]}'],
  "whose alg is empty": ['{"alg":""}', ""],
  "whose header is null": ["null"],
  "whose header is no JSON": ["{alg:HS256}"],
  "that asks to skip base64url (b64)": ['{"alg":"HS256","b64":false,"crit":["b64"]}'],
  "whose crit is empty": ['{"alg":"HS256","crit":[]}'],
  "whose crit is no array": ['{"alg":"HS256","crit":"exp"}'],
  "whose crit names what is not there": ['{"alg":"HS256","crit":["exp"]}'],
  "that names a file of zeros as its key": ['{"alg":"HS256","kid":"../../../../dev/null"}', "\0".repeat(32)],
  "that names a key by SQL": ['{"alg":"HS256","kid":"x\' UNION SELECT \'known"}', "known"],
};
for (const [what, [header, secret]] of Object.entries(headers)) {
  it(`a token ${what} is refused, and no room wakes`, async () => {
    const before = await census();
    const problem = await expectRefused(
      worker,
      path(),
      { token: await forge(header, undefined, secret) },
      "unauthorized",
    );
    expect(JSON.stringify(problem)).not.toContain("evil");
    expect(await census()).toBe(before);
  });
}

it("a token that brings its own key is refused, and nobody asks for the keys it names", async () => {
  const key = await makeKey("RS256");
  const issuer = new Issuer(key);
  const fetched = vi.mocked(globalThis.fetch);
  const byKeySet = door({ auth: jwt({ jwksUrl: issuer.url }) });
  await enter(byKeySet, path(), { token: await key.sign() });
  await expectRefused(worker, path(), { token: await ownKey("mine") }, "unauthorized");
  await expectRefused(byKeySet, path(), { token: await ownKey(key.jwk.kid ?? "") }, "unauthorized");
  // A key id the issuer may have made a moment ago: it was just asked, so this is for later.
  await expectRefused(byKeySet, path(), { token: await ownKey("mine") }, "token_early");
  const addresses = fetched.mock.calls.map(([input]) => (input instanceof Request ? input.url : String(input)));
  expect(new Set(addresses)).toEqual(new Set([issuer.url]));
});

it("a key id is compared as text: paths, prototypes, numbers and objects find no key", async () => {
  const [key, stranger] = [await makeKey(), await makeKey()];
  const issuer = new Issuer(key, await makeKey());
  const at = door({ auth: jwt({ jwksUrl: issuer.url }) });
  await enter(at, path(), { token: await key.sign() });
  const [, claims = "", signature = ""] = (await stranger.sign()).split(".");
  for (const kid of ["../key-1", "__proto__", "constructor", "0", "", 0, { toString: 1 }, ["key-1"], null, true]) {
    const header = base64url(bytes(JSON.stringify({ alg: "ES256", kid })));
    const outcome = await ours(at, path(), { token: `${header}.${claims}.${signature}` });
    const client = new Client(outcome.webSocket as WebSocket);
    expect(["unauthorized", "token_early"]).toContain((await client.next("bye")).reason);
  }
  expect(issuer.asked).toBe(1);
});

const shapes: Record<string, (good: string) => string> = {
  "with a fourth part": (good) => `${good}.${good.split(".")[2]}`,
  "of an encrypted kind, in five parts": (good) => `${good}.a.b`,
  "as a JSON object": (good) => {
    const [header, claims, signature] = good.split(".");
    return JSON.stringify({ protected: header, payload: claims, signature });
  },
  "with its parts in another order": (good) => good.split(".").toReversed().join("."),
  "cut by one character": (good) => good.slice(0, -2),
  "with a second token behind it": (good) => `${good},${good}`,
};
for (const [what, change] of Object.entries(shapes)) {
  it(`a good token ${what} is refused`, async () => {
    await expectRefused(worker, path(), { token: change(await sign("ann")) }, "unauthorized");
  });
}

const claims: Record<string, string> = {
  "an exp of null": '"sub":"ann","exp":null',
  "an exp of true": '"sub":"ann","exp":true',
  "an exp in an array": '"sub":"ann","exp":[99999999999]',
  "an exp in an object": '"sub":"ann","exp":{"valueOf":99999999999}',
  "an exp of NaN": '"sub":"ann","exp":NaN',
  "an nbf that is text": '"sub":"ann","exp":9000000000,"nbf":"0"',
  "an iat without end": '"sub":"ann","exp":9000000000,"iat":1e999',
  "an invisible letter in sub": '"sub":"a\\u200bnn","exp":9000000000',
  "a terminal escape in sub": '"sub":"\\u001b[31mann","exp":9000000000',
  "a line separator in sub": '"sub":"ann\\u2028","exp":9000000000',
  "claims in an array": "",
};
for (const [what, text] of Object.entries(claims)) {
  it(`a signed token with ${what} is refused`, async () => {
    const token = await forge('{"alg":"HS256"}', text === "" ? '[{"sub":"ann","exp":9000000000}]' : `{${text}}`);
    await expectRefused(worker, path(), { token }, "unauthorized");
  });
}

it("an exp before the beginning of time has expired", async () => {
  for (const exp of ["0", "-1", "-1e999", "1e-300"]) {
    const token = await forge('{"alg":"HS256"}', `{"sub":"ann","exp":${exp}}`);
    await expectRefused(worker, path(), { token }, "token_expired");
  }
});

it("of claims that are there twice the last counts, for the check and for the room alike", async () => {
  const late = `{"exp":${soon()},"sub":"ann","rooms":{"*":["join"]},"exp":1,"sub":"bob","rooms":{}}`;
  await expectRefused(worker, path(), { token: await forge('{"alg":"HS256"}', late) }, "token_expired");
  const twice = `{"exp":1,"sub":"ann","rooms":{},"exp":${soon()},"sub":"bob","rooms":{"*":["join"]}}`;
  const { welcome } = await enter(worker, path(), { token: await forge('{"alg":"HS256"}', twice) });
  expect(welcome.member).toBe("bob");
  expect(welcome.members).toEqual([{ id: "bob" }]);
});

it("a user named like a part of every object is a user like any other", async () => {
  const room = new TestedRoom();
  const names = ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf"];
  for (const user of names) {
    const { client, welcome } = await Client.join(room.path, { user });
    expect(welcome.member).toBe(user);
    client.send({ type: "presence", data: { here: user } });
    await client.publish(1, user);
  }
  expect((await room.stub.members()).map(({ id }) => id)).toEqual(names.toSorted());
  await room.evict();
  expect((await room.stub.kick("__proto__")).sessions).toBe(1);
  expect((await room.stub.members()).map(({ id, data }) => [id, data])).toEqual(
    names
      .filter((name) => name !== "__proto__")
      .toSorted()
      .map((name) => [name, { here: name }]),
  );
  expect(room.reports).toEqual([]);
});

it("users whose names only look alike are two: one cannot take the other's session", async () => {
  const room = new TestedRoom();
  const { welcome } = await Client.join(room.path, { user: "zoé" });
  const { session, epoch } = welcome;
  for (const user of ["zoe\u0301", "zоé", "Zoé", "zoé "]) {
    const { welcome: other } = await Client.join(room.path, { user, session, epoch, offset: 0 });
    expect(other).toMatchObject({ member: user, resumed: false, reason: "session_unknown" });
  }
  expect(await room.stub.members()).toHaveLength(5);
});

describe("a token in many places", () => {
  const offer = (...bearers: string[]) => ({ "sec-websocket-protocol": [SUBPROTOCOL, ...bearers].join(", ") });

  it("of several bearers the first counts, and no other is tried", async () => {
    const [ann, bob] = [`bearer.${await sign("ann")}`, `bearer.${await sign("bob")}`];
    const { welcome } = await enter(worker, path(), { token: null, headers: offer(ann, bob) });
    expect(welcome.member).toBe("ann");
    const many = Array.from({ length: 2_000 }, (_, i) => `bearer.guess-${i}`);
    const knock = { token: null, headers: offer(...many, ann) };
    await expectBye(await ours(worker, path(), knock), "unauthorized");
    await expectBye(await ours(worker, path(), { token: null, headers: offer("bearer.", ann) }), "unauthorized");
  });

  it("two Authorization headers are none that counts", async () => {
    const all = new Headers({ upgrade: "websocket", ...offer() });
    for (const user of ["ann", "bob"]) all.append("authorization", `Bearer ${await sign(user)}`);
    const response = await worker(new Request(`http://edge.test${path()}`, { headers: all }));
    await expectBye(response, "unauthorized");
  });

  it("nothing that a browser sends by itself is a token: no cookie, no Basic, no Referer", async () => {
    const token = await sign("ann");
    const ambient = {
      cookie: `token=${token}; bearer=${token}; authorization=Bearer ${token}; __Host-token=${token}`,
      authorization: `Basic ${btoa(`ann:${token}`)}`,
      referer: `https://app.test/?token=${token}`,
      "x-forwarded-access-token": token,
      "proxy-authorization": `Bearer ${token}`,
    };
    const problem = await expectRefused(worker, path(), { token: null, headers: ambient }, "unauthorized");
    expect(problem.detail).toBe("There is no token.");
  });
});

it("a rooms claim full of stars and prototypes is refused like any other", async () => {
  const patterns = Array.from({ length: 300 }, (_, i) => [`relay/${"*a".repeat(60)}*b${i}`, ["join"]] as const);
  const evil = JSON.parse('{"__proto__":{"relay/*":["join"]},"constructor":{"prototype":["join"]}}') as object;
  const token = await sign("ann", { rooms: { ...Object.fromEntries(patterns), ...evil } });
  await expectRefused(worker, `/rooms/relay/${"a".repeat(128)}`, { token }, "forbidden");
});
