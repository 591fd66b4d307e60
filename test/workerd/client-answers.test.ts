/** The client against the real room: refusals, limits, calls, signals, people, listeners. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { connect, RoomError, type ConnectOptions, type Json, type RoomClient } from "../../src/client/client.ts";
import { Client, sign } from "../support/client.ts";
import { TestedRoom } from "../support/room.ts";
import { WorkerSocket } from "../support/worker-socket.ts";

const clients: RoomClient[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

function join(room: TestedRoom, user: string, options: Partial<ConnectOptions> = {}) {
  class Tap extends WorkerSocket {
    static last: Tap;
    static sent: string[] = [];
    static count = 0;
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      Tap.last = this;
      Tap.count++;
    }
    override send(data: string): void {
      if (data !== "ping") Tap.sent.push(data);
      super.send(data);
    }
  }
  const client = connect("http://edge.test", {
    room: room.path,
    token: () => sign(user),
    WebSocket: Tap,
    random: () => 0.01,
    ...options,
  });
  clients.push(client);
  const log: string[] = [];
  const items: Json[] = [];
  client.on("publication", ({ data }) => items.push(data));
  client.on("error", ({ code }) => log.push(code));
  return { client, Tap, log, items };
}

const until = (check: () => unknown) => vi.waitFor(check, { timeout: 8_000, interval: 2 });
const isOpen = (client: RoomClient) => until(() => expect(client.state.name).toBe("open"));
const nested = (levels: number) => JSON.parse("[".repeat(levels) + "]".repeat(levels)) as Json;

describe("a publish", () => {
  it("that the room refuses rejects with its code, and whether and when to try again", async () => {
    const { client } = join(new TestedRoom("chat"), "ann");
    const refused = client.publish("reject");
    await expect(refused).rejects.toBeInstanceOf(RoomError);
    await expect(refused).rejects.toMatchObject({ code: "rejected", retryable: false, message: "no such words here" });
    await expect(client.publish("throw")).rejects.toMatchObject({ code: "hook_failed", retryable: true });
    await expect(client.publish("x", { to: [] })).rejects.toMatchObject({ code: "bad_frame", retryable: false });
    expect((await client.publish("shout")).offset).toBe(1);
    const reader = join(new TestedRoom(), "eve", { token: () => sign("eve", { rooms: { "*": ["join"] } }) });
    await isOpen(reader.client);
    await expect(reader.client.publish("x")).rejects.toMatchObject({ code: "forbidden" });
  });

  it("several of one turn are one message, in order", async () => {
    const { client, Tap, items } = join(new TestedRoom(), "ann");
    await isOpen(client);
    Tap.sent.length = 0;
    const acks = [client.publish(1), client.publish(2), client.publish(3)];
    await Promise.all(acks);
    const messages = Tap.sent.filter((text) => text.includes("publish")).map((text) => JSON.parse(text) as unknown);
    expect(messages).toEqual([[1, 2, 3].map((n) => ({ type: "publish", ref: n, data: n }))]);
    await until(() => expect(items).toEqual([1, 2, 3]));
  });

  it("before there is a connection waits for it", async () => {
    const { client } = join(new TestedRoom(), "ann");
    expect(client.state.name).toBe("connecting");
    expect((await client.publish(1)).offset).toBe(1);
  });

  it("300 at once in the default room all settle, in order, with nothing refused and nobody closed", async () => {
    const { client, Tap, log, items } = join(new TestedRoom(), "ann");
    await isOpen(client);
    const refusals: unknown[] = [];
    const order: number[] = [];
    Tap.last.addEventListener("message", ({ data }) => {
      if (String(data).includes("rate_limited")) refusals.push(data);
    });
    const start = Date.now();
    await Promise.all(
      Array.from({ length: 300 }, async (_, n) => {
        const { offset } = await client.publish(n);
        order.push(offset);
      }),
    );
    expect(order).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
    await until(() => expect(items).toEqual(Array.from({ length: 300 }, (_, i) => i)));
    // 200 more than the burst, at nine tenths of 50 a second.
    expect(Date.now() - start).toBeGreaterThan(3_500);
    expect([Tap.count, refusals, log]).toEqual([1, [], []]);
  });

  it("that is refused for the rate all the same is tried again when the room says so, in order", async () => {
    const room = new TestedRoom();
    const { client, Tap, items } = join(room, "ann");
    await isOpen(client);
    const { last } = Tap;
    // Frames that the client knows nothing of use the bucket up, and 20 more.
    for (let i = 0; i < 120; i++) last.send('{"type":"signal","data":1}');
    let refusals = 0;
    last.addEventListener("message", ({ data }) => {
      refusals += String(data).split('"ref":').length > 1 && String(data).includes("rate_limited") ? 1 : 0;
    });
    await Promise.all(Array.from({ length: 30 }, (_, n) => client.publish(n)));
    await until(() => expect(items).toEqual(Array.from({ length: 30 }, (_, i) => i)));
    expect(refusals).toBeGreaterThan(0);
    expect(Tap.count).toBe(1);
  });

  it("that is too large or too deep is rejected, and takes nothing else with it", async () => {
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
    await expect(deep).rejects.toMatchObject({ code: "bad_frame", retryable: false });
    expect([(await before).offset, (await after).offset]).toEqual([1, 2]);
    // Just small enough.
    expect((await client.publish("x".repeat(2_000))).offset).toBe(3);
    expect([Tap.count, log]).toEqual([1, []]);
  });

  it("past the outbox is rejected at once, and one after an ack is taken", async () => {
    const { client } = join(new TestedRoom(), "ann", { outbox: { count: 2, bytes: 100 } });
    const taken = [client.publish(1), client.publish(2)];
    await expect(client.publish(3)).rejects.toMatchObject({ code: "outbox_full", retryable: true });
    expect(client.pending).toBe(2);
    await Promise.all(taken);
    expect((await client.publish(4)).offset).toBe(3);
    await expect(client.publish("x".repeat(100))).rejects.toMatchObject({ code: "outbox_full", retryable: false });
  });
});

describe("a call", () => {
  it("gets its reply, or the room's refusal, or says that there is no such method", async () => {
    const { client } = join(new TestedRoom("chat"), "ann");
    await expect(client.call("add", [1, 2])).rejects.toMatchObject({ code: "not_connected", retryable: true });
    await isOpen(client);
    expect(
      await Promise.all([
        client.call("add", [1, 2]),
        client.call("add", [3]),
        client.call("remind", { name: "t", after: 9e6 }),
      ]),
    ).toEqual([3, 3, null]);
    await expect(client.call("refuse")).rejects.toMatchObject({ code: "rejected", retryable: true, retryAfter: 2_000 });
    await expect(client.call("fail")).rejects.toMatchObject({ code: "hook_failed" });
    await expect(client.call("none")).rejects.toMatchObject({ code: "unknown_method", retryable: false });
    await expect(client.call("add", 1n as never)).rejects.toThrow(TypeError);
  });

  it("is lost with its connection, and never sent twice", async () => {
    const room = new TestedRoom("chat");
    const { client, Tap } = join(room, "ann");
    await isOpen(client);
    const crossing = client.call("add", [1]);
    Tap.last.cut();
    await expect(crossing).rejects.toMatchObject({ code: "outcome_unknown" });
    await isOpen(client);
    expect(await client.call("add", [2])).toBe(2);
    expect(Tap.sent.filter((text) => text.includes("call"))).toHaveLength(1);
  });

  it("that is answered by an error, as when the room fails, is told so, and no publish takes it for its own", async () => {
    // What the room says of a call, in the words it has when it cannot tell frames apart.
    class Failing extends WorkerSocket {
      override addEventListener(type: string, listener: (event: { data?: unknown }) => void): void {
        const words = /\{"type":"reply","ref":(\d+),"error":\{([^}]*)\}\}/g;
        super.addEventListener(type, ({ data, ...event }) =>
          listener({ ...event, data: String(data).replace(words, '{"type":"error","ref":$1,$2}') }),
        );
      }
    }
    const { client } = join(new TestedRoom("chat"), "ann", { WebSocket: Failing });
    await isOpen(client);
    const publishes = [client.publish("one"), client.publish("two")];
    await expect(client.call("fail")).rejects.toMatchObject({ code: "hook_failed" });
    expect(await Promise.all(publishes)).toMatchObject([{ offset: 1 }, { offset: 2 }]);
  });

  it("that is too large or too deep is rejected, and the connection stays", async () => {
    const { client, Tap, log } = join(new TestedRoom("small"), "ann");
    await isOpen(client);
    await expect(client.call("x", "x".repeat(3_000))).rejects.toMatchObject({ code: "too_large" });
    await expect(client.call("x", nested(40))).rejects.toMatchObject({ code: "bad_frame" });
    client.signal("x".repeat(3_000));
    client.setPresence(nested(40));
    expect(log).toEqual(["too_large", "bad_frame"]);
    expect((await client.publish(1)).offset).toBe(1);
    expect(Tap.count).toBe(1);
  });
});

describe("people", () => {
  it("signals reach the others, or those they are for", async () => {
    const room = new TestedRoom();
    const [ann, bob, cem] = ["ann", "bob", "cem"].map((user) => join(room, user).client);
    const got: unknown[] = [];
    for (const client of [ann, bob, cem]) await isOpen(client as RoomClient);
    bob?.on("signal", ({ by, data }) => got.push(["bob", by, data]));
    cem?.on("signal", ({ by, data }) => got.push(["cem", by, data]));
    ann?.signal({ x: 1 });
    ann?.signal("only cem", { to: ["cem"] });
    await until(() => expect(got).toHaveLength(3));
    expect(got).toEqual(
      expect.arrayContaining([
        ["bob", "ann", { x: 1 }],
        ["cem", "ann", { x: 1 }],
        ["cem", "ann", "only cem"],
      ]),
    );
  });

  it("members are who is here, by id, and follow joins, updates and leaves", async () => {
    const room = new TestedRoom();
    const { client: bob } = join(room, "bob");
    await isOpen(bob);
    const lists: string[] = [];
    bob.on("members", (members) => lists.push(members.map(({ id, data }) => `${id}:${JSON.stringify(data)}`).join()));
    const { client: ann } = join(room, "ann");
    ann.setPresence("writing");
    await until(() => expect(bob.members).toEqual([{ id: "ann", data: "writing" }, { id: "bob" }]));
    ann.leave();
    await until(() => expect(bob.members).toEqual([{ id: "bob" }]));
    expect([lists[0], lists.at(-1)]).toEqual(["ann:undefined,bob:undefined", "bob:undefined"]);
  });

  it("presence is set again in a new session, and once it was set while there was no connection", async () => {
    const room = new TestedRoom();
    const { client, Tap } = join(room, "ann");
    client.setPresence("one");
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    const shown = () =>
      bob.frames.flatMap((frame) =>
        frame.type === "presence" ? [...(frame.join ?? []), ...(frame.update ?? [])] : [],
      );
    await until(() => expect(shown().at(-1)).toEqual({ id: "ann", data: "one" }));
    // The same session: the room has it, and is not told again.
    Tap.last.cut();
    await until(() => expect(Tap.count).toBe(2));
    await isOpen(client);
    await client.publish(1);
    expect(Tap.sent.filter((text) => text.includes("presence"))).toHaveLength(1);
    // While it is away.
    Tap.last.cut();
    client.setPresence("two");
    await until(() => expect(shown().at(-1)).toEqual({ id: "ann", data: "two" }));
    // Another session.
    client.leave();
    client.connect();
    await until(() => expect(Tap.sent.filter((text) => text.includes("presence"))).toHaveLength(3));
    await until(() => expect(client.members).toContainEqual({ id: "ann", data: "two" }));
  });

  it("presence that the room refuses is told as an error", async () => {
    const { client, log, Tap } = join(new TestedRoom(), "ann");
    await isOpen(client);
    client.setPresence("x".repeat(3_000));
    await until(() => expect(log).toEqual(["rejected"]));
    expect(Tap.count).toBe(1);
  });
});

describe("listeners", () => {
  it("one that throws stops nobody, and its error is not swallowed", async () => {
    const { client, items } = join(new TestedRoom(), "ann");
    const thrown: unknown[] = [];
    const catcher = (event: Event) => {
      thrown.push((event as ErrorEvent).error);
      event.preventDefault();
    };
    const real = globalThis.queueMicrotask;
    vi.spyOn(globalThis, "queueMicrotask").mockImplementation((run) =>
      real(() => {
        try {
          run();
        } catch (error) {
          catcher(Object.assign(new Event("error"), { error }));
        }
      }),
    );
    client.on("publication", () => {
      throw new Error("the program's own");
    });
    const after: Json[] = [];
    client.on("publication", ({ data }) => after.push(data));
    await client.publish(1);
    await client.publish(2);
    await until(() =>
      expect([items, after]).toEqual([
        [1, 2],
        [1, 2],
      ]),
    );
    expect(thrown.map(String)).toEqual(Array(2).fill("Error: the program's own"));
    vi.restoreAllMocks();
  });

  it("one that publishes, calls and signals from within is served", async () => {
    const { client, items } = join(new TestedRoom("chat"), "ann");
    const answers: unknown[] = [];
    client.on("state", ({ name }) => name === "open" && void client.publish(0));
    client.on("publication", ({ data }) => {
      if (typeof data !== "number" || data > 3) return;
      void client.publish(data + 1);
      client.signal(data);
      void client.call("add", [data, 1]).then((sum) => answers.push(sum));
    });
    await until(() => expect(items).toEqual([0, 1, 2, 3, 4]));
    await until(() => expect(answers).toEqual([1, 2, 3, 4]));
  });

  it.each(["state", "members", "reset", "publication", "resumed"] as const)(
    "one that closes the client in %s is the last that is told, and nothing is missed after connect()",
    async (event) => {
      const room = new TestedRoom();
      const { client: bob } = await Client.join(room.path, { user: "bob" });
      const { client, items, Tap } = join(room, "ann");
      const told: string[] = [];
      const isReturn = event === "resumed" || event === "publication";
      if (isReturn) {
        await isOpen(client);
        client.close();
      }
      bob.send({ type: "publish", ref: 1, data: 1 }, { type: "publish", ref: 2, data: 2 });
      await bob.until(() => bob.items.length === 2);
      for (const name of ["members", "reset", "publication", "resumed"] as const)
        client.on(name, () => told.push(name));
      const stop = client.on(event, () => {
        if (event === "state" && client.state.name !== "open") return;
        client.close();
        told.length = 0;
      });
      if (isReturn) client.connect();
      await until(() => expect(client.state.name).toBe("closed"));
      expect(told).toEqual([]);
      const handed = [...items];
      stop();
      await bob.publish(3, 3);
      let reset: Json = [];
      client.on("reset", ({ data }) => (reset = (data as { data: Json }[]).map((item) => item.data)));
      client.connect();
      await isOpen(client);
      await until(() => expect([...(reset as Json[]), ...items]).toEqual(event === "reset" ? [3] : [1, 2, 3]));
      if (event === "publication") expect(handed).toEqual([1]);
      expect(Tap.count).toBe(isReturn ? 3 : 2);
    },
  );

  it("for await gives every publication in order and ends with the client", async () => {
    const { client } = join(new TestedRoom(), "ann");
    const seen: Json[] = [];
    const reading = (async () => {
      for await (const { data } of client) {
        seen.push(data);
        if (data === 3) client.close();
      }
    })();
    for (const n of [1, 2, 3]) void client.publish(n).catch(() => undefined);
    await reading;
    expect(seen).toEqual([1, 2, 3]);
  });

  it("for await that is left early stops listening", async () => {
    const { client, items } = join(new TestedRoom(), "ann");
    void client.publish(1);
    void client.publish(2);
    for await (const { data } of client) {
      expect(data).toBe(1);
      break;
    }
    expect((await client.publish(3)).offset).toBe(3);
    await until(() => expect(items).toEqual([1, 2, 3]));
    expect(client.state.name).toBe("open");
  });
});
