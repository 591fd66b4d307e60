/** The next token of a live session: who may bring it, from where, and what it changes. */
import { describe, expect, it } from "vitest";
import { Client, sign } from "../support/client.ts";
import { census, door, expectProblem, worker, type Door } from "../support/door.ts";
import { TestedRoom } from "../support/room.ts";

interface Post {
  at?: Door;
  token?: string | null;
  body?: BodyInit;
  headers?: Record<string, string>;
}

async function post(path: string, { at = worker, token, body = "", headers }: Post): Promise<Response> {
  const bearer = token === null ? {} : { authorization: `Bearer ${token ?? (await sign("ann"))}` };
  const all = { "content-type": "application/json", ...bearer, ...headers };
  return at(new Request(`http://edge.test/rooms/${path}/session`, { method: "POST", headers: all, body }));
}

const naming = (session: string) => JSON.stringify({ session });

describe("a refresh", () => {
  it("keeps the connection beyond the end of the token it opened with", async () => {
    const [kept, left] = [new TestedRoom(), new TestedRoom()];
    const clients = [];
    for (const room of [kept, left]) {
      room.stopClock();
      clients.push(await Client.join(room.path, { ttl: "20s" }));
    }
    const [refreshed, forgotten] = clients;
    const response = await post(kept.path, { body: naming(refreshed?.welcome.session ?? "") });
    expect(response.status).toBe(200);
    const { expires } = await response.json<{ expires: number }>();
    expect(expires).toBeGreaterThan(Date.now() + 3_500_000);
    await kept.pass(40_000);
    await left.pass(40_000);
    expect((await forgotten?.client.next("bye"))?.reason).toBe("token_expired");
    expect((await refreshed?.client.publish(1, "still here"))?.offset).toBe(1);
    expect(refreshed?.client.of("bye")).toEqual([]);
  });

  it("puts the grants of the new token in force", async () => {
    const room = new TestedRoom();
    const { client, welcome } = await Client.join(room.path);
    await client.publish(1, "before");
    const token = await sign("ann", { rooms: { "relay/*": ["join"] } });
    expect((await post(room.path, { token, body: naming(welcome.session) })).status).toBe(200);
    client.send({ type: "publish", ref: 2, data: "after" });
    expect(await client.next("error")).toMatchObject({ code: "forbidden", ref: 2 });
  });

  it("is refused when the new token lets its user join no more, and the old one stays in force", async () => {
    const room = new TestedRoom();
    const { client, welcome } = await Client.join(room.path);
    const body = naming(welcome.session);
    await expectProblem(await post(room.path, { token: await sign("ann", { rooms: {} }), body }), "forbidden");
    const at = door({ authorize: () => false });
    await expectProblem(await post(room.path, { at, body }), "forbidden");
    expect((await client.publish(1, "still allowed")).offset).toBe(1);
  });

  it("is refused without a good token, before the room is asked", async () => {
    const before = await census();
    const { path } = new TestedRoom();
    const missing = await post(path, { token: null, body: naming("s") });
    expect(missing.headers.get("www-authenticate")).toBe("Bearer");
    expect((await expectProblem(missing, "unauthorized")).status).toBe(401);
    await expectProblem(await post(path, { token: "garbage", body: naming("s") }), "unauthorized");
    const expired = await sign("ann", {}, Math.floor(Date.now() / 1_000) - 60);
    await expectProblem(await post(path, { token: expired, body: naming("s") }), "token_expired");
    expect(await census()).toBe(before);
  });

  it("is refused for a session of someone else, exactly as for one that does not exist", async () => {
    const room = new TestedRoom();
    const { client, welcome } = await Client.join(room.path, { user: "bob" });
    const theirs = await expectProblem(await post(room.path, { body: naming(welcome.session) }), "unknown_session");
    const nobodys = await expectProblem(await post(room.path, { body: naming("nobody") }), "unknown_session");
    expect({ ...theirs, requestId: "" }).toEqual({ ...nobodys, requestId: "" });
    expect(theirs.status).toBe(404);
    await client.publish(1, "undisturbed");
  });

  it("is refused in another room than the session's", async () => {
    const { welcome } = await Client.join(new TestedRoom().path);
    const response = await post(new TestedRoom().path, { body: naming(welcome.session) });
    expect((await expectProblem(response, "unknown_session")).status).toBe(404);
  });

  it("is refused with a token that was revoked, even for a session opened since", async () => {
    const room = new TestedRoom();
    const old = await sign("ann");
    await room.stub.revoke("ann");
    const since = await sign("ann", { iat: Math.floor(Date.now() / 1_000) + 5 });
    const { client, welcome } = await Client.join(room.path, { token: since });
    const body = naming(welcome.session);
    expect((await expectProblem(await post(room.path, { token: old, body }), "revoked")).status).toBe(401);
    expect((await post(room.path, { token: since, body })).status).toBe(200);
    await client.publish(1, "undisturbed");
  });
});

