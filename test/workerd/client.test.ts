/** The client against the real room: sessions, what survives a cut, a reload, a copied tab. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { connect, memoryStore, type ConnectOptions, type Json, type RoomClient } from "../../src/client/client.ts";
import { Client, sign } from "../support/client.ts";
import { TestedRoom } from "../support/room.ts";
import { WorkerSocket } from "../support/worker-socket.ts";

const clients: RoomClient[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

/** A socket whose messages a test sees, and can keep from the client. */
function tap() {
  class Tap extends WorkerSocket {
    static last: Tap;
    static sent: string[] = [];
    static urls: string[] = [];
    static drops: (data: string) => boolean = () => false;

    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      Tap.last = this;
      Tap.urls.push(url);
    }
    override send(data: string): void {
      Tap.sent.push(data);
      super.send(data);
    }
    override addEventListener(type: string, listener: (event: { data?: unknown }) => void): void {
      super.addEventListener(type, (event) => {
        if (type !== "message" || !Tap.drops(String(event.data))) listener(event);
      });
    }
  }
  return Tap;
}

/** Joins as a program would, and notes what it is told. */
function join(room: TestedRoom, user: string, options: Partial<ConnectOptions> = {}) {
  const Tap = tap();
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
  client.on("resumed", ({ offset }) => log.push(`resumed at ${offset}`));
  client.on("reset", ({ reason, offset }) => log.push(`reset ${reason} at ${offset}`));
  client.on("error", ({ code }) => log.push(`error ${code}`));
  return { client, Tap, log, items };
}

const until = (check: () => unknown) => vi.waitFor(check, { timeout: 4_000, interval: 2 });
const isOpen = (client: RoomClient) => until(() => expect(client.state.name).toBe("open"));

describe("a cut", () => {
  it("a publish settles with its ack also when the ack was lost with the connection", async () => {
    const room = new TestedRoom();
    const { client, Tap, items, log } = join(room, "ann");
    await client.publish("before");
    Tap.drops = (data) => data.includes('"ack"');
    const crossing = client.publish("crossing");
    await until(async () => expect(await room.sql("SELECT 1 FROM edgerooms_log")).toHaveLength(2));
    expect(items).toEqual(["before"]);
    Tap.last.cut();
    Tap.drops = () => false;
    const after = client.publish("after");
    expect((await crossing).offset).toBe(2);
    expect((await after).offset).toBe(3);
    await until(() => expect(items).toEqual(["before", "crossing", "after"]));
    expect(log).toEqual(["reset new at 0", expect.stringMatching(/^resumed at [23]$/)]);
  });

  it("what was missed comes before `resumed`, once and in order", async () => {
    const room = new TestedRoom();
    let away: Promise<void> | undefined;
    const token = async () => (await away, sign("ann"));
    const { client, Tap, items, log } = join(room, "ann", { token });
    await client.publish(1);
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    let comeBack = () => {};
    away = new Promise((resolve) => (comeBack = resolve));
    const seen = new Promise((resolve) => client.on("resumed", () => resolve([...items])));
    Tap.last.cut();
    for (let ref = 1; ref <= 3; ref++) await bob.publish(ref, ref + 1);
    comeBack();
    expect(await seen).toEqual([1, 2, 3, 4]);
    expect(log).toEqual(["reset new at 0", "resumed at 4"]);
    await bob.publish(4, 5);
    await until(() => expect(items).toEqual([1, 2, 3, 4, 5]));
  });

  it("a log that forgot what was missed gives a snapshot, and unanswered publishes still settle", async () => {
    const room = new TestedRoom("small");
    const { client, Tap, items, log } = join(room, "ann");
    await client.publish("first");
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    // Away until everything is forgotten: the way back is cut, too.
    Tap.drops = () => true;
    Tap.last.cut();
    const late = client.publish("late");
    for (let ref = 1; ref <= 30; ref++) await bob.publish(ref, ref);
    const resets: unknown[] = [];
    client.on("reset", ({ data, reason }) =>
      resets.push([reason, (data as { data: Json }[]).map((item) => item.data)]),
    );
    Tap.last.cut();
    Tap.drops = () => false;
    client.connect();
    await late;
    await until(() => expect(items.at(-1)).toBe("late"));
    expect(resets).toHaveLength(1);
    expect(resets[0]).toEqual(["log_trimmed", expect.arrayContaining([30])]);
    expect(log.filter((line) => line.startsWith("reset"))).toHaveLength(2);
    expect(items.filter((item) => item === "late")).toHaveLength(1);
  });

  it("that outlives the session: what was sent is unknown, what was not goes on in the new one", async () => {
    const room = new TestedRoom();
    let away: Promise<void> | undefined;
    let comeBack = () => {};
    const token = async () => (await away, sign("ann"));
    const { client, Tap, log, items } = join(room, "ann", { token });
    await client.publish("before");
    Tap.drops = (data) => data.includes('"ack"');
    const sent = client.publish("sent");
    await until(async () => expect(await room.sql("SELECT 1 FROM edgerooms_log")).toHaveLength(2));
    away = new Promise((resolve) => (comeBack = resolve));
    Tap.last.cut();
    Tap.drops = () => false;
    await room.stub.kick("ann");
    const unsent = client.publish("unsent");
    comeBack();
    await expect(sent).rejects.toMatchObject({ code: "outcome_unknown", retryable: false });
    expect((await unsent).offset).toBe(3);
    expect(log).toEqual(["reset new at 0", "reset session_unknown at 2"]);
    await until(() => expect(items).toEqual(["before", "unsent"]));
  });
});

