/** Promises 7 to 12 of docs/design.md: the one alarm, presence, identity, ends of tokens, secrets. */
import { listDurableObjectIds, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { sealUpgrade } from "../../src/room/admission.ts";
import { Client, sign, upgrade } from "../support/client.ts";
import { TestedRoom } from "../support/room.ts";

it("promise 7: an alarm is set whenever something is due, for the moment it is due", async () => {
  const room = new TestedRoom();
  const start = 1_800_000_000_000;
  room.stopClock(start);
  const { client, welcome } = await Client.join(room.path, { ttl: Math.floor(start / 1_000) + 3_600 });
  expect(await room.alarm()).toBe(start + 30_000);
  await client.close();
  await room.dropped(welcome.session);
  expect(await room.alarm(), "the grace").toBe(start + 10_000);
  await room.pass(10_000);
  expect(await room.alarm(), "the resume window").toBe(start + 3_600_000);
  await room.pass(3_590_000);
  expect(await room.alarm(), "nothing").toBeNull();
  expect(await room.sql("SELECT * FROM edgerooms_sessions")).toEqual([]);
});

it("promise 7: the nearest of several deadlines wins, and the next follows", async () => {
  const room = new TestedRoom("chat");
  const start = 1_800_000_000_000;
  room.stopClock(start);
  const { client } = await Client.join(room.path, { ttl: Math.floor(start / 1_000) + 25 });
  for (const [i, [name, after]] of [["late", 20_000] as const, ["soon", 5_000] as const].entries()) {
    client.send({ type: "call", ref: i + 1, method: "remind", data: { name, after } });
    await client.next("reply");
  }
  const due = [5_000, 20_000, 30_000, 35_000];
  for (const [i, moment] of due.slice(0, 3).entries()) {
    expect(await room.alarm()).toBe(start + moment);
    await room.pass(moment - (due[i - 1] ?? 0));
  }
  expect(client.items.map((item) => (item.data as { timer: string }).timer)).toEqual(["soon", "late"]);
});

it("promise 7: an alarm that runs twice, or late, or after an eviction, does everything once", async () => {
  const room = new TestedRoom();
  room.stopClock();
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const { client: bob, welcome } = await Client.join(room.path, { user: "bob" });
  await bob.close();
  await room.dropped(welcome.session);
  await room.pass(31_000);
  await ann.next("heartbeat");
  const seen = ann.frames.length;
  const before = await room.sql("SELECT * FROM edgerooms_sessions ORDER BY id");
  await room.ring();
  await room.evict();
  await room.ring();
  await runInDurableObject(room.stub, async (object) => object.alarm?.());
  expect(ann.frames).toHaveLength(seen);
  expect(await room.sql("SELECT * FROM edgerooms_sessions ORDER BY id")).toEqual(before);
  expect(ann.of("presence").filter((frame) => frame.leave)).toHaveLength(1);
  expect(await room.alarm()).not.toBeNull();
});

it("promise 7: a timer that throws cannot silence the room: it comes again, and everything else is done", async () => {
  const room = new TestedRoom("chat");
  room.stopClock();
  const { client } = await Client.join(room.path);
  for (const [ref, name] of [[1, "broken"] as const, [2, "fine"] as const]) {
    client.send({ type: "call", ref, method: "remind", data: { name, after: 1_000 } });
    await client.next("reply");
  }
  await room.pass(1_000);
  await client.until(() => client.items.length === 1);
  for (const wait of [2_000, 4_000, 8_000, 16_000]) {
    const tries = room.reports.length;
    await room.pass(wait);
    expect(room.reports.length).toBe(tries + 1);
  }
  expect(room.reports[0]).toContain("timer broke");
  expect(client.of("heartbeat")).toHaveLength(1);
  expect(await room.alarm()).not.toBeNull();
});

it("promise 7: an onLeave that throws in the alarm costs its own doing alone: all are told, all that is due is done", async () => {
  const room = new TestedRoom("chat");
  room.stopClock();
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  for (const user of ["clumsy", "dora"]) {
    const { client, welcome } = await Client.join(room.path, { user });
    await client.close();
    await room.dropped(welcome.session);
  }
  ann.send({ type: "call", ref: 1, method: "remind", data: { name: "tea", after: 10_000 } });
  await ann.next("reply");
  await room.pass(10_000);
  await ann.until(() => ann.of("presence").flatMap(({ leave }) => leave ?? []).length === 2);
  await ann.until(() => ann.items.some(({ data }) => JSON.stringify(data).includes("tea")));
  ann.send({ type: "call", ref: 2, method: "notes", data: null });
  await ann.until(() => ann.of("reply").length === 2);
  const notes = ann.of("reply").at(-1)?.data as string[];
  expect(notes).toContain("leave dora");
  expect(notes).toContain("timer tea");
  expect(notes).not.toContain("leave clumsy");
  expect(room.reports).toEqual(["onLeave: Error: leave broke"]);
  expect(await room.alarm()).not.toBeNull();
  await room.pass(1);
  expect(ann.of("presence").flatMap(({ leave }) => leave ?? [])).toHaveLength(2);
});

it("promise 7: an alarm that storage refuses is set again", async () => {
  const room = new TestedRoom();
  room.stopClock();
  const { client, welcome } = await Client.join(room.path);
  await client.close();
  await room.dropped(welcome.session);
  await room.sql("CREATE TRIGGER broken BEFORE INSERT ON edgerooms_sessions BEGIN SELECT RAISE(ABORT, 'disk'); END");
  await room.pass(10_000);
  expect(await room.alarm()).not.toBeNull();
  expect(room.reports).toHaveLength(1);
  await room.sql("DROP TRIGGER broken");
  await room.pass(30_000);
  expect(await room.sql("SELECT present FROM edgerooms_sessions")).toEqual([{ present: 0 }]);
});

it("promise 8: a member is announced once, however many tabs and drops", async () => {
  const room = new TestedRoom();
  room.stopClock();
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const tabs = [];
  for (let i = 0; i < 3; i++) tabs.push(await Client.join(room.path, { user: "bob" }));
  await ann.until(() => ann.of("presence").length === 1);
  for (const { client, welcome } of tabs) {
    await client.close();
    await room.dropped(welcome.session);
  }
  const { session, epoch } = tabs[0]?.welcome ?? { session: "", epoch: "" };
  // Back within the grace: nobody learns of the drop.
  await room.pass(9_000);
  const { client: back } = await Client.join(room.path, { user: "bob", session, epoch, offset: 0 });
  await room.pass(9_000);
  expect(ann.of("presence")).toHaveLength(1);
  await back.close();
  await room.dropped(session);
  await room.pass(11_000);
  await ann.until(() => ann.of("presence").length === 2);
  // Back after the grace: announced as coming again.
  await Client.join(room.path, { user: "bob", session, epoch, offset: 0 });
  await ann.until(() => ann.of("presence").length === 3);
  expect(ann.of("presence").map(({ join, leave }) => join?.map((m) => m.id) ?? leave)).toEqual([
    ["bob"],
    ["bob"],
    ["bob"],
  ]);
  expect(ann.of("presence").map((frame) => (frame.join ? "join" : "leave"))).toEqual(["join", "leave", "join"]);
});

it("promise 8: a kill is a drop like any other: announced once, after the grace", async () => {
  const room = new TestedRoom("chat");
  room.stopClock();
  const { welcome } = await Client.join(room.path, { user: "bob" });
  await room.abort();
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  expect(ann.of("welcome")[0]?.members.map((m) => m.id)).toEqual(["ann", "bob"]);
  await room.dropped(welcome.session);
  await room.pass(11_000);
  await ann.until(() => ann.of("presence").length === 1);
  expect(ann.of("presence")[0]?.leave).toEqual(["bob"]);
  await room.abort();
  await room.ring();
  await room.pass(11_000);
  const texts = (await room.sql("SELECT text FROM notes ORDER BY id")).map((row) => row["text"]);
  expect(texts).toEqual(["join bob", "join ann", "leave bob", "leave ann"]);
});

it("promise 9: no object exists for those who were refused", async () => {
  const count = async () => (await listDurableObjectIds(env.RELAY)).length;
  const before = await count();
  for (const options of [
    { token: "" },
    { token: "a.b.c" },
    { ttl: "-10m" },
    { headers: { origin: "https://evil.test" } },
  ]) {
    const room = new TestedRoom();
    const response = await upgrade(room.path, options);
    const client = new Client(response.webSocket as WebSocket);
    await client.next("bye");
    await client.until(() => client.closed !== undefined);
  }
  expect(await count()).toBe(before);
});

it("promise 9: a session id is worth nothing to another user, nor is anything a frame says", async () => {
  const room = new TestedRoom();
  const { client: ann, welcome } = await Client.join(room.path, { user: "ann" });
  await ann.publish(1, "mine");
  const { session, epoch } = welcome;
  const { client: eve, welcome: other } = await Client.join(room.path, { user: "eve", session, epoch, offset: 0 });
  expect(other).toMatchObject({ resumed: false, reason: "session_unknown", member: "eve", ref: 0 });
  expect(other.session).not.toBe(session);
  eve.send({ type: "publish", ref: 1, data: "as ann?", by: "ann", session } as never);
  await ann.until(() => ann.items.length === 2);
  expect(ann.items.at(-1)?.by).toBe("eve");
  expect(ann.closed).toBeUndefined();
  expect(ann.of("ack").map((ack) => ack.ref)).toEqual([1]);
});

it("promise 9: the room answers only requests that our Worker made", async () => {
  const room = new TestedRoom();
  const real = sealUpgrade({
    kind: "relay",
    room: room.name,
    credentials: { user: "eve", grants: ["join", "admin"], issued: 0, expires: Date.now() + 60_000 },
    requestId: "x",
    receivedAt: Date.now(),
    credit: false,
  });
  // What a careless route would pass on: everything of the client's, its address included.
  const passedOn = new Request("https://edge.test/rooms/relay/x", { headers: real.headers });
  const response = await room.stub.fetch(passedOn);
  expect(response.status).toBe(403);
  await response.body?.cancel();
});

it("promise 11: a token's end is the connection's end, and the session resumes with the next token", async () => {
  const room = new TestedRoom();
  room.stopClock();
  const { client, welcome } = await Client.join(room.path, { ttl: "20s" });
  expect(welcome.expires).toBeGreaterThan(Date.now());
  await room.pass(31_000);
  expect(await client.next("bye")).toMatchObject({ code: 4200, reason: "token_expired" });
  const { session, epoch } = welcome;
  const { welcome: again } = await Client.join(room.path, { session, epoch, offset: 0 });
  expect(again).toMatchObject({ session, resumed: true });
});

it("promise 11: a refresh in time keeps the connection, with the grants of the new token", async () => {
  const room = new TestedRoom();
  room.stopClock();
  const { client, welcome } = await Client.join(room.path, { ttl: "20s" });
  const credentials = { user: "ann", grants: ["join"] as const, issued: 0, expires: Date.now() + 120_000 };
  expect(await room.stub.refresh(welcome.session, { ...credentials, user: "eve" })).toMatchObject({
    code: "unknown_session",
  });
  expect(await room.stub.refresh(welcome.session, credentials)).toMatchObject({ ok: true });
  await room.pass(31_000);
  client.send({ type: "publish", ref: 1, data: "no longer allowed" });
  expect(await client.next("error")).toMatchObject({ ref: 1, code: "forbidden" });
  expect(client.of("bye")).toEqual([]);
  await room.pass(100_000);
  expect(await client.next("bye")).toMatchObject({ code: 4200 });
});

it("promise 11: a kick ends every session of the user, and a revocation the token too", async () => {
  const room = new TestedRoom();
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const token = await sign("bob");
  const one = await Client.join(room.path, { token });
  const two = await Client.join(room.path, { token });
  expect(await room.stub.kick("bob")).toEqual({ sessions: 2 });
  for (const { client } of [one, two]) expect(await client.next("bye")).toMatchObject({ code: 4410, reason: "kicked" });
  await ann.until(() => ann.of("presence").at(-1)?.leave?.[0] === "bob");
  const { client: again } = await Client.join(room.path, { token });
  await room.stub.revoke("bob");
  expect(await again.next("bye")).toMatchObject({ code: 4411, reason: "revoked" });
  await room.evict();
  const refused = new Client((await upgrade(room.path, { token })).webSocket as WebSocket);
  expect(await refused.next("bye")).toMatchObject({ code: 4411, reason: "revoked" });
});

it("promise 11: a client that was sent away is no longer listened to, even if it stays", async () => {
  const room = new TestedRoom();
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  const { client: bob } = await Client.join(room.path, { user: "bob" });
  bob.deaf = true;
  await room.stub.kick("bob");
  await bob.next("bye");
  bob.send({ type: "publish", ref: 1, data: "still here" });
  await ann.publish(1, "anyone?");
  expect(ann.items.map((item) => item.data)).toEqual(["anyone?"]);
  await bob.until(() => bob.closed !== undefined, "the server's own close");
  expect(bob.closed).toEqual({ code: 4410, reason: "kicked" });
});

it("promise 12: no stack, token or secret leaves in a frame, a response, a report or an attachment", async () => {
  const room = new TestedRoom("chat");
  const token = await sign("ann");
  const { client: ann, welcome } = await Client.join(room.path, { token });
  const { client: bob } = await Client.join(room.path, { user: "bob" });
  ann.send(
    { type: "publish", ref: 1, data: "throw" },
    { type: "publish", ref: 2, data: "loop" },
    { type: "call", ref: 1, method: "fail", data: null },
    { type: "call", ref: 2, method: "async", data: null },
    { type: "call", ref: 3, method: "__proto__", data: null },
  );
  await ann.until(() => ann.of("error").length === 2 && ann.of("reply").length === 3);
  const { body } = await upgrade("chat/no room!", { token });
  const response = body ? await new Response(body).text() : "";
  const attachments = await runInDurableObject(room.stub, (_room, state) =>
    state.getWebSockets().map((socket) => JSON.stringify(socket.deserializeAttachment())),
  );
  const said = [...ann.messages, ...bob.messages, ...room.reports, ...attachments, response].join("\n");
  expect(said).not.toContain(token);
  expect([...ann.messages, ...bob.messages].join("\n")).not.toContain("secret-of");
  expect(said).not.toMatch(/\n? +at .+:\d+:\d+/);
  expect(bob.messages.join("\n")).not.toContain(welcome.session);
  expect(attachments.join("\n")).not.toContain("ann");
});

it("promise 7: a state that cannot be read silences neither the alarm nor a caller", async () => {
  const room = new TestedRoom();
  const { client } = await Client.join(room.path);
  await room.sql("UPDATE edgerooms_sessions SET data = '{'");
  await room.evict();
  await room.ring();
  expect(await room.alarm()).not.toBeNull();
  client.send({ type: "publish", ref: 1, data: "anyone?" });
  await client.until(() => client.closed !== undefined);
  expect(client.closed?.code).toBe(4107);
  expect(room.reports.length).toBeGreaterThan(0);
});

it("promise 7: a timer that another timer of the same alarm moved does not run, and is not lost", async () => {
  const room = new TestedRoom("chat");
  room.stopClock();
  const { client } = await Client.join(room.path);
  for (const [ref, name, after] of [[1, "mover", 1_000] as const, [2, "moved", 1_001] as const]) {
    client.send({ type: "call", ref, method: "remind", data: { name, after } });
    await client.next("reply");
  }
  await room.pass(2_000);
  await client.until(() => client.items.length === 1);
  expect(await room.sql("SELECT name FROM edgerooms_jobs")).toEqual([{ name: "moved" }]);
  await room.pass(60_000);
  await client.until(() => client.items.length === 2);
  expect(client.items.map((item) => item.data)).toEqual([
    { timer: "mover", data: "data" },
    { timer: "moved", data: "later" },
  ]);
});

it("promise 7: a timer for a moment that no alarm can be set for harms nobody", async () => {
  const room = new TestedRoom("chat");
  const { client } = await Client.join(room.path);
  for (const [ref, after] of [[1, 1e300] as const, [2, -1e14] as const]) {
    client.send({ type: "call", ref, method: "remind", data: { name: `t${ref}`, after } });
    await client.next("reply");
  }
  await client.until(() => client.items.length === 1);
  expect(await room.alarm()).not.toBeNull();
  expect(room.reports).toEqual([]);
});

it("promise 11: a token that has run out is good for nothing, even before the alarm says so", async () => {
  const room = new TestedRoom();
  const now = Date.now();
  room.stopClock(now);
  const { client } = await Client.join(room.path, { ttl: "5s" });
  room.stopClock(now + 3_600_000);
  client.send({ type: "publish", ref: 1, data: "too late" });
  expect(await client.next("bye")).toMatchObject({ reason: "token_expired" });
  expect(await room.sql("SELECT * FROM edgerooms_log")).toEqual([]);
});

it("a clock that is set back stalls nobody", async () => {
  const room = new TestedRoom();
  const now = Date.now();
  room.stopClock(now);
  const { client } = await Client.join(room.path);
  await client.publish(1, "before");
  room.stopClock(now - 3_600_000);
  await client.publish(2, "after");
  await client.publish(3, "and on");
  expect(client.items).toHaveLength(3);
});
