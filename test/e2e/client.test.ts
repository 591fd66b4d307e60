/** The client in Node against the real `npm start`: real sockets, cut as networks cut them. */
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { connect, memoryStore, type Publication, type RoomClient } from "../../src/client/client.ts";
import { everyones } from "../support/own.ts";
import { eventually } from "../support/patience.ts";
import { randomFrom } from "../support/random.ts";
import { Server } from "./server.ts";

const server = new Server();
const fast = new Server(["--config", join(import.meta.dirname, "fast.toml")]);
const rooms: RoomClient[] = [];
beforeAll(async () => {
  await server.start();
  await fast.start();
});
afterEach(() => {
  for (const room of rooms.splice(0)) room.close();
});
afterAll(async () => {
  await server.stop();
  await fast.stop();
});

it("10,000 publishes by 5 clients, 200 cuts of the line: nothing lost, doubled or out of order", async () => {
  const start = Date.now();
  const [clients, each, cuts] = [5, 2_000, 200];
  const total = clients * each;
  const random = randomFrom(7);
  const sockets = new Set<WebSocket>();
  class Cuttable extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      sockets.add(this);
      this.on("close", () => sockets.delete(this));
    }
  }
  const seen: Publication[][] = [];
  const resets: string[] = [];
  const settled: [offset: number, n: number][][] = [];
  const failures: unknown[] = [];
  let received = 0;
  let done = 0;
  let resumes = 0;
  for (let i = 0; i < clients; i++) {
    const room: RoomClient = connect(fast.url, {
      room: "lines",
      token: () => fast.token(`user ${i}`),
      WebSocket: Cuttable,
      random: () => random() / 10,
    });
    rooms.push(room);
    seen.push([]);
    settled.push([]);
    room.on("reset", ({ reason }) => resets.push(reason));
    room.on("resumed", () => resumes++);
    room.on("state", ({ name }) => name === "suspended" && room.connect());
    room.on("publication", (item) => {
      seen[i]?.push(item);
      received++;
      // A cut that is due while nobody is connected comes as soon as somebody is.
      const due = Math.min(cuts, Math.floor((received * cuts) / (total * clients * 0.8)));
      if (done >= due) return;
      const alive = [...sockets].filter(({ readyState }) => readyState === WebSocket.OPEN);
      const victim = alive[Math.floor(random() * alive.length)];
      if (victim) done++;
      victim?.terminate();
    });
  }
  await eventually(() => expect(resets).toEqual(Array(clients).fill("new")));
  await Promise.all(
    rooms.map(async (room, i) => {
      for (let first = 1; first <= each; first += 50) {
        const acks = Array.from({ length: 50 }, (_, k) => {
          const n = first + k;
          return room.publish({ n }).then(
            ({ offset }) => settled[i]?.push([offset, n]),
            (error: unknown) => failures.push(error),
          );
        });
        await Promise.all(acks);
      }
    }),
  );
  await eventually(() => {
    expect(seen.map(({ length }) => length)).toEqual(Array(clients).fill(total));
    expect(settled.map(({ length }) => length)).toEqual(Array(clients).fill(each));
  });
  const log = (seen[0] ?? []).map(everyones);
  expect(log.map(({ offset }) => offset)).toEqual(Array.from({ length: total }, (_, i) => i + 1));
  for (const items of seen) expect(items.map(everyones)).toEqual(log);
  for (const [i, acks] of settled.entries()) {
    const own = log.filter(({ by }) => by === `user ${i}`);
    expect(own.map(({ data }) => data)).toEqual(Array.from({ length: each }, (_, k) => ({ n: k + 1 })));
    const offsets = own.map(({ offset }, k) => [offset, k + 1]);
    expect(acks.toSorted(([a], [b]) => a - b)).toEqual(offsets);
  }
  expect(failures).toEqual([]);
  expect(resets).toHaveLength(clients);
  expect(done).toBe(cuts);
  console.log(`e2e: ${total} publishes in ${Date.now() - start} ms; ${done} cuts, ${resumes} resumes`);
});

it("the platform's own WebSocket and fetch will do: publish, close, come back, refresh the token", async () => {
  const storage = memoryStore();
  let tokens = 0;
  const token = () => {
    tokens++;
    return server.token("ann", undefined, ttl);
  };
  let ttl = 3_600;
  const enter = () => {
    const room = connect(server.url, { room: "plain", token, storage });
    rooms.push(room);
    return room;
  };
  const one = enter();
  const errors: unknown[] = [];
  one.on("error", (error) => errors.push(error));
  expect(await one.publish("first")).toMatchObject({ offset: 1 });
  await eventually(() => expect(one.position).toMatchObject({ offset: 1 }));
  one.close();
  const two = enter();
  const resumed = new Promise((resolve) => two.on("resumed", resolve));
  expect(await two.publish("second")).toMatchObject({ offset: 2 });
  expect(await resumed).toMatchObject({ offset: 1 });
  two.close();
  // A second, and the ten that the server allows clocks to differ: the next token is due after three to six.
  ttl = 1;
  const before = tokens;
  const three = enter();
  three.on("error", (error) => errors.push(error));
  const states: string[] = [];
  three.on("state", ({ name }) => states.push(name));
  await eventually(() => expect(tokens).toBeGreaterThanOrEqual(before + 2));
  expect(await three.publish("third")).toMatchObject({ offset: 3 });
  expect(states).toEqual(["open"]);
  expect(errors).toEqual([]);
});

it("a crash of the whole server loses nothing that was published, acknowledged or not", async () => {
  // The server comes back on another port, as a room does on another machine: its address stays the same for clients.
  class Routed extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url.replace(/\/\/[^/]+/, `//${new URL(server.url).host}`), protocols);
    }
  }
  const token = await server.token("ann");
  const room = connect(server.url, {
    room: "crash",
    token: () => token,
    WebSocket: Routed,
    random: () => 0.1,
  });
  rooms.push(room);
  const items: Publication[] = [];
  const resets: string[] = [];
  room.on("publication", (item) => items.push(item));
  room.on("reset", ({ reason }) => resets.push(reason));
  const waiting = Array.from({ length: 90 }, (_, i) => room.publish(i + 1));
  await waiting[10];
  await server.kill();
  for (let n = 91; n <= 120; n++) waiting.push(room.publish(n));
  await server.start();
  room.connect();
  const acks = await Promise.all(waiting);
  const numbers = Array.from({ length: 120 }, (_, i) => i + 1);
  expect(acks.map(({ offset }) => offset)).toEqual(numbers);
  await eventually(() => expect(items).toHaveLength(120));
  expect(items.map(({ offset, data }) => [offset, data])).toEqual(numbers.map((n) => [n, n]));
  expect(resets).toEqual(["new"]);
});