describe("storage", () => {
  it("a reload resumes: another client with the same storage goes on where the first one was", async () => {
    const room = new TestedRoom();
    const storage = memoryStore();
    const one = join(room, "ann", { storage });
    await one.client.publish(1);
    await until(() => expect(one.items).toEqual([1]));
    const { session } = one.client.position ?? {};
    one.client.close();
    await room.dropped(session ?? "");
    const two = join(room, "ann", { storage });
    expect((await two.client.publish(2)).offset).toBe(2);
    expect(two.log).toEqual(["resumed at 1"]);
    expect(two.client.position).toMatchObject({ session });
    await until(() => expect(two.items).toEqual([2]));
  });

  it("a reload in mid-flight continues the refs above those of the page before", async () => {
    const room = new TestedRoom();
    const storage = memoryStore();
    const one = join(room, "ann", { storage });
    await Promise.all([one.client.publish(1), one.client.publish(2)]);
    const two = join(room, "ann", { storage });
    expect(await Promise.all([two.client.publish(3), two.client.publish(4)])).toMatchObject([
      { offset: 3 },
      { offset: 4 },
    ]);
    const refs = [...two.Tap.sent.join().matchAll(/"ref":(\d+)/g)].map(([, ref]) => Number(ref));
    expect(refs).toHaveLength(2);
    expect(Math.min(...refs)).toBeGreaterThan(2);
  });

  it("two rooms in one storage do not mix", async () => {
    const storage = memoryStore();
    const [a, b] = [new TestedRoom(), new TestedRoom()];
    const one = join(a, "ann", { storage });
    const two = join(b, "ann", { storage });
    await Promise.all([one.client.publish(1), two.client.publish(2)]);
    await until(() => expect([one.items, two.items]).toEqual([[1], [2]]));
    expect(one.client.position?.session).not.toBe(two.client.position?.session);
    expect([one.log, two.log]).toEqual([["reset new at 0"], ["reset new at 0"]]);
  });

  it("nonsense in storage is a new session, not a refusal for good", async () => {
    const room = new TestedRoom();
    const storage = memoryStore();
    storage.set(`ws://edge.test/rooms/${room.path}`, '{"session":"a b","epoch":"é","offset":-1}');
    const { client, log } = join(room, "ann", { storage });
    expect((await client.publish(1)).offset).toBe(1);
    expect(log).toEqual(["reset new at 0"]);
  });

  it("the session of somebody else is a new session", async () => {
    const room = new TestedRoom();
    const storage = memoryStore();
    const ann = join(room, "ann", { storage });
    await ann.client.publish(1);
    await until(() => expect(ann.items).toEqual([1]));
    const bob = join(room, "bob", { storage });
    await isOpen(bob.client);
    expect(bob.log).toEqual(["reset session_unknown at 1"]);
    expect(bob.client.position?.session).not.toBe(ann.client.position?.session);
  });

  it("a copied tab takes over, the first one takes a new session, and both stay", async () => {
    const room = new TestedRoom();
    const [mine, copy] = [memoryStore(), memoryStore()];
    const one = join(room, "ann", { storage: mine });
    await one.client.publish(1);
    await until(() => expect(one.items).toEqual([1]));
    const key = `ws://edge.test/rooms/${room.path}`;
    copy.set(key, mine.get(key) ?? "");
    const { session } = one.client.position ?? {};
    const two = join(room, "ann", { storage: copy });
    await until(() => expect(one.log).toEqual(["reset new at 0", "reset new at 1"]));
    await Promise.all([one.client.publish(2), two.client.publish(3)]);
    await until(() =>
      expect([one.items, two.items]).toEqual([
        [1, 2, 3],
        [2, 3],
      ]),
    );
    expect(two.client.position?.session).toBe(session);
    expect(one.client.position?.session).not.toBe(session);
    expect([one.Tap.urls.length, two.Tap.urls.length]).toEqual([2, 1]);
    // Each tab reloads into its own.
    expect(mine.get(key)).toContain(one.client.position?.session);
    expect(copy.get(key)).toContain(session);
  });
});