const badBodies: Record<string, BodyInit> = {
  nothing: "",
  "no JSON": "session=s",
  null: "null",
  "a list": '["s"]',
  text: '"s"',
  "another field": '{"id":"s"}',
  "a session that is a number": '{"session":1}',
  "a session that is an object": '{"session":{"toString":"s"}}',
  "broken UTF-8": new Uint8Array([0x7b, 0xff, 0x7d]),
};
for (const [what, body] of Object.entries(badBodies)) {
  it(`a body with ${what} is 400`, async () => {
    const before = await census();
    const problem = await expectProblem(await post(new TestedRoom().path, { body }), "bad_resume");
    expect(problem.status).toBe(400);
    expect(problem.detail).toContain("session");
    expect(await census()).toBe(before);
  });
}

it("a body of more than 4 KiB is 413, whether its length is told or not", async () => {
  const before = await census();
  const { path } = new TestedRoom();
  const large = naming("s".repeat(4_096));
  const stream = new Blob([large]).stream();
  for (const body of [large, stream]) {
    expect((await expectProblem(await post(path, { body }), "too_large")).status).toBe(413);
  }
  expect(await census()).toBe(before);
  const fits = naming("s".repeat(4_096 - naming("").length));
  await expectProblem(await post(path, { body: fits }), "bad_resume");
});

it("D: a session id that cannot be one is malformed, and no room is asked", async () => {
  const before = await census();
  for (const id of ["", "a b", "s".repeat(65), "\u00e9"]) {
    await expectProblem(await post(new TestedRoom().path, { body: naming(id) }), "bad_resume");
  }
  expect(await census()).toBe(before);
});

it("only POST is answered, and only where there is a room", async () => {
  const headers = { authorization: `Bearer ${await sign("ann")}` };
  for (const method of ["GET", "PUT", "DELETE"]) {
    const request = new Request("http://edge.test/rooms/relay/x/session", { method, headers });
    expect((await expectProblem(await worker(request), "not_found")).status).toBe(404);
  }
  await expectProblem(await post("lobby/x", { body: naming("s") }), "not_found");
  await expectProblem(await post("__proto__/x", { body: naming("s") }), "not_found");
  await expectProblem(await post("relay/a%2Fb", { body: naming("s") }), "bad_room");
});

describe("from a web page", () => {
  const at = door({ origins: ["https://app.test"] });
  const { path } = new TestedRoom();
  const preflight = (origin: string) =>
    at(
      new Request(`http://edge.test/rooms/${path}/session`, {
        method: "OPTIONS",
        headers: {
          origin,
          "access-control-request-method": "POST",
          "access-control-request-headers": "authorization, content-type, x-other",
        },
      }),
    );
  const allowed = "access-control-allow-origin";

  it("a preflight of an allowed origin is answered with what it needs and no more", async () => {
    const { status, headers } = await preflight("https://app.test");
    expect(status).toBe(204);
    expect(headers.get(allowed)).toBe("https://app.test");
    expect(headers.get("access-control-allow-methods")).toBe("POST");
    expect(headers.get("access-control-allow-headers")).toBe("authorization,content-type");
    expect(headers.get("access-control-max-age")).toBe("600");
    expect(headers.get("access-control-allow-credentials")).toBeNull();
    expect(headers.get("vary")).toContain("Origin");
  });

  it("a preflight of another origin gets no permission", async () => {
    for (const origin of ["https://evil.test", "null", "https://app.test.evil.test"]) {
      expect((await preflight(origin)).headers.get(allowed)).toBeNull();
    }
  });

  it("an allowed page can read the answer, also when it is a refusal", async () => {
    const headers = { origin: "https://app.test" };
    const { welcome } = await Client.join(path);
    const good = await post(path, { at, headers, body: naming(welcome.session) });
    const refused = [
      await post(path, { at, headers, token: null, body: naming("s") }),
      await post(path, { at, headers, body: "x".repeat(5_000) }),
      await post(path, { at: door({ origins: ["https://app.test"] }, { AUTH_SECRET: "" }), headers }),
    ];
    expect(good.status).toBe(200);
    for (const response of [good, ...refused]) {
      expect(response.headers.get(allowed)).toBe("https://app.test");
      expect(response.headers.get("vary")).toContain("Origin");
      await response.body?.cancel();
    }
    expect(refused.map(({ status }) => status)).toEqual([401, 413, 503]);
  });

  it("another page is refused even if it asks without a preflight", async () => {
    const response = await post(path, { at, headers: { origin: "https://evil.test" }, body: naming("s") });
    expect(response.headers.get(allowed)).toBeNull();
    await expectProblem(response, "forbidden");
  });
});
