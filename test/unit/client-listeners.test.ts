/** What listeners and iterators of a client are told, and what happens when they throw, call back or close it. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Json, RoomClient } from "../../src/client/client.ts";
import { dialled, joined, pub, snapshot } from "../support/dialled.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const turn = () => pass(0);

it("a listener that throws does not stop the others, and its error is not swallowed", async () => {
  const { client, line } = await joined();
  const thrown: (() => void)[] = [];
  vi.spyOn(globalThis, "queueMicrotask").mockImplementation((run) => void thrown.push(run));
  client.on("goaway", () => {
    throw new Error("the program's own");
  });
  const after: number[] = [];
  client.on("goaway", ({ within }) => after.push(within));
  line().hears({ type: "goaway", within: 1 });
  line().hears({ type: "goaway", within: 2 });
  expect(after).toEqual([1, 2]);
  expect(thrown).toHaveLength(2);
  for (const run of thrown) expect(run).toThrow("the program's own");
});

it("a listener that publishes, calls and signals from within is served", async () => {
  const { client, line } = dialled();
  client.on("state", ({ name }) => name === "open" && void client.publish("open"));
  client.on("publication", ({ data }) => {
    void client.publish(data);
    client.signal(data);
    void client.call("add", data).catch(() => undefined);
  });
  await turn();
  line().welcome({}, snapshot);
  line().hears(pub(1, 1));
  await turn();
  expect(line().frames.map(({ type }) => type)).toEqual(["publish", "publish", "signal", "call"]);
});

it("C8: at the state open the members are those of the new connection", async () => {
  const { client, line } = dialled();
  const told: string[] = [];
  const here = () => client.members.map(({ id }) => id).join();
  client.on("state", ({ name }) => told.push(`${name} ${here()}`));
  client.on("members", () => told.push(`members ${here()}`));
  await turn();
  line().welcome({ members: [{ id: "ann" }, { id: "bob" }] }, snapshot);
  line().cut();
  await pass(10);
  line().welcome({ resumed: true, members: [{ id: "ann" }] });
  expect(told).toEqual([
    "open ann,bob",
    "members ann,bob",
    "reconnecting ann,bob",
    "connecting ann,bob",
    "open ann",
    "members ann",
  ]);
});

it.each([
  ["state", "session=s", []],
  ["members", "session=s", []],
  ["reset", "session=s&epoch=e&offset=0", []],
  ["publication", "session=s&epoch=e&offset=1", [1]],
] as const)(
  "a listener that closes the client in %s is called last, and connect() asks for the rest",
  async (event, resume, handed) => {
    const { client, line, items } = dialled();
    const told: string[] = [];
    for (const name of ["state", "members", "reset", "publication"] as const) client.on(name, () => told.push(name));
    client.on(event, () => {
      if (event === "state" && client.state.name !== "open") return;
      client.close();
      told.length = 0;
    });
    await turn();
    line().welcome({}, snapshot, pub(1, 2));
    // What it has done is told after what it was told.
    expect([client.state.name, told, items]).toEqual(["closed", ["state"], handed]);
    client.connect();
    await turn();
    expect(line().resume).toBe(resume);
  },
);

it("a listener that closes the client in resumed has been told of everything before", async () => {
  const { client, line, items } = await joined();
  line().cut();
  await pass(10);
  client.on("resumed", () => client.close());
  line().welcome({ resumed: true }, pub(1, 2));
  expect([client.state.name, items, client.position?.offset]).toEqual(["closed", [1, 2], 2]);
});

it("a listener that closes the client in a publication is not told that it resumed", async () => {
  const { client, line, log } = await joined();
  line().cut();
  await pass(10);
  client.on("publication", () => client.close());
  line().welcome({ resumed: true }, pub(1, 1));
  expect(log.slice(-2)).toEqual(["open", "closed closed"]);
});

it("a listener finds the position at the publication that it is given", async () => {
  const { client, line } = await joined();
  const seen: unknown[] = [];
  client.on("publication", ({ offset }) => seen.push([offset, client.position?.offset]));
  line().hears(pub(1, 2));
  expect(seen).toEqual([
    [1, 1],
    [2, 2],
  ]);
});

/** Reads until the iteration ends; `stop` says when to leave it. */
async function read(client: RoomClient, stop: (data: Json) => boolean): Promise<Json[]> {
  const seen: Json[] = [];
  for await (const { data } of client) {
    seen.push(data);
    if (stop(data)) break;
  }
  return seen;
}

