/** The way of an upgrade to its room: addresses, manners of refusal, origins, and what of a request a room gets to see. */
import { describe, expect, it } from "vitest";
import type { CodeName } from "../../src/protocol/codes.ts";
import { SUBPROTOCOL } from "../../src/protocol/frames.ts";
import { sign, type Client } from "../support/client.ts";
import {
  census,
  door,
  enter,
  expectBye,
  expectProblem,
  expectRefused,
  ours,
  plain,
  worker,
  type Knock,
} from "../support/door.ts";
import { TestedRoom } from "../support/room.ts";

const path = (kind: "relay" | "chat" = "relay") => `/rooms/${new TestedRoom(kind).path}`;

async function call(client: Client, method: string) {
  client.send({ type: "call", ref: 1, method, data: null });
  return (await client.next("reply")).data;
}

describe("room names", () => {
  const good = ["a", "0", "team-7", "A.b_c~d:e@f-g", "a".repeat(128), "@", "...", "__proto__", "a%41", "%61%3A"];
  for (const name of good) {
    it(`${name.slice(0, 20)} is one`, async () => {
      const { welcome } = await enter(worker, `/rooms/relay/${name}`);
      expect(welcome.member).toBe("ann");
    });
  }

  it("a name with escapes is the same room as without", async () => {
    const { name } = new TestedRoom();
    const plainly = await enter(worker, `/rooms/relay/${name}:x`);
    const escaped = await enter(worker, `/rooms/relay/${name}%3ax`);
    expect(escaped.welcome.epoch).toBe(plainly.welcome.epoch);
  });

  const bad = {
    "129 characters": "a".repeat(129),
    "a slash in disguise": "a%2Fb",
    "a way up": "..%2f",
    "a way up and on": "..%2F..%2Fchat%2Fx",
    "an escape of an escape": "a%252Fb",
    "a broken escape": "a%zz",
    "half a character": "a%C3",
    "a space": "a%20b",
    "a line break": "a%0d%0aset-cookie:%20x",
    "a line break at the end": "a%0A",
    "a zero byte": "a%00",
    "letters beyond ASCII": "r%C3%BCm",
    "an emoji": "🙂",
    "a star": "a*",
    "a backslash in disguise": "a%5Cb",
  };
  for (const [what, name] of Object.entries(bad)) {
    it(`${what} is none`, async () => {
      const before = await census();
      const problem = await expectRefused(worker, `/rooms/relay/${name}`, {}, "bad_room");
      expect(problem.status).toBe(400);
      expect(await census()).toBe(before);
    });
  }

  for (const elsewhere of [
    "/rooms/relay/",
    "/rooms/relay/%2e%2e",
    "/rooms/relay",
    "/rooms/relay/a/",
    "/rooms/relay/a/b",
  ]) {
    it(`${elsewhere} is not the address of a room`, async () => {
      const before = await census();
      expect((await expectRefused(worker, elsewhere, {}, "not_found")).status).toBe(404);
      expect(await census()).toBe(before);
    });
  }
});

for (const kind of ["lobby", "RELAY", "__proto__", "constructor", "toString", "hasOwnProperty", "%5F%5Fproto__"]) {
  it(`${kind} is no kind of room`, async () => {
    expect((await expectRefused(worker, `/rooms/${kind}/a`, {}, "not_found")).status).toBe(404);
  });
}

