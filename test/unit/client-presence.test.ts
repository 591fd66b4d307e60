/** The client's side of who is here, in virtual time: the list of members, what this one shows, and when it says so again. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { dialled, joined, snapshot } from "../support/dialled.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const turn = () => pass(0);

it("members are those who are here, by id, and follow joins, updates and leaves", async () => {
  const { client, line } = await joined();
  const lists: string[] = [];
  client.on("members", (members) => lists.push(members.map(({ id, data }) => `${id} ${JSON.stringify(data)}`).join()));
  line().hears({ type: "presence", join: [{ id: "cem" }, { id: "bob", data: 1 }] });
  line().hears({ type: "presence", update: [{ id: "bob", data: 2 }], leave: ["cem"] });
  line().hears({ type: "presence", members: [{ id: "dan" }] });
  expect(lists).toEqual(["ann undefined,bob 1,cem undefined", "ann undefined,bob 2", "dan undefined"]);
  expect(client.members).toEqual([{ id: "dan" }]);
});

it("presence is sent again in a new session or while the room has not shown it", async () => {
  const { client, line } = dialled();
  const shown = () =>
    line()
      .of("presence")
      .map(({ data }) => data);
  client.setPresence("one");
  await turn();
  line().welcome({}, snapshot);
  await turn();
  expect(shown()).toEqual(["one"]);
  // The room shows it: the same session need not be told again.
  line().hears({ type: "presence", update: [{ id: "ann", data: "one" }] });
  line().cut();
  await pass(10);
  line().welcome({ resumed: true, members: [{ id: "ann", data: "one" }] });
  await turn();
  expect(shown()).toEqual([]);
  // Sent, and the line breaks before the room shows it.
  client.setPresence("two");
  await turn();
  line().hears({
    type: "presence",
    update: [
      { id: "bob", data: "two" },
      { id: "ann", data: "one" },
    ],
  });
  line().cut();
  await pass(20);
  line().welcome({ resumed: true });
  await turn();
  expect(shown()).toEqual(["two"]);
  line().hears({ type: "presence", members: [{ id: "ann", data: "two" }] });
  line().cut();
  await pass(40);
  line().welcome({ session: "another" }, snapshot);
  await turn();
  expect(shown()).toEqual(["two"]);
});

it("R8: presence is sent again to a room that announced the leave meanwhile", async () => {
  const { client, line } = dialled();
  client.setPresence("one");
  await turn();
  line().welcome({}, snapshot);
  await turn();
  line().hears({ type: "presence", update: [{ id: "ann", data: "one" }] });
  line().cut();
  await pass(10);
  line().welcome({ resumed: true, members: [{ id: "ann" }] });
  await turn();
  expect(line().of("presence")).toEqual([{ type: "presence", data: "one" }]);
});

it("presence that turns out to be too large for the room is one error, not one for each connection", async () => {
  const { client, line, log } = dialled();
  client.setPresence("x".repeat(2_046));
  await pass(0);
  line().welcome();
  expect(log).toEqual(["connecting", "error too_large A frame is at most 2048 bytes.", "open"]);
  line().cut();
  await pass(10);
  line().welcome({ resumed: true });
  expect(log.filter((entry) => entry.startsWith("error"))).toHaveLength(1);
});

it("presence that the room refuses for good is an error event, and is not sent again", async () => {
  const { client, line, log } = await joined();
  client.setPresence("here");
  await turn();
  line().hears({ type: "error", frame: "presence", code: "rejected", message: "full", retryable: false });
  await pass(2_000);
  expect([log, line().of("presence").length]).toEqual([["error rejected full"], 1]);
  // The program may try it again, as after a hook that says "not now".
  line().pongs();
  client.setPresence("here");
  await turn();
  client.setPresence("here");
  await turn();
  expect(line().of("presence")).toHaveLength(2);
});

it.each([
  ["count", { members: [], count: 2 }],
  ["off", { members: [] }],
])("C3: T13: in a room whose presence is %s, what it refused is not sent again at each reconnect", async (_, shown) => {
  const { client, line, log } = dialled();
  client.setPresence("here");
  await turn();
  line().welcome(shown, snapshot);
  await turn();
  expect(line().of("presence")).toHaveLength(1);
  line().hears({ type: "error", frame: "presence", code: "rejected", message: "no list", retryable: false });
  for (const wait of [10, 20, 40]) {
    line().cut();
    await pass(wait);
    line().welcome({ resumed: true, ...shown });
    await turn();
    expect(line().of("presence")).toEqual([]);
  }
  expect(log.filter((entry) => entry.startsWith("error"))).toEqual(["error rejected no list"]);
  // It becomes one that lists its members.
  line().cut();
  await pass(50);
  line().welcome({ resumed: true, members: [{ id: "ann" }] });
  await turn();
  expect(line().of("presence")).toEqual([{ type: "presence", data: "here" }]);
});

it("a refusal that names no frame is an error event", async () => {
  const { line, log } = await joined();
  line().hears({ type: "error", code: "rejected", message: "presence is too large", retryable: false });
  expect(log).toEqual(["error rejected presence is too large"]);
});

it("a signal event names its sender", async () => {
  const { client, line } = await joined();
  const told: unknown[] = [];
  client.on("signal", (signal) => told.push(signal));
  line().hears({ type: "signal", by: "bob", data: { x: 1 } });
  expect(told).toEqual([{ by: "bob", data: { x: 1 } }]);
});
