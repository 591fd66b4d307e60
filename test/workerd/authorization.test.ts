/** What a user may do in which room: the `rooms` claim, the deployer's own `authorize`, and what of it a room is told. */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { AppOptions, Caller } from "../../src/http/gate/options.ts";
import type { RoomAddress } from "../../src/http/request.ts";
import { Client, sign } from "../support/client.ts";
import { census, door, enter, expectRefused, ours, plain, worker } from "../support/door.ts";
import { TestedRoom } from "../support/room.ts";
import type { Env } from "../support/worker.ts";

type Authorize = NonNullable<AppOptions<Env>["authorize"]>;

/** Tries everything that a grant allows, with someone there to see it, and tells what worked. */
async function powers(ann: Client, room: TestedRoom): Promise<string[]> {
  const { client: bob } = await Client.join(room.path, { user: "bob" });
  ann.send(
    { type: "publish", ref: 1, data: "p" },
    { type: "signal", data: "s" },
    { type: "call", ref: 2, method: "add", data: [1, 2] },
  );
  const { error } = await ann.next("reply");
  await bob.publish(1, "what came before this has come");
  const refusals = [...ann.of("error"), ...(error ? [error] : [])];
  for (const refusal of refusals) expect(refusal).toMatchObject({ code: "forbidden", retryable: false });
  const worked = {
    publish: bob.items.some((item) => item.by === "ann"),
    signal: bob.of("signal").length === 1,
    call: error === undefined,
  };
  const names = Object.entries(worked).flatMap(([name, did]) => (did ? [name] : []));
  expect(refusals).toHaveLength(3 - names.length);
  return names;
}

