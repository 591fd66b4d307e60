/** What a program hands to the client's verbs: what JSON cannot carry is refused at the call, and nothing else with it. */
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { RoomClient } from "../../src/client/client.ts";
import { dialled, joined, snapshot } from "../support/dialled.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

class Point {
  x = 1;
}

const circle: { self?: unknown } = {};
circle.self = circle;

const SHARED = { a: 1 };

/** What would arrive as something else, or not at all. */
const BAD: readonly (readonly [string, unknown, RegExp])[] = [
  ["undefined", undefined, /"data" is \[object Undefined\]/],
  ["NaN", NaN, /"data" is NaN/],
  ["an infinite number", { far: -Infinity }, /"far" is -Infinity/],
  ["a BigInt", { id: 1n }, /BigInt/],
  ["a function", { run: () => 1 }, /Function/],
  ["a symbol", Symbol("s"), /Symbol/],
  ["a Map", new Map([[1, 2]]), /Map/],
  ["a Set", [new Set([1])], /Set/],
  ["a Uint8Array", new Uint8Array([1, 2]), /Uint8Array/],
  ["a Buffer, which has a toJSON", { bytes: Buffer.from("x") }, /Uint8Array/],
  ["a Float64Array", new Float64Array(1), /Float64Array/],
  ["an ArrayBuffer", new ArrayBuffer(2), /ArrayBuffer/],
  ["a Blob", new Blob(["x"]), /Blob/],
  ["a cycle", circle, /circular/],
  ["an instance of a class", new Point(), /Object/],
  ["an Error", new Error("x"), /Error/],
  ["a hole in a list", [1, undefined], /Undefined/],
  ["an invalid Date", new Date(NaN), /Date/],
  ["a toJSON that throws", { toJSON: () => Reflect.apply(JSON.parse, JSON, ["{"]) as unknown }, /JSON/],
];

const verbs: readonly (readonly [string, (client: RoomClient, data: never) => unknown])[] = [
  ["publish", (client, data) => client.publish(data)],
  ["call", (client, data) => client.call("method", data)],
  ["signal", (client, data) => client.signal(data)],
  ["setPresence", (client, data) => client.setPresence(data)],
];

