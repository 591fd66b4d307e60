/** What a definition can do: hooks, methods, timers, deferred work, snapshots, and RPC from other Workers. */
import { expect, it } from "vitest";
import { Client, upgrade } from "../support/client.ts";
import { TestedRoom } from "../support/room.ts";

async function notes(room: TestedRoom): Promise<unknown[]> {
  return (await room.sql("SELECT text FROM notes ORDER BY id")).map((row) => row["text"]);
}

it("onPublish passes, rewrites and rejects", async () => {
  const { client } = await Client.join(new TestedRoom("chat").path);
  for (const [i, data] of ["plain", "shout", "reject"].entries()) client.send({ type: "publish", ref: i + 1, data });
  expect(await client.next("error")).toMatchObject({
    ref: 3,
    code: "rejected",
    message: "no such words here",
    retryable: false,
  });
  expect(client.items.map((item) => item.data)).toEqual(["plain", "SHOUT"]);
});

it("what a hook publishes comes after what caused it, in the room's own name", async () => {
  const { client } = await Client.join(new TestedRoom("chat").path);
  client.send({ type: "publish", ref: 1, data: "echo" });
  await client.until(() => client.items.length === 2);
  expect(client.items.map(({ by, data }) => [by, data])).toEqual([
    ["ann", "echo"],
    [null, "echoed"],
  ]);
});

it("deferred work starts after the commit and comes back as an event", async () => {
  const { client } = await Client.join(new TestedRoom("chat").path);
  await client.publish(1, "fetch");
  await client.until(() => client.items.length === 2);
  expect(client.items[1]).toMatchObject({ by: null, data: "fetched" });
});

it("timers survive a kill and run once", async () => {
  const room = new TestedRoom("chat");
  room.stopClock();
  const { client, welcome } = await Client.join(room.path);
  client.send({ type: "call", ref: 1, method: "remind", data: { name: "tea", after: 5_000 } });
  await client.next("reply");
  await room.abort();
  const { session, epoch } = welcome;
  const { client: back } = await Client.join(room.path, { session, epoch, offset: 0 });
  await room.pass(5_000);
  await back.until(() => back.items.length === 1);
  expect(back.items[0]).toMatchObject({ by: null, data: { timer: "tea", data: "data" } });
  await room.pass(60_000);
  expect(await notes(room)).toEqual(["join ann", "timer tea"]);
});

it("methods answer their callers, and failures say no more than that", async () => {
  const { client } = await Client.join(new TestedRoom("chat").path);
  const calls = { add: [1, 2, 3], who: null, fail: null, refuse: null, async: null, missing: null, toString: null };
  for (const [i, [method, data]] of Object.entries(calls).entries())
    client.send({ type: "call", ref: i + 1, method, data });
  await client.until(() => client.of("reply").length === 7);
  const [add, who, fail, refuse, async, missing, inherited] = client.of("reply");
  expect(add).toEqual({ type: "reply", ref: 1, data: 6 });
  expect(who?.data).toMatchObject({ id: "ann", requestId: expect.any(String), connectedAt: expect.any(Number) });
  for (const reply of [fail, async]) expect(reply?.error).toMatchObject({ code: "hook_failed", retryable: true });
  expect(refuse?.error).toMatchObject({ code: "rejected", message: "not today", retryAfter: 2_000, retryable: true });
  for (const reply of [missing, inherited]) expect(reply?.error?.code).toBe("unknown_method");
});

it("onJoin can refuse, and then nobody ever learns of it", async () => {
  const room = new TestedRoom("chat");
  const { client } = await Client.join(room.path);
  const refused = new Client((await upgrade(room.path, { user: "unwanted" })).webSocket as WebSocket);
  expect(await refused.next("bye")).toMatchObject({ code: 4403, reason: "forbidden" });
  await client.publish(1, "anyone?");
  expect(client.of("presence")).toEqual([]);
  expect(await room.sql("SELECT user FROM edgerooms_sessions")).toEqual([{ user: "ann" }]);
});