it("for await gives every publication in order and ends when the client is closed", async () => {
  const { client, line } = await joined();
  const reading = read(client, (data) => (data === 3 && client.close(), false));
  line().hears(pub(1, 3));
  expect(await reading).toEqual([1, 2, 3]);
});

it("leaving a for await early leaves the client as it was", async () => {
  const { client, line, items } = await joined();
  const reading = read(client, () => true);
  line().hears(pub(1, 2));
  expect(await reading).toEqual([1]);
  line().hears(pub(3, 3));
  expect([items, client.state.name]).toEqual([[1, 2, 3], "open"]);
});

describe("C8: an iteration", () => {
  it("that is ended while it waits ends at once, and listens to nothing any more", async () => {
    const { client, line } = await joined();
    const stream = client[Symbol.asyncIterator]();
    const [first, second] = [stream.next(), stream.next()];
    expect(await stream.return()).toEqual({ done: true, value: undefined });
    expect(await first).toEqual({ done: true, value: undefined });
    expect(await second).toEqual({ done: true, value: undefined });
    line().hears(pub(1, 1));
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it("gives what came before the client was closed, and then ends, also for those who wait", async () => {
    const { client, line } = await joined();
    const stream = client[Symbol.asyncIterator]();
    const first = stream.next();
    line().hears(pub(1, 3));
    const others = [stream.next(), stream.next(), stream.next()];
    client.close();
    expect([await first, ...(await Promise.all(others))].map(({ value }) => value?.data)).toEqual([1, 2, 3, undefined]);
  });

  it("of a client that is closed is over before it begins", async () => {
    const { client } = await joined();
    client.close();
    expect(await client[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined });
    expect(await client.stream("reset").next()).toEqual({ done: true, value: undefined });
  });

  it("of several events gives them in their order, resets among them", async () => {
    const { client, line } = dialled();
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const { event, value } of client.stream("reset", "publication", "state"))
        seen.push(event === "state" ? value.name : event === "reset" ? value.reason : value.data);
    })();
    await turn();
    line().welcome({}, snapshot, pub(1, 1));
    line().hears(pub(2, 2));
    line().hears({ type: "snapshot", reason: "too_far", offset: 9, data: [] }, pub(10, 10));
    await turn();
    client.close();
    await reading;
    // The first `connecting` was before the loop began.
    expect(seen).toEqual(["open", "new", 1, 2, "too_far", 10, "closed"]);
  });
});

describe("C8: the state open", () => {
  it("has the members and the id of this member, and no listener hears of what follows before it", async () => {
    const { client, line } = dialled();
    const seen: unknown[] = [];
    client.on("state", ({ name }) => {
      if (name !== "open") return;
      seen.push(["open", client.me, client.members.map(({ id }) => id)]);
      client.close();
    });
    client.on("state", ({ name }) => seen.push(name));
    expect(client.me).toBeUndefined();
    await turn();
    line().welcome({ members: [{ id: "ann" }, { id: "bob" }] }, snapshot);
    expect(seen).toEqual([["open", "ann", ["ann", "bob"]], "open", "closed"]);
  });
});

describe("C13: ready", () => {
  it("resolves when the client is in the room, whether that is now or later", async () => {
    const { client, line } = dialled();
    const { ready } = client;
    await turn();
    line().welcome();
    await ready;
    await client.ready;
    line().cut();
    const again = client.ready;
    await pass(10);
    line().welcome({ resumed: true });
    await again;
    expect(client.state.name).toBe("open");
  });

  it("rejects when the client is closed first, with the code of that", async () => {
    const { client, line } = dialled();
    const { ready } = client;
    await turn();
    line().hears({ type: "bye", code: 4403, reason: "forbidden", message: "not you" });
    await expect(ready).rejects.toMatchObject({ code: "forbidden", message: "forbidden: not you", retryable: false });
    await expect(client.ready).rejects.toMatchObject({ code: "forbidden" });
    client.connect();
    const again = client.ready;
    client.close();
    await expect(again).rejects.toMatchObject({ code: "closed", retryable: true });
  });
});