describe.each(verbs)("%s", (verb, run) => {
  // A call without data is one with null.
  it.each(BAD.filter(([, data]) => verb !== "call" || data !== undefined))(
    `C5, T3: ${verb} refuses %s at the call`,
    async (_, data, message) => {
      const { client, line } = await joined();
      const error = await outcome(() => run(client, data as never));
      expect(error).toMatchObject({ name: "RoomError", code: "bad_data", retryable: false });
      expect(error.message).toMatch(message);
      await pass(100);
      expect([line().frames, client.pending]).toEqual([[], 0]);
    },
  );

  it.each([
    ["a date", { at: new Date(0) }, { at: "1970-01-01T00:00:00.000Z" }],
    ["undefined properties, which are left out", { a: 1, b: undefined }, { a: 1 }],
    ["an object without a prototype", Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    ["an object of another realm", runInNewContext("({ list: [1, { a: null }] })"), { list: [1, { a: null }] }],
    ["an instance that has a toJSON", new URL("https://a.test/"), "https://a.test/"],
    ["the same object twice", [verbs.length, BAD.length].map(() => SHARED), [SHARED, SHARED]],
    ["nothing", null, null],
  ])(`${verb} takes %s`, async (_, data, sent) => {
    const { client, line } = await joined();
    Promise.resolve(run(client, data as never)).catch(() => undefined);
    await pass(0);
    expect(line().frames).toMatchObject([{ data: sent }]);
    client.close();
  });
});

describe("what a room would answer with bad_frame", () => {
  const ids = (n: number) => Array.from({ length: n }, (_, i) => `user ${i}`);
  const trace = (parts: string) => ({ traceparent: parts });
  it.each<[string, (client: RoomClient) => unknown, string]>([
    ["no recipients", (client) => client.publish("x", { to: [] }), '"to" is invalid'],
    ["101 recipients", (client) => client.publish("x", { to: ids(101) }), '"to" is invalid'],
    ["a recipient without a name", (client) => client.publish("x", { to: [""] }), '"to" is invalid'],
    ["a recipient of 256 characters", (client) => client.publish("x", { to: ["x".repeat(256)] }), '"to" is invalid'],
    ["a recipient that is a number", (client) => client.publish("x", { to: [7 as never] }), '"to" is invalid'],
    ["recipients as text", (client) => client.publish("x", { to: "bob" as never }), '"to" is invalid'],
    ["recipients that are null", (client) => client.publish("x", { to: null as never }), '"to" is invalid'],
    ["a signal to nobody", (client) => client.signal("x", { to: [] }), '"to" is invalid'],
    ["a trace that is none", (client) => client.publish("x", trace("00-abc-01")), '"traceparent" is invalid'],
    ["an empty trace", (client) => client.publish("x", trace("")), '"traceparent" is invalid'],
    [
      "a trace of zeros",
      (client) => client.publish("x", trace(`00-${"0".repeat(32)}-00f067aa0ba902b7-01`)),
      '"traceparent" is invalid',
    ],
    ["a method without a name", (client) => client.call(""), '"method" is invalid'],
    ["a method of 65 characters", (client) => client.call("x".repeat(65)), '"method" is invalid'],
  ])("T25: %s is refused at the call", async (_, run, message) => {
    const { client, line } = await joined();
    const error = await outcome(() => run(client));
    expect(error).toMatchObject({ name: "RoomError", code: "bad_data", retryable: false });
    expect(error.message).toContain(message);
    await pass(100);
    expect([line().frames, client.pending]).toEqual([[], 0]);
  });

  it("T25: what the room takes is sent, data with properties of the same names too", async () => {
    const { client, line } = await joined();
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const data = { to: [], traceparent: "none", method: "" };
    client.publish(data, { to: ids(100), traceparent }).catch(() => undefined);
    client.signal(data, { to: undefined });
    client.call("x".repeat(64), data).catch(() => undefined);
    await pass(0);
    expect(line().frames).toMatchObject([
      { type: "publish", to: ids(100), traceparent, data },
      { type: "signal", data },
      { type: "call", method: "x".repeat(64), data },
    ]);
    client.close();
  });
});

it("T11: text of any length waits for the limit, and its promise rejects with nothing but a RoomError", async () => {
  const { client } = dialled({ outbox: { bytes: 1e9 } });
  // Before the welcome no limit is known. The characters that JSON escapes are those that a search might give up at.
  const large = client.publish('"a'.repeat(3_000_000)).catch((error: Error) => error.name);
  client.close();
  expect(await large).toBe("RoomError");
});

describe("presence that is refused at the call", () => {
  it("C5: it leaves the value before it, and the next session is not poisoned", async () => {
    const { client, line, log, items } = await joined();
    client.setPresence("good");
    await pass(0);
    for (const bad of [{ cursor: 1n }, circle, "x".repeat(2_047)]) {
      expect(() => client.setPresence(bad as never)).toThrow(expect.objectContaining({ name: "RoomError" }));
    }
    line().cut();
    await pass(10);
    line().welcome({ session: "another" }, { ...snapshot, offset: 5 });
    line().hears({ type: "pub", from: 6, upto: 6, items: [{ offset: 6, by: "bob", at: 1, data: "hi" }] });
    await pass(0);
    expect(line().frames).toEqual([{ type: "presence", data: "good" }]);
    expect([items, client.position?.offset, log.at(-1)]).toEqual([["hi"], 6, "reset new at 5"]);
  });
});

describe("what is too large", () => {
  it("T11: it is refused alone, and what follows arrives", async () => {
    const { client, line } = await joined();
    const refused = client.publish("x".repeat(3_000)).catch((error: { code: string }) => error.code);
    const edits = [1, 2, 3].map((n) => client.publish(n));
    await pass(0);
    line().hears(
      ...line().frames.map((frame) => ({ type: "ack", ref: "ref" in frame ? frame.ref : 0, offset: 1, at: 0 })),
    );
    expect([await refused, (await Promise.all(edits)).length]).toEqual(["too_large", 3]);
    expect(line().of("publish")).toMatchObject([{ data: 1 }, { data: 2 }, { data: 3 }]);
  });

  it("T11: before the first welcome it waits, and is refused alone once the limit is known", async () => {
    const { client, line } = dialled();
    const refused = client.publish("x".repeat(3_000)).catch((error: { code: string }) => error.code);
    client.publish("small").catch(() => undefined);
    await pass(0);
    line().welcome({}, snapshot);
    await pass(0);
    expect(await refused).toBe("too_large");
    expect(line().of("publish")).toMatchObject([{ data: "small" }]);
    client.close();
  });
});

/** What a verb throws, or rejects with at once. */
async function outcome(run: () => unknown): Promise<Error> {
  try {
    await Promise.race([run(), pass(100)]);
  } catch (error) {
    return error as Error;
  }
  throw new Error("it was taken");
}