describe("what is no upgrade to edgerooms.v1", () => {
  const cases: Record<string, Knock> = {
    "a plain GET": { headers: { upgrade: "" } },
    "an upgrade to something else": { headers: { upgrade: "h2c", "sec-websocket-protocol": SUBPROTOCOL } },
    "a WebSocket without a subprotocol": {},
    "a WebSocket of another version": { headers: { "sec-websocket-protocol": "edgerooms.v2, edgerooms.v10" } },
    "a WebSocket that only brings a token": { headers: { "sec-websocket-protocol": "bearer.edgerooms.v1" } },
  };
  for (const [what, knock] of Object.entries(cases)) {
    it(`${what} gets 426 and the name of what it needs`, async () => {
      const before = await census();
      const response = await plain(worker, path(), knock);
      expect(response.headers.get("upgrade")).toBe("websocket");
      const problem = await expectProblem(response, "wrong_protocol");
      expect(problem.status).toBe(426);
      expect(problem.title).toContain(SUBPROTOCOL);
      expect(await census()).toBe(before);
    });
  }

  for (const method of ["HEAD", "POST", "PUT", "OPTIONS"]) {
    it(`a ${method} that says upgrade opens nothing`, async () => {
      const before = await census();
      const response = await ours(door({}), path(), { method });
      expect(response.webSocket).toBeNull();
      expect(response.status).toBe(method === "HEAD" ? 426 : 404);
      await response.body?.cancel();
      expect(await census()).toBe(before);
    });
  }

  it("the case of the word websocket does not matter, nor the company of the subprotocol", async () => {
    for (const offered of [`chat, ${SUBPROTOCOL}`, `${SUBPROTOCOL},edgerooms.v2`, ` ${SUBPROTOCOL} `]) {
      const headers = { upgrade: "WebSocket", "sec-websocket-protocol": offered };
      expect((await enter(door({}), path(), { headers })).welcome.member).toBe("ann");
    }
  });

  it("a subprotocol header sent twice is one list", async () => {
    const headers = new Headers({ upgrade: "websocket", "sec-websocket-protocol": SUBPROTOCOL });
    headers.append("sec-websocket-protocol", `bearer.${await sign("ann")}`);
    const response = await worker(new Request(`http://edge.test${path()}`, { headers }));
    expect(response.status).toBe(101);
    response.webSocket?.accept();
    response.webSocket?.close(1000);
  });
});

for (const query of [
  "epoch=e&offset=1",
  "session=",
  "session=a%20b",
  `session=${"s".repeat(65)}`,
  "session=s&epoch=e",
  "session=s&offset=1",
  "session=s&epoch=e&offset=-1",
  "session=s&epoch=e&offset=1e3",
  "session=s&epoch=e&offset=9007199254740993",
  "session=s&epoch=e%0A&offset=1",
  "attempt=1",
  "attempt=a.b",
  "attempt=a%0A.1",
  "attempt=a.1234567890123456",
]) {
  it(`the resume request ${query.slice(0, 40)} is malformed, which is said before anything is asked`, async () => {
    const before = await census();
    expect((await expectRefused(worker, `${path()}?${query}`, {}, "bad_resume")).status).toBe(400);
    expect(await census()).toBe(before);
  });
}

const from = (origin: string): Knock => ({ headers: { origin } });
const origins = (vars: object) => [(vars as { ORIGIN: string }).ORIGIN];

describe("origins", () => {
  const at = door({ origins: ["https://app.test", "*.example.com"] });

  for (const origin of ["http://edge.test", "https://app.test", "https://a.example.com", "https://a.b.example.com"]) {
    it(`a page of ${origin} may connect`, async () => {
      expect((await enter(at, path(), from(origin))).welcome.member).toBe("ann");
    });
  }

  it("a program that sends no Origin may connect", async () => {
    expect((await enter(at, path())).welcome.member).toBe("ann");
  });

  for (const origin of [
    "null",
    "",
    "https://evil.test",
    "http://app.test",
    "https://app.test:8443",
    "https://app.test.evil.test",
    "https://example.com",
    "https://notexample.com",
    "http://a.example.com",
    "https://a.example.com.evil.test",
    "https://edge.test",
  ]) {
    it(`a page of ${JSON.stringify(origin)} may not, whatever its token`, async () => {
      const before = await census();
      expect((await expectRefused(at, path(), from(origin), "forbidden")).status).toBe(403);
      expect(await census()).toBe(before);
    });
  }

  it("the list may come from the environment, and without one only our own pages connect", async () => {
    const ask = from("https://app.test");
    const open = await enter(door({ origins }, { ORIGIN: "https://app.test" }), path(), ask);
    expect(open.welcome.member).toBe("ann");
    await expectRefused(door({ origins }, { ORIGIN: "https://other.test" }), path(), ask, "forbidden");
    await expectRefused(door({}), path(), ask, "forbidden");
  });
});

function admission(room: TestedRoom, user: string): string {
  const credentials = { user, grants: ["join", "admin"], issued: 0, expires: 9e15 };
  const { kind, name } = room;
  const all = { kind, room: name, requestId: "forged", receivedAt: 0, credit: false, credentials };
  return encodeURIComponent(JSON.stringify(all));
}

