/** The client against the real room: its answers, limits, people, tokens and last words, as both sides read them. */
import { describe, expect, it } from "vitest";
import { memoryStore, RoomError, type Json, type RoomClient } from "../../src/client/client.ts";
import { Client, sign } from "../support/client.ts";
import { isOpen, join } from "../support/joined.ts";
import { eventually } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";

const nested = (levels: number) => JSON.parse("[".repeat(levels) + "]".repeat(levels)) as Json;

describe("a publish", () => {
  it("a publish that the room refuses rejects with its code, and whether to try again", async () => {
    const { client } = join(new TestedRoom("chat"), "ann");
    const refused = client.publish("reject");
    await expect(refused).rejects.toBeInstanceOf(RoomError);
    await expect(refused).rejects.toMatchObject({ code: "rejected", retryable: false, message: "no such words here" });
    await expect(client.publish("throw")).rejects.toMatchObject({ code: "hook_failed", retryable: true });
    await expect(client.publish("x", { to: [] })).rejects.toMatchObject({ code: "bad_data", retryable: false });
    expect((await client.publish("shout")).offset).toBe(1);
    const reader = join(new TestedRoom(), "eve", { token: () => sign("eve", { rooms: { "*": ["join"] } }) });
    await expect(reader.client.publish("x")).rejects.toMatchObject({ code: "forbidden" });
  });

  it("more publishes than the room's burst go at its pace, in order, and none is refused", async () => {
    const { client, Tap, log, items } = join(new TestedRoom(), "ann");
    await isOpen(client);
    const refusals: unknown[] = [];
    Tap.last.addEventListener("message", ({ data }) => {
      if (String(data).includes("rate_limited")) refusals.push(data);
    });
    const order = Array.from({ length: 120 }, (_, n) => n);
    const acks = await Promise.all(order.map((n) => client.publish(n)));
    expect(acks.map(({ offset }) => offset)).toEqual(order.map((n) => n + 1));
    await eventually(() => expect(items).toEqual(order));
    expect([Tap.urls.length, refusals, log]).toEqual([1, [], ["reset new at 0"]]);
  });

  it("publishes that the room rate-limits are sent again, in order", async () => {
    const room = new TestedRoom();
    // On a slow machine the bucket would be full again before the first publication comes.
    room.stopClock();
    const { client, Tap, items } = join(room, "ann");
    await isOpen(client);
    const { last } = Tap;
    // Frames that the client knows nothing of use the bucket up, and more.
    for (let i = 0; i < 110; i++) last.send('{"type":"signal","data":1}');
    let refusals = 0;
    last.addEventListener("message", ({ data }) => {
      if (!/"error","ref":.*rate_limited|rate_limited.*"ref":/.test(String(data))) return;
      refusals++;
      room.startClock();
    });
    await Promise.all(Array.from({ length: 10 }, (_, n) => client.publish(n)));
    await eventually(() => expect(items).toEqual(Array.from({ length: 10 }, (_, i) => i)));
    expect(refusals).toBeGreaterThan(0);
    expect(Tap.urls).toHaveLength(1);
  });

  it("client and room agree on what is too large or too deep", async () => {
    const { client, Tap, log } = join(new TestedRoom("small"), "ann");
    await isOpen(client);
    const [before, large, umlauts, deep, after] = [
      client.publish("before"),
      client.publish("x".repeat(2_048)),
      client.publish("é".repeat(1_024)),
      client.publish(nested(31)),
      client.publish(nested(30)),
    ];
    await expect(large).rejects.toMatchObject({ code: "too_large", retryable: false });
    await expect(umlauts).rejects.toMatchObject({ code: "too_large" });
    await expect(deep).rejects.toMatchObject({ code: "bad_data", retryable: false });
    expect([(await before).offset, (await after).offset]).toEqual([1, 2]);
    expect((await client.publish("x".repeat(2_000))).offset).toBe(3);
    expect([Tap.urls.length, log]).toEqual([1, ["reset new at 0"]]);
  });
});

describe("a call", () => {
  it("a call gets its reply, the room's refusal, or unknown_method", async () => {
    const { client } = join(new TestedRoom("chat"), "ann");
    await isOpen(client);
    const calls = [
      client.call("add", [1, 2]),
      client.call("add", [3]),
      client.call("remind", { name: "t", after: 9e6 }),
    ];
    expect(await Promise.all(calls)).toEqual([3, 3, null]);
    await expect(client.call("refuse")).rejects.toMatchObject({ code: "rejected", retryable: true, retryAfter: 2_000 });
    await expect(client.call("fail")).rejects.toMatchObject({ code: "hook_failed" });
    await expect(client.call("none")).rejects.toMatchObject({ code: "unknown_method", retryable: false });
  });
});