describe("a gap", () => {
  it("is filled by one sync: a message that never came is asked for again", async () => {
    const room = new TestedRoom();
    const { client, Tap, items } = join(room, "ann");
    await isOpen(client);
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    let dropped = 0;
    Tap.drops = (data) => data.includes('"pub"') && dropped++ === 0;
    for (let ref = 1; ref <= 5; ref++) await bob.publish(ref, ref);
    await until(() => expect(items).toEqual([1, 2, 3, 4, 5]));
    expect(Tap.sent.filter((text) => text.includes("sync"))).toEqual(['{"type":"sync","offset":0}']);
  });

  it("that nothing else shows is found by the next heartbeat", async () => {
    const room = new TestedRoom("beat");
    const { client, Tap, items } = join(room, "ann");
    await isOpen(client);
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    let dropped = 0;
    Tap.drops = (data) => data.includes('"pub"') && dropped++ === 0;
    await bob.publish(1, "last words");
    await until(() => expect(items).toEqual(["last words"]));
    expect(Tap.sent).toContain('{"type":"sync","offset":0}');
    expect(Tap.urls).toHaveLength(1);
  });

  it("whose sync was lost is asked for again at the next heartbeat", async () => {
    const room = new TestedRoom("beat");
    const { client, Tap, items } = join(room, "ann");
    await isOpen(client);
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    let dropped = 0;
    Tap.drops = (data) => data.includes('"pub"') && dropped++ < 3;
    for (let ref = 1; ref <= 2; ref++) await bob.publish(ref, ref);
    await until(() => expect(items).toEqual([1, 2]));
    expect(Tap.sent.filter((text) => text.includes("sync")).length).toBeGreaterThanOrEqual(2);
    expect(Tap.urls).toHaveLength(1);
  });
});

describe("going", () => {
  it("leave() tells the others at once and forgets; what was said in the same turn arrives", async () => {
    const room = new TestedRoom();
    const storage = memoryStore();
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    const { client } = join(room, "ann", { storage });
    await isOpen(client);
    const states: string[] = [];
    client.on("state", (state) => states.push(state.name === "closed" ? `closed ${state.reason}` : state.name));
    const last = client.publish("farewell");
    client.leave();
    await expect(last).rejects.toMatchObject({ code: "outcome_unknown" });
    await bob.until(() => bob.of("presence").some(({ leave }) => leave?.includes("ann") === true));
    expect(bob.items.map(({ data }) => data)).toEqual(["farewell"]);
    expect(states).toEqual(["closed left"]);
    expect(storage).toEqual(new Map());
    expect(client.position).toBeUndefined();
    await expect(client.publish("late")).rejects.toMatchObject({ code: "closed", retryable: false });
  });

  it("leave() and connect() in one turn begin anew", async () => {
    const room = new TestedRoom();
    const { client, log } = join(room, "ann");
    await client.publish(1);
    const { session } = client.position ?? {};
    client.leave();
    client.connect();
    expect((await client.publish(2)).offset).toBe(2);
    expect(client.position?.session).not.toBe(session);
    expect(log).toEqual(["reset new at 0", "reset new at 1"]);
  });

  it("close() keeps the session: the others are not told, and connect() resumes", async () => {
    const room = new TestedRoom();
    const { client: bob } = await Client.join(room.path, { user: "bob" });
    const { client, log, items } = join(room, "ann");
    await client.publish(1);
    await until(() => expect(items).toEqual([1]));
    client.close();
    client.close();
    await bob.publish(1, "while away");
    client.connect();
    await until(() => expect(items).toEqual([1, "while away"]));
    expect(log).toEqual(["reset new at 0", "resumed at 2"]);
    expect(bob.of("presence").filter(({ leave }) => leave)).toEqual([]);
  });

  it("close() leaves no timer and no socket behind, at whatever moment it comes", async () => {
    const room = new TestedRoom();
    const moments: ((client: RoomClient) => Promise<unknown>)[] = [
      async () => undefined,
      async () => Promise.resolve(),
      async (client) => until(() => expect(client.state.name).toBe("open")),
      async (client) => Promise.all([client.publish(1), client.call("none").catch(() => undefined)]),
    ];
    const set = vi.spyOn(globalThis, "setTimeout");
    const clear = vi.spyOn(globalThis, "clearTimeout");
    try {
      for (const moment of moments) {
        const { client, Tap } = join(room, "ann", { random: () => 1 });
        await moment(client);
        const { last } = Tap as { last?: WorkerSocket };
        client.close();
        const { length } = Tap.urls;
        await sign("somebody");
        await until(() => expect(last?.readyState ?? 3).toBe(3));
        expect(client.state).toEqual({ name: "closed", reason: "closed" });
        expect(Tap.urls).toHaveLength(length);
      }
      const long = set.mock.results
        .filter((_, i) => (set.mock.calls[i]?.[1] ?? 0) > 5_000)
        .map(({ value }) => value as unknown);
      const cleared = new Set<unknown>(clear.mock.calls.map(([timer]) => timer));
      expect(long.length).toBeGreaterThan(0);
      expect(long.filter((timer) => !cleared.has(timer))).toEqual([]);
    } finally {
      set.mockRestore();
      clear.mockRestore();
    }
  });
});
