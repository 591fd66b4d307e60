/** The client against the real room: tokens, codes that end it, silence, drains, failing on the way in. */
import { exports } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { connect, memoryStore, type ConnectOptions, type RoomClient } from "../../src/client/client.ts";
import type { Fetch } from "../../src/client/session/token.ts";
import { sign } from "../support/client.ts";
import { TestedRoom } from "../support/room.ts";
import { WorkerSocket } from "../support/worker-socket.ts";

const clients: RoomClient[] = [];
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  for (const client of clients.splice(0)) client.close();
});

/** Posts of new tokens go to the Worker under test, too. */
const fetch = (url: string, init: RequestInit) => exports.default.fetch(url, init);

function join(room: TestedRoom, options: Partial<ConnectOptions> = {}) {
  class Tap extends WorkerSocket {
    static last: Tap;
    static count = 0;
    /** Nothing is heard any more, nothing is said: a line that went dead without a word. */
    isDead = false;
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      Tap.last = this;
      Tap.count++;
    }
    override send(data: string): void {
      if (!this.isDead) super.send(data);
    }
    override addEventListener(type: string, listener: (event: { data?: unknown }) => void): void {
      super.addEventListener(type, (event) => this.isDead || listener(event));
    }
  }
  const client = connect("http://edge.test", {
    room: room.path,
    token: () => sign("ann"),
    WebSocket: Tap,
    fetch,
    random: () => 0.01,
    ...options,
  });
  clients.push(client);
  const log: string[] = [];
  client.on("error", ({ code, message }) => log.push(`error ${code} ${message}`));
  client.on("resumed", () => log.push("resumed"));
  client.on("reset", ({ reason }) => log.push(`reset ${reason}`));
  client.on("goaway", ({ within }) => log.push(`goaway ${within}`));
  client.on("state", (state) => {
    const what = state.name === "reconnecting" ? `${state.name} ${state.delay} ${state.reason}` : state.name;
    log.push(state.name === "closed" ? `closed ${state.reason}` : what);
  });
  return { client, Tap, log };
}

const until = (check: () => unknown) => vi.waitFor(check, { timeout: 4_000, interval: 2 });
const isOpen = (client: RoomClient) => until(() => expect(client.state.name).toBe("open"));