it("onJoin and onLeave run once per member, and the snapshot hook for every reset", async () => {
  const room = new TestedRoom("chat");
  room.stopClock();
  const one = await Client.join(room.path);
  expect(await one.client.next("snapshot")).toMatchObject({ data: { notes: 1 }, reason: "new" });
  const two = await Client.join(room.path);
  one.client.send({ type: "leave" });
  await one.client.next("bye");
  await two.client.close();
  await room.dropped(two.welcome.session);
  await room.pass(11_000);
  expect(await notes(room)).toEqual(["join ann", "leave ann"]);
});

it("server-side code publishes, signals, lists and kicks", async () => {
  const room = new TestedRoom();
  const { client } = await Client.join(room.path, { claims: { name: "Ann" } });
  interface Message {
    from: string;
  }
  const message: Message = { from: "server" };
  expect(await room.stub.publish(message), "T24: an interface needs no cast").toMatchObject({ offset: 1 });
  await client.until(() => client.items.length === 1);
  expect(client.items[0]).toMatchObject({ by: null, data: { from: "server" } });
  await room.stub.signal("boo", { to: ["ann"] });
  expect(await client.next("signal")).toEqual({ type: "signal", by: null, data: "boo" });
  expect(await room.stub.members()).toEqual([{ id: "ann", name: "Ann" }]);
  const failure = await room.stub.publish("x".repeat(1_200_000)).catch((error: unknown) => String(error));
  expect(failure).toContain("larger than the room accepts");
  expect(await room.stub.kick("nobody")).toEqual({ sessions: 0 });
});

it("signals reach who they are for, never their sender, and are not kept", async () => {
  const room = new TestedRoom();
  const [ann, bob, eve] = await Promise.all(
    ["ann", "bob", "eve"].map(async (user) => (await Client.join(room.path, { user })).client),
  );
  ann?.send({ type: "signal", data: "for bob", to: ["bob", "ann"] }, { type: "signal", data: "for all" });
  await eve?.next("signal");
  await ann?.publish(1, "done");
  expect(ann?.of("signal")).toEqual([]);
  expect(bob?.of("signal").map((signal) => signal.data)).toEqual(["for bob", "for all"]);
  expect(eve?.of("signal")).toEqual([{ type: "signal", by: "ann", data: "for all" }]);
});

it("R5: what JSON cannot carry, and an address to nobody, is refused without an alert", async () => {
  const room = new TestedRoom("chat");
  await Client.join(room.path);
  for (const data of [undefined, 10n]) {
    const failure = await room.stub.publish(data as never).catch((error: unknown) => String(error));
    expect(failure).toContain("JSON can carry");
  }
  expect(room.reports).toEqual([]);
  const failure = await room.stub.publish("x", { to: [] }).catch((error: unknown) => String(error));
  expect(failure).toContain("1 to 100 user ids");
});

it("a call whose answer cannot be written gets a reply that says so, and undoes itself", async () => {
  const room = new TestedRoom("chat");
  const { client } = await Client.join(room.path);
  client.send({ type: "call", ref: 1, method: "loop", data: null });
  expect((await client.next("reply")).error).toMatchObject({ code: "hook_failed" });
  expect(room.reports[0]).toContain("methods.loop");
  expect(await notes(room)).toEqual(["join ann"]);
});

it("what onJoin asks for is done, and callers that check no types are told or let be", async () => {
  const room = new TestedRoom("chat");
  const { client } = await Client.join(room.path, { user: "loud" });
  await client.until(() => client.items.length === 1);
  expect(client.items[0]).toMatchObject({ by: null, data: "loud is here" });
  await room.stub.publish("to all", { to: undefined } as never);
  const failure = await room.stub.publish("x", { to: "loud" } as never).catch((error: unknown) => String(error));
  expect(failure).toContain("array");
});