describe("people", () => {
  it("signals reach the others, or only those in `to`", async () => {
    const room = new TestedRoom();
    const [ann, bob, cem] = ["ann", "bob", "cem"].map((user) => join(room, user).client) as [
      RoomClient,
      RoomClient,
      RoomClient,
    ];
    const got: unknown[] = [];
    for (const client of [ann, bob, cem]) await isOpen(client);
    bob.on("signal", ({ by, data }) => got.push(["bob", by, data]));
    cem.on("signal", ({ by, data }) => got.push(["cem", by, data]));
    ann.signal({ x: 1 });
    ann.signal("only cem", { to: ["cem"] });
    await eventually(() => expect(got).toHaveLength(3));
    expect(got).toEqual(
      expect.arrayContaining([
        ["bob", "ann", { x: 1 }],
        ["cem", "ann", { x: 1 }],
        ["cem", "ann", "only cem"],
      ]),
    );
  });

  it("T2: more signals than the room takes cost neither the connection nor a publish, and the last arrives", async () => {
    const room = new TestedRoom();
    const { client: other } = await Client.join(room.path, { user: "bob" });
    const { client, states } = join(room, "ann");
    await client.publish("first");
    for (let i = 0; i < 400; i++) client.signal(i);
    await client.publish("last");
    await other.until(() => other.items.length === 2 && other.of("signal").at(-1)?.data === 399);
    expect(other.of("signal").length).toBeGreaterThan(40);
    expect(other.of("signal").length).toBeLessThanOrEqual(100);
    expect(client.droppedSignals).toBe(400 - other.of("signal").length);
    expect(states).toEqual(["open"]);
  });

  it("members are those who are here, by id, and follow joins, updates and leaves", async () => {
    const room = new TestedRoom();
    const { client: bob } = join(room, "bob");
    await isOpen(bob);
    const { client: ann } = join(room, "ann");
    ann.setPresence("writing");
    await eventually(() => expect(bob.members).toEqual([{ id: "ann", data: "writing" }, { id: "bob" }]));
    ann.leave();
    await eventually(() => expect(bob.members).toEqual([{ id: "bob" }]));
  });

  it("the last presence is shown in the end, also when the line broke before it was sent", async () => {
    const room = new TestedRoom();
    const { client, Tap } = join(room, "ann");
    const shown = () => client.members.find(({ id }) => id === "ann")?.data;
    await isOpen(client);
    client.setPresence({ typing: true });
    await eventually(() => expect(shown()).toEqual({ typing: true }));
    Tap.last.isDead = true;
    client.setPresence({ typing: false });
    await eventually(() => expect(Tap.sent.at(-1)).toContain('"typing":false'));
    Tap.last.cut();
    await eventually(() => expect(shown()).toEqual({ typing: false }));
    expect(await room.stub.members()).toEqual([{ id: "ann", data: { typing: false } }]);
  });

  it("client and room agree on how large presence may be, and a burst of it is not refused", async () => {
    const { client, log, Tap } = join(new TestedRoom(), "ann");
    await isOpen(client);
    const shown = () => client.members.find(({ id }) => id === "ann")?.data;
    expect(() => client.setPresence("x".repeat(2_047))).toThrow("at most");
    client.setPresence("x".repeat(2_046));
    await eventually(() => expect(shown()).toHaveLength(2_046));
    for (let n = 0; n < 150; n++) client.setPresence(n);
    await eventually(() => expect(shown()).toBe(149));
    expect([Tap.urls.length, log.filter((entry) => entry.startsWith("error"))]).toEqual([1, []]);
  });
});