describe("the token", () => {
  it("is asked for before each attempt", async () => {
    let asked = 0;
    const token = () => sign("ann", { n: ++asked });
    const { client, Tap } = join(new TestedRoom(), { token });
    await isOpen(client);
    Tap.last.cut();
    await until(() => expect(Tap.count).toBe(2));
    await isOpen(client);
    expect(asked).toBe(2);
  });

  it("is replaced ahead of its end, and the connection stays", async () => {
    const room = new TestedRoom();
    const ends: number[] = [];
    const token = () => {
      ends.push(ends.length);
      return sign("ann", ends.length > 1 ? { name: "Ann the second" } : {}, "1h");
    };
    // By this clock the token ends in a second and a half.
    const now = () => Date.now() + 3_600_000 + 10_000 - 1_500;
    const { client, Tap, log } = join(room, { token, now });
    await isOpen(client);
    await until(() => expect(client.members).toEqual([{ id: "ann", name: "Ann the second" }]));
    expect([Tap.count, ends.length]).toEqual([1, 2]);
    expect(log).toEqual(["open", "reset new"]);
  });

  it("that cannot be replaced is told as an error, tried again, and the connection stays", async () => {
    const room = new TestedRoom();
    let asked = 0;
    const token = () => (++asked === 1 ? sign("ann") : Promise.reject(new Error("no network")));
    const { client, Tap, log } = join(room, { token, now: () => Date.now() + 3_610_000 - 2_500 });
    await until(() => expect(log).toContain("error token_expired Error: no network"));
    await isOpen(client);
    expect((await client.publish(1)).offset).toBe(1);
    expect(Tap.count).toBe(1);
  });

  it("that runs out while nobody replaces it brings a new one at once, and the session goes on", async () => {
    const room = new TestedRoom();
    room.stopClock();
    let asked = 0;
    const token = () => sign("ann", {}, ++asked === 1 ? "1h" : "3h");
    const { client, log } = join(room, { token });
    await client.publish(1);
    const { session } = client.position ?? {};
    await room.pass(3_620_000);
    await until(() => expect(log).toContain("resumed"));
    expect(log).toEqual(["open", "reset new", "connecting", "open", "resumed"]);
    expect([asked, client.position?.session]).toEqual([2, session]);
  });

  it("that is fixed and runs out is the end: there is no other", async () => {
    const room = new TestedRoom();
    room.stopClock();
    const { client, Tap, log } = join(room, { token: await sign("ann") });
    await client.publish(1);
    room.stopClock(Date.now() + 3_620_000);
    await room.ring();
    await until(() => expect(client.state).toEqual({ name: "closed", reason: "token_expired" }));
    expect([Tap.count, log.at(-1)]).toEqual([1, "closed token_expired"]);
  });

  it("function that fails is tried again later", async () => {
    let asked = 0;
    const token = () => (++asked < 3 ? Promise.reject(new Error("try later")) : sign("ann"));
    const { client, log } = join(new TestedRoom(), { token });
    expect((await client.publish(1)).offset).toBe(1);
    const why = "no token: Error: try later";
    expect(log.slice(0, 4)).toEqual([`reconnecting 10 ${why}`, "connecting", `reconnecting 20 ${why}`, "connecting"]);
  });

  it("function that never answers is given up after 30 s, and its late answer counts for nothing", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    let asked = 0;
    let answer: ((token: string) => void) | undefined;
    const token = () => (++asked === 1 ? new Promise<string>((resolve) => (answer = resolve)) : sign("ann"));
    const { client, Tap, log } = join(new TestedRoom(), { token });
    vi.advanceTimersByTime(29_999);
    expect(log).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(log).toEqual(["reconnecting 10 no token: too late"]);
    answer?.(await sign("ann"));
    vi.advanceTimersByTime(10);
    vi.useRealTimers();
    await isOpen(client);
    expect([asked, Tap.count]).toEqual([2, 1]);
  });

  it("that comes after close() opens nothing, and one that comes after close() and connect() opens one", async () => {
    const answers: ((token: string) => void)[] = [];
    const token = () => new Promise<string>((resolve) => answers.push(resolve));
    const { client, Tap, log } = join(new TestedRoom(), { token });
    client.close();
    client.connect();
    client.close();
    client.connect();
    const good = await sign("ann");
    for (const answer of answers) answer(good);
    await isOpen(client);
    expect([answers.length, Tap.count]).toEqual([3, 1]);
    expect(log).toEqual(["closed closed", "connecting", "closed closed", "connecting", "open", "reset new"]);
  });

  it("that comes back from the room after close() starts nothing again", async () => {
    let posts = 0;
    let answer: () => Promise<void> = () => Promise.resolve();
    const slow = (url: string, init: RequestInit) => {
      posts++;
      return new Promise<Awaited<ReturnType<Fetch>>>((resolve) => {
        answer = async () => {
          const response = await fetch(url, init);
          const body = await response.json();
          resolve({ ok: response.ok, status: response.status, json: () => Promise.resolve(body) });
        };
      });
    };
    const now = () => Date.now() + 3_610_000 - 1_200;
    const { client, log } = join(new TestedRoom(), { fetch: slow, now });
    await until(() => expect(posts).toBe(1));
    client.close();
    const timers = vi.spyOn(globalThis, "setTimeout");
    await answer();
    // Signing takes longer than a promise that is resolved already.
    await sign("somebody");
    // The next renewal would be a second away, at the least.
    expect(timers.mock.calls.filter(([, delay]) => delay === 1_000)).toEqual([]);
    timers.mockRestore();
    expect([posts, log.at(-1)]).toEqual([1, "closed closed"]);
  });
});