describe("an admission forged outside", () => {
  it("changes nothing about who comes in through the door", async () => {
    const room = new TestedRoom("chat");
    const headers = { "edgerooms-admission": admission(room, "bob"), "x-request-id": "00c0ffee" };
    const { client, welcome } = await enter(worker, `/rooms/${room.path}`, { headers });
    expect(welcome.member).toBe("ann");
    expect(await call(client, "who")).toMatchObject({ id: "ann", requestId: "00c0ffee" });
  });

  it("does not replace a token", async () => {
    const room = new TestedRoom();
    const headers = { "edgerooms-admission": admission(room, "bob") };
    const problem = await expectRefused(worker, `/rooms/${room.path}`, { token: null, headers }, "unauthorized");
    expect(problem.detail).toBe("There is no token.");
  });

  it("is refused by a room that a careless route lets outsiders reach", async () => {
    const room = new TestedRoom();
    for (const url of ["http://edge.test/", "https://edge.test/", "http://room.edgerooms.invalid/"]) {
      const headers = { upgrade: "websocket", "edgerooms-admission": admission(room, "bob") };
      const response = await room.stub.fetch(url, { headers });
      expect(response.status).toBe(403);
      expect(response.webSocket).toBeNull();
      expect(await response.json()).toEqual({ code: "forbidden" });
    }
    expect(await room.stub.members()).toEqual([]);
  });
});

describe("the request id", () => {
  it("that a proxy gave is in the problem, its header and what the room sees", async () => {
    const headers = { "x-request-id": "8f3e-A1b2" };
    const response = await plain(worker, path(), { token: null, headers });
    expect(response.headers.get("x-request-id")).toBe("8f3e-A1b2");
    expect((await expectProblem(response, "unauthorized")).requestId).toBe("8f3e-A1b2");
    const before = Date.now();
    const { client } = await enter(worker, path("chat"), { headers });
    const who = (await call(client, "who")) as { requestId: string; connectedAt: number };
    expect(who.requestId).toBe("8f3e-A1b2");
    expect(who.connectedAt).toBeGreaterThanOrEqual(before);
    expect(who.connectedAt).toBeLessThanOrEqual(Date.now());
  });

  for (const given of [
    undefined,
    "",
    "a b",
    "admin-login-ok",
    "8f3e_A1b=",
    "abc",
    "a".repeat(65),
    'a"}',
    "<script>",
    "a/b",
    "a".repeat(256),
  ]) {
    it(`is made when ${given === undefined ? "there is none" : `${given.slice(0, 10)} comes`}`, async () => {
      const headers: Record<string, string> = given === undefined ? {} : { "x-request-id": given };
      const response = await plain(worker, path(), { token: null, headers });
      const { requestId } = await expectProblem(response, "unauthorized");
      expect(requestId).toMatch(/^[0-9a-f-]{36}$/);
      expect(response.headers.get("x-request-id")).toBe(requestId);
      const { client } = await enter(worker, path("chat"), { headers });
      expect(await call(client, "who")).toMatchObject({
        requestId: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      });
    });
  }
});

it("what the room itself refuses is told in the same way", async () => {
  const client = await expectBye(await ours(worker, path("chat"), { token: await sign("unwanted") }), "forbidden");
  expect(client.closed?.code).toBe(4403);
});

it("the first thing wrong is what is told, in the order of docs/reference/protocol.md", async () => {
  const bad = { kind: "lobby", name: "a*", query: "?session=", headers: { upgrade: "", origin: "null" } };
  const noToken = { token: null };
  const noJoin = { token: await sign("ann", { rooms: {} }) };
  const steps: [path: string, knock: Knock, code: CodeName][] = [
    [`/rooms/${bad.kind}/${bad.name}${bad.query}`, { ...noToken, headers: bad.headers }, "wrong_protocol"],
    [`/rooms/${bad.kind}/${bad.name}${bad.query}`, { ...noToken, ...from("null") }, "bad_resume"],
    [`/rooms/${bad.kind}/${bad.name}`, { ...noToken, ...from("null") }, "not_found"],
    [`/rooms/relay/${bad.name}`, { ...noToken, ...from("null") }, "bad_room"],
    [path(), { ...noToken, ...from("null") }, "forbidden"],
    [path(), noToken, "unauthorized"],
    [path(), noJoin, "forbidden"],
    [path(), {}, "wrong_protocol"],
  ];
  for (const [address, knock, code] of steps) await expectProblem(await plain(worker, address, knock), code);
  expect((await enter(worker, path())).welcome.member).toBe("ann");
});
