/** Pages that want in with somebody else's help: origins in disguise, borrowed host names, headers of proxies. */
import { describe, expect, it } from "vitest";
import { Client, sign } from "../support/client.ts";
import { census, door, enter, expectProblem, expectRefused, plain, worker } from "../support/door.ts";
import { TestedRoom } from "../support/room.ts";

const path = () => `/rooms/${new TestedRoom().path}`;
const at = door({ origins: ["https://app.test"] });

describe("an origin in disguise", () => {
  const disguises = [
    "https://app.test:443/",
    "https://app.test@evil.test",
    "https://evil.test@app.test",
    "https://app.test.",
    "https://app.test%00.evil.test",
    "https://app.test\\.evil.test",
    "https://app.test#.evil.test",
    "https://xn--80a5aa.test",
    "ws://edge.test",
    "http://edge.test:80",
    "http://edge.test.",
    "http://EDGE.test:8080",
    "http://[::1]",
    "http://0.0.0.0",
    "blob:https://app.test/1",
    "chrome-extension://app.test",
    "NULL",
    "undefined",
  ];
  for (const origin of disguises) {
    it(`${JSON.stringify(origin)} is kept out, from an upgrade and from a refresh`, async () => {
      const before = await census();
      const headers = { origin };
      await expectRefused(at, path(), { headers }, "forbidden");
      const url = `http://edge.test${path()}/session`;
      const authorization = `Bearer ${await sign("ann")}`;
      const body = '{"session":"s"}';
      const post = new Request(url, { method: "POST", headers: { ...headers, authorization }, body });
      await expectProblem(await at(post), "forbidden");
      expect(await census()).toBe(before);
    });
  }
});

it("what a proxy says of host and scheme makes no page ours", async () => {
  const forwarded = {
    "x-forwarded-host": "evil.test",
    "x-forwarded-proto": "https",
    "x-original-host": "evil.test",
    "x-host": "evil.test",
    forwarded: "host=evil.test;proto=https",
    "x-original-url": "https://evil.test/",
    "x-rewrite-url": "https://evil.test/",
  };
  for (const origin of ["https://evil.test", "http://evil.test", "https://edge.test"]) {
    await expectRefused(worker, path(), { headers: { ...forwarded, origin } }, "forbidden");
  }
  const { welcome } = await enter(worker, path(), { headers: { ...forwarded, origin: "http://edge.test" } });
  expect(welcome.member).toBe("ann");
});

it("a page whose own name leads here by DNS passes for ours, and gets nothing without a token of its own", async () => {
  // Rebinding: evil.test has our address, so that Host and Origin agree. Nothing of the victim's comes along.
  const headers = { origin: "http://evil.test", cookie: `token=${await sign("ann")}` };
  const before = await census();
  const room = new TestedRoom();
  const problem = await expectRefused(
    worker,
    `http://evil.test/rooms/${room.path}`,
    { token: null, headers },
    "unauthorized",
  );
  expect(problem.detail).toBe("There is no token.");
  expect(await census()).toBe(before);
});

it("an answer to a page that may not read it has no permission to be read, whatever the method", async () => {
  for (const method of ["GET", "POST", "OPTIONS"]) {
    for (const place of [path(), `${path()}/session`, "/healthz", "/nowhere"]) {
      const response = await plain(at, place, { method, headers: { origin: "https://evil.test", upgrade: "" } });
      expect(response.headers.get("access-control-allow-origin"), `${method} ${place}`).toBeNull();
      expect(response.headers.get("access-control-allow-credentials"), `${method} ${place}`).toBeNull();
      await response.body?.cancel();
    }
  }
});

describe("names of rooms", () => {
  const tricks: Record<string, string> = {
    "wide letters": "%EF%BC%81%EF%BD%81",
    "letters that compose": "a%CC%88",
    "letters of another alphabet": "%D0%B0",
    "overlong UTF-8 of a slash": "a%C0%AF",
    "a zero byte in the middle": "a%00b",
    "a query in disguise": "a%3Fsession%3Dx",
    "a fragment in disguise": "a%23b",
    "a semicolon": "a;b",
    "a quote for SQL": "a'--",
    "a pattern of grants": "*",
    "a tab": "a%09b",
    "a delete": "a%7F",
    "a next line (C1)": "a%C2%85",
  };
  for (const [what, name] of Object.entries(tricks)) {
    it(`${what} are none, for an upgrade and for a refresh`, async () => {
      const before = await census();
      await expectRefused(worker, `/rooms/relay/${name}`, {}, "bad_room");
      const headers = { authorization: `Bearer ${await sign("ann")}` };
      const url = `http://edge.test/rooms/relay/${name}/session`;
      await expectProblem(await worker(new Request(url, { method: "POST", headers, body: "{}" })), "bad_room");
      expect(await census()).toBe(before);
    });
  }

  it("are told apart by case and by every dot", async () => {
    const { name } = new TestedRoom();
    const epochs = new Set<string>();
    for (const other of [name, name.toUpperCase(), `${name}.`, `.${name}`, `${name}..`]) {
      const { welcome } = await Client.join(`relay/${other}`);
      epochs.add(welcome.epoch);
    }
    expect(epochs.size).toBe(5);
  });

  it("of one kind lead to no room of another, whatever is in them", async () => {
    const room = new TestedRoom("chat");
    const { welcome } = await Client.join(room.path);
    for (const name of [room.name, `chat:${room.name}`, `..:chat:${room.name}`]) {
      const { welcome: other } = await Client.join(`relay/${name}`);
      expect(other.epoch).not.toBe(welcome.epoch);
    }
    expect(await room.stub.members()).toHaveLength(1);
  });
});