describe("final codes", () => {
  it.each([
    ["unauthorized", { token: "nonsense" }, "relay"],
    ["forbidden", { token: () => sign("ann", { rooms: { other: ["join"] } }) }, "relay"],
    ["forbidden", { token: () => sign("unwanted") }, "chat"],
    ["not_found", { room: "nothing/here" }, "relay"],
    ["bad_room", { room: "relay/a b" }, "relay"],
  ] as const)("%s stops for good, and rejects what waits", async (code, options, kind) => {
    const { client, Tap, log } = join(new TestedRoom(kind), options);
    const waiting = client.publish(1);
    await expect(waiting).rejects.toMatchObject({ code: "closed", retryable: false });
    expect(log).toHaveLength(1);
    expect(log[0]?.startsWith(`closed ${code}`)).toBe(true);
    expect([client.pending, Tap.count]).toEqual([0, 1]);
  });

  it.each(["kicked", "revoked"] as const)(
    "%s stops a running connection; connect() starts a new session",
    async (code) => {
      const room = new TestedRoom();
      // Issued before, also when a second passes in this test: a revocation is not for tokens to come.
      const iat = Math.floor(Date.now() / 1_000);
      const { client, Tap, log } = join(room, { token: () => sign("ann", { iat }) });
      await client.publish(1);
      await (code === "kicked" ? room.stub.kick("ann") : room.stub.revoke("ann"));
      await until(() => expect(client.state).toEqual({ name: "closed", reason: code }));
      client.close();
      expect(client.state).toEqual({ name: "closed", reason: code });
      expect(Tap.count).toBe(1);
      client.connect();
      if (code === "revoked") await until(() => expect(log.at(-1)).toMatch(/^closed revoked/));
      else {
        expect((await client.publish(2)).offset).toBe(2);
        expect(log).toContain("reset session_unknown");
      }
    },
  );
});

describe("a line", () => {
  it("that lasted is good again: no event, no other timer, and the next loss is the first", async () => {
    const real = globalThis.setTimeout;
    const rings: (() => void)[] = [];
    const take = (run: () => void, delay = 0) => (delay === 10_000 ? rings.push(run) : real(run, delay));
    vi.spyOn(globalThis, "setTimeout").mockImplementation(take as never);
    const { client, Tap, log } = join(new TestedRoom());
    for (const cuts of [1, 2]) {
      await until(() => expect(rings).toHaveLength(cuts));
      Tap.last.cut();
    }
    await until(() => expect(rings).toHaveLength(3));
    await isOpen(client);
    const before = log.length;
    rings.at(-1)?.();
    expect([rings.length, log.length]).toEqual([3, before]);
    Tap.last.cut();
    expect(log.filter((line) => line.startsWith("reconnecting")).map((line) => line.split(" ")[1])).toEqual([
      "10",
      "20",
      "10",
    ]);
  });

  it("stays over many heartbeats", async () => {
    const { client, Tap, log } = join(new TestedRoom("beat"));
    let beats = 0;
    client.on("latency", () => beats++);
    await until(() => expect(beats).toBeGreaterThan(4));
    expect([client.state.name, Tap.count, log]).toEqual(["open", 1, ["open", "reset new"]]);
  });

  it("that fails on the way in is tried five times, then left alone for a while, until connect()", async () => {
    let isUp = false;
    class Failing extends WorkerSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        if (!isUp) this.cut();
      }
      override addEventListener(type: string, listener: (event: object) => void): void {
        super.addEventListener(type, listener);
        if (!isUp && type === "error") listener({});
      }
    }
    const { client, log } = join(new TestedRoom(), { WebSocket: Failing, random: () => 0 });
    await until(() => expect(client.state).toMatchObject({ name: "suspended", delay: 30_000 }));
    expect(log.filter((line) => line.startsWith("reconnecting"))).toHaveLength(5);
    isUp = true;
    client.connect();
    expect((await client.publish(1)).offset).toBe(1);
  });
});

describe("the room", () => {
  it("says goaway before it restarts: the client stays to the end, waits, and resumes", async () => {
    const room = new TestedRoom();
    room.stopClock();
    const { client, log } = join(room);
    await client.publish(1);
    await room.stub.drain(20_000);
    await until(() => expect(log).toContain("goaway 20000"));
    expect((await client.publish(2)).offset).toBe(2);
    await room.pass(21_000);
    await until(() => expect(log).toContain("resumed"));
    expect(log.filter((line) => line.startsWith("reconnecting"))).toEqual(["reconnecting 10 restarting"]);
  });

  it("that is full or draining says when to come back, and is not asked before", async () => {
    const room = new TestedRoom();
    room.stopClock();
    await room.stub.drain(20_000);
    const { client, log } = join(room, { storage: memoryStore() });
    await until(() => expect(client.state.name).toBe("reconnecting"));
    expect(log).toEqual(["reconnecting 20010 draining"]);
  });
});