describe("a token", () => {
  it("a token is replaced over HTTP ahead of its end, and the connection stays", async () => {
    let asked = 0;
    const token = () => (++asked > 1 ? sign("ann", { name: "Ann the second" }, "2h") : sign("ann"));
    const room = new TestedRoom();
    // By the room's clock the token ends in a second and a half. What the client's says does not count.
    room.stopClock(Date.now() + 3_600_000 + 10_000 - 1_500);
    const { client, Tap, log, states } = join(room, "ann", { token, now: () => 0 });
    await eventually(() => expect(client.members).toEqual([{ id: "ann", name: "Ann the second" }]));
    expect([Tap.urls.length, asked, log, states]).toEqual([1, 2, ["reset new at 0"], ["open"]]);
  });

  it("a token that runs out brings a new one at once, and the session goes on", async () => {
    const room = new TestedRoom();
    room.stopClock();
    let asked = 0;
    const { client, log, states } = join(room, "ann", { token: () => sign("ann", {}, ++asked === 1 ? "1h" : "3h") });
    await client.publish(1);
    const { session } = client.position ?? {};
    await room.pass(3_620_000);
    await eventually(() => expect(log).toContain("resumed at 1"));
    expect([states, asked, client.position?.session]).toEqual([["open", "connecting", "open"], 2, session]);
  });

  it("a fixed token that runs out closes the client", async () => {
    const room = new TestedRoom();
    room.stopClock();
    const { client, Tap } = join(room, "ann", { token: await sign("ann") });
    await client.publish(1);
    room.stopClock(Date.now() + 3_620_000);
    await room.ring();
    await eventually(() =>
      expect(client.state).toMatchObject({ name: "closed", code: "token_expired", retryable: false }),
    );
    expect(Tap.urls).toHaveLength(1);
  });
});

describe("a final code", () => {
  it.each([
    ["unauthorized", { token: "nonsense" }, "relay"],
    ["forbidden", { token: () => sign("ann", { rooms: { other: ["join"] } }) }, "relay"],
    ["forbidden", { token: () => sign("unwanted") }, "chat"],
    ["not_found", { room: "nothing/here" }, "relay"],
    ["bad_room", { room: "relay/a b" }, "relay"],
  ] as const)("%s closes the client for good and rejects what waits", async (code, options, kind) => {
    const { client, Tap, states } = join(new TestedRoom(kind), "ann", options);
    await expect(client.publish(1)).rejects.toMatchObject({ code: "closed", retryable: false });
    expect(states).toHaveLength(1);
    expect(states[0]).toMatch(new RegExp(`^closed ${code}`));
    expect([client.pending, Tap.urls.length]).toEqual([0, 1]);
  });

  it.each(["kicked", "revoked"] as const)("%s closes a running client, until connect()", async (code) => {
    const room = new TestedRoom();
    // Issued before, also when a second passes in this test: a revocation does not hold for tokens to come.
    const iat = Math.floor(Date.now() / 1_000);
    const { client, Tap, log, states } = join(room, "ann", { token: () => sign("ann", { iat }) });
    await client.publish(1);
    await (code === "kicked" ? room.stub.kick("ann") : room.stub.revoke("ann"));
    await eventually(() => expect(client.state).toMatchObject({ name: "closed", code, retryable: false }));
    expect(Tap.urls).toHaveLength(1);
    client.connect();
    if (code === "revoked") await eventually(() => expect(states.at(-1)).toMatch(/^closed revoked/));
    else {
      expect((await client.publish(2)).offset).toBe(2);
      expect(log).toContain("reset session_unknown at 1");
    }
  });
});

describe("the room", () => {
  it("a client stays connected over many heartbeats", async () => {
    const { client, Tap, states } = join(new TestedRoom("heartbeat"), "ann");
    let answers = 0;
    client.on("latency", () => answers++);
    await eventually(() => expect(answers).toBeGreaterThan(3));
    expect([Tap.urls.length, states]).toEqual([1, ["open"]]);
  });

  it("on goaway the client stays to the end, waits, and resumes", async () => {
    const room = new TestedRoom();
    room.stopClock();
    const { client, log, states } = join(room, "ann");
    await client.publish(1);
    await room.stub.drain(20_000);
    await eventually(() => expect(log).toContain("goaway 20000"));
    expect((await client.publish(2)).offset).toBe(2);
    await room.pass(21_000);
    await eventually(() => expect(log.at(-1)).toBe("resumed at 2"));
    expect(states).toEqual(["open", "reconnecting 10 restarting", "connecting", "open"]);
  });

  it("a draining room says when to come back, and the client waits as long", async () => {
    const room = new TestedRoom();
    room.stopClock();
    await room.stub.drain(20_000);
    const { states } = join(room, "ann", { storage: memoryStore() });
    await eventually(() => expect(states).toEqual(["reconnecting 20010 draining"]));
  });
});