/** An Authenticator of a deployer who does not use TypeScript. */
function authenticator(answer: unknown): NonNullable<AppOptions<Env>["auth"]> {
  return { tokenInUrl: false, verify: () => Promise.resolve(answer as never) };
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe("a rooms claim", () => {
  const cases: [string, unknown, string[]][] = [
    ["is not there leaves an ordinary member", undefined, ["publish", "signal", "call"]],
    ["only names join gives nothing else", { "chat/*": ["join"] }, []],
    ["names grants gives those", { "chat/*": ["join", "publish"] }, ["publish"]],
    [
      "matches with several patterns adds them up",
      { "*": ["join"], "chat/r*": ["signal"], "chat/?": ["call"] },
      ["signal"],
    ],
    ["names admin gives no more than it names", { "*": ["join", "admin"] }, []],
    ["says too much gives what there is", { "*/*": ["join", "call", "fly", 5, null] }, ["call"]],
  ];
  for (const [what, claim, expected] of cases) {
    it(`that ${what}`, async () => {
      const room = new TestedRoom("chat");
      const token = await sign("ann", { rooms: claim });
      const { client } = await enter(worker, `/rooms/${room.path}`, { token });
      expect(await powers(client, room)).toEqual(expected);
    });
  }

  it("can name one room alone", async () => {
    const [room, other] = [new TestedRoom("chat"), new TestedRoom("chat")];
    const token = await sign("ann", { rooms: { [room.path]: ["join"] } });
    expect((await enter(worker, `/rooms/${room.path}`, { token })).welcome.member).toBe("ann");
    await expectRefused(worker, `/rooms/${other.path}`, { token }, "forbidden");
    await expectRefused(worker, `/rooms/relay/${room.name}`, { token }, "forbidden");
  });

  const nothing: Record<string, unknown> = {
    "matches another kind": { "relay/*": ["join"] },
    "is empty": {},
    "grants nothing": { "chat/*": [] },
    "grants all but to join": { "chat/*": ["publish", "signal", "call", "admin"] },
    "is text": "chat/*",
    "is a list": ["join"],
    "is null": null,
    "is true": true,
    "has grants that are text": { "chat/*": "join" },
    "has grants that are an object": { "chat/*": { 0: "join", length: 1 } },
    "hides in prototype keys": JSON.parse('{"__proto__":["join"],"constructor":["join"],"chat/__proto__":["join"]}'),
    "writes grants in capitals": { "chat/*": ["JOIN"] },
  };
  for (const [what, claim] of Object.entries(nothing)) {
    it(`that ${what} lets nobody in, and no room wakes for it`, async () => {
      const before = await census();
      const token = await sign("ann", { rooms: claim });
      const problem = await expectRefused(worker, `/rooms/${new TestedRoom("chat").path}`, { token }, "forbidden");
      expect(problem.status).toBe(403);
      expect(await census()).toBe(before);
    });
  }
});

describe("authorize", () => {
  const knock = async (authorize: Authorize, claims = {}) => {
    const room = new TestedRoom("chat");
    const at = door({ authorize });
    return { room, ...(await enter(at, `/rooms/${room.path}`, { token: await sign("ann", claims, 4_000_000_000) })) };
  };

  it("is told who calls, with every claim and without admin, and where to", async () => {
    const heard: [string, Caller, RoomAddress][] = [];
    const authorize: Authorize = (c, caller, address) => heard.push([c.req.method, caller, address]) > 0;
    const iat = 1_700_000_000;
    const { room } = await knock(authorize, { name: "Ann", team: "blue", iat });
    await knock(authorize, { rooms: { "chat/*": ["admin", "join"] } });
    const [first, second] = heard;
    expect(first?.[0]).toBe("GET");
    expect(first?.[1]).toEqual({
      user: "ann",
      name: "Ann",
      grants: ["join", "publish", "signal", "call"],
      issued: iat * 1_000,
      expires: 4_000_000_010_000,
      claims: { sub: "ann", name: "Ann", team: "blue", iat, exp: 4_000_000_000 },
    });
    expect(first?.[2]).toEqual({ kind: "chat", room: room.name });
    expect(second?.[1].grants).toEqual(["join", "admin"]);
  });

  const lets: Record<string, Authorize> = {
    true: () => true,
    "a promise of true": () => Promise.resolve(true),
  };
  for (const [what, authorize] of Object.entries(lets)) {
    it(`lets in as the token says when it answers ${what}`, async () => {
      expect((await knock(authorize)).welcome.member).toBe("ann");
    });
  }

  const refuses: Record<string, Authorize> = {
    false: () => false,
    "a promise of false": () => Promise.resolve(false),
    "null, which only untyped code can": () => null as never,
    "nothing, as a map without the entry does": () => undefined as never,
    "a promise of nothing": (async () => {}) as never,
    "a word": () => "forbidden" as never,
    "a number": () => 1 as never,
    "credentials without join": (_c, caller) => ({ ...caller, grants: ["publish"] }),
  };
  for (const [what, authorize] of Object.entries(refuses)) {
    it(`refuses with forbidden when it answers ${what}, and no room wakes`, async () => {
      const before = await census();
      await expectRefused(door({ authorize }), `/rooms/${new TestedRoom("chat").path}`, {}, "forbidden");
      expect(await census()).toBe(before);
    });
  }

  it("replaces what the token says with the credentials it answers", async () => {
    const expires = Date.now() + 60_000;
    const authorize: Authorize = (_c, { issued }) =>
      Promise.resolve({ user: "guest-7", name: "Guest", grants: ["join", "signal"], issued, expires });
    const { room, client, welcome } = await knock(authorize);
    expect(welcome).toMatchObject({ member: "guest-7", expires, members: [{ id: "guest-7", name: "Guest" }] });
    expect(await powers(client, room)).toEqual(["signal"]);
  });

  const breaks: Record<string, Authorize> = {
    throws: () => {
      throw new Error("secret-of-authorize");
    },
    rejects: () => Promise.reject(new Error("secret-of-authorize")),
  };
  for (const [what, authorize] of Object.entries(breaks)) {
    it(`lets nobody in when it ${what}: 500 or 1011, and only the log has its message`, async () => {
      const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
      const before = await census();
      const token = await sign("ann");
      const problem = await expectRefused(
        door({ authorize }, { ENVIRONMENT: "production" }),
        "/rooms/chat/any",
        { token },
        "internal",
      );
      expect(problem.status).toBe(500);
      expect(JSON.stringify(problem)).not.toContain("secret-of-authorize");
      expect(await census()).toBe(before);
      const line = String(log.mock.lastCall?.[0]);
      expect(JSON.parse(line)).toMatchObject({ message: "Error: secret-of-authorize", requestId: problem.requestId });
      expect(line).not.toContain(token);
    });
  }
});

describe("credentials with an invalid field", () => {
  const ann = { user: "ann", issued: 0, expires: 4_000_000_000_000 };
  const doors: Record<string, Partial<AppOptions<Env>>> = {
    "expires: NaN of authorize": { authorize: (_c, caller) => ({ ...caller, expires: NaN }) },
    "an unknown grant of authorize": { authorize: (_c, caller) => ({ ...caller, grants: ["all" as never] }) },
    "expires: NaN of an Authenticator": { auth: authenticator({ ...ann, expires: NaN, claims: {} }) },
    "no claims of an Authenticator": { auth: authenticator(ann) },
    "nothing of an Authenticator": { auth: authenticator(undefined) },
    "an unknown code of an Authenticator": { auth: authenticator({ code: "nope" }) },
  };
  for (const [what, options] of Object.entries(doors)) {
    it(`such as ${what} refuse with hook_failed, are named in the log, and wake no room`, async () => {
      const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
      const before = await census();
      const at = door(options, { ENVIRONMENT: "production" });
      const problem = await expectRefused(at, `/rooms/${new TestedRoom("chat").path}`, {}, "hook_failed");
      expect(problem.detail).toBeUndefined();
      expect(await census()).toBe(before);
      expect(String(log.mock.lastCall?.[0])).toMatch(/"message":"HookFailed: (?:authorize|the Authenticator) re/);
    });
  }
});

it("a room is told what the token says and where to, and nothing else of the request", async () => {
  const room = new TestedRoom();
  const sealed: Request[] = [];
  const tapped = {
    getByName: (name: string) => ({
      fetch(request: Request) {
        sealed.push(request);
        return env.RELAY.getByName(name).fetch(request);
      },
    }),
  };
  const token = await sign("ann", { email: "claim-of-ann" });
  const headers = { cookie: "cookie-of-ann", "x-forwarded-for": "address-of-ann", "x-request-id": "0123-abcd" };
  const at = door({ authorize: (_c, caller) => ({ ...caller }) }, { RELAY: tapped });
  await enter(at, `/rooms/${room.path}?credit=1&extra=query-of-ann`, { token, headers });
  const [request] = sealed;
  expect(request?.url).toBe("https://room.edgerooms.invalid/");
  expect([...(request?.headers.keys() ?? [])].toSorted()).toEqual(["edgerooms-admission", "upgrade"]);
  const admission = JSON.parse(decodeURIComponent(request?.headers.get("edgerooms-admission") ?? "")) as object;
  expect(admission).toMatchObject({ kind: "relay", room: room.name, requestId: "0123-abcd", credit: true });
  expect(JSON.stringify(admission)).not.toMatch(/of-ann/);
  expect(JSON.stringify(admission)).not.toContain(token);
});

it("an authenticator of the deployer's own decides, and says when to come back", async () => {
  const refusal = { code: "unavailable", message: "The directory is away.", retryAfter: 1_500 } as const;
  const at = door({ auth: { tokenInUrl: false, verify: () => Promise.resolve(refusal) } });
  const response = await plain(at, "/rooms/chat/any");
  expect(response.status).toBe(503);
  expect(response.headers.get("retry-after")).toBe("2");
  expect(await response.json()).toMatchObject({ code: "unavailable", detail: refusal.message, retryAfter: 1_500 });
  const client = new Client((await ours(at, "/rooms/chat/any")).webSocket as WebSocket);
  const { message, retryAfter } = refusal;
  expect(await client.next("bye")).toEqual({ type: "bye", code: 4103, reason: "unavailable", message, retryAfter });
});
