/** A room under hostile members: what they cost in memory and time, what an honest member notices, what is left behind. */
import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Workerd } from "../serve/workerd.ts";
import { eventually, patience } from "../support/patience.ts";
import { Honest } from "./honest.ts";
import type { Orders } from "./hostile.ts";
import { check, counts, descriptors, memory, sign } from "./target.ts";
import { frame, Tcp } from "./tcp.ts";

/** One line of the table in docs/concepts/security.md. */
export interface Row {
  readonly attack: string;
  readonly sockets: number;
  readonly before: number;
  readonly after: number;
  readonly note: string;
}

const PROCESSES = 2;
/** Between two publications: no faster than the room's rate allows. */
const PACE_MS = 20;
/** Between two chunks for one that reads: at most so long, on an idle machine. */
const GAP_MS = 100;

/** Sends hostile members from several processes; resolves when all are in. */
async function sendIn(orders: Omit<Orders, "from">): Promise<ChildProcess[]> {
  const share = Math.ceil(orders.count / PROCESSES);
  const children: ChildProcess[] = [];
  const ready = Array.from({ length: PROCESSES }, async (_, i) => {
    const child = fork(join(import.meta.dirname, "hostile.ts"));
    children.push(child);
    const count = Math.min(share, orders.count - i * share);
    child.send({ ...orders, count, from: [2, 3, 4, 5, 6].map((n) => `127.0.0.${n}`) } satisfies Orders);
    const { opened, error } = await new Promise<{ opened: number; error?: string }>((resolve, reject) => {
      child.once("message", resolve);
      child.once("exit", (code) => reject(new Error(`a hostile process ended with ${code}`)));
    });
    if (error !== undefined) throw new Error(`${opened} of ${count} are in: ${error}`);
  });
  await Promise.all(ready).catch((error: unknown) => {
    for (const child of children) child.kill("SIGKILL");
    throw error;
  });
  return children;
}

/**
 * Many members that never read, and send garbage, floods, halves and nothing, while an honest one publishes to another.
 *
 * @param users how many users they are: one user can have many sessions
 */
export async function hostileRoom(workerd: Workerd, sockets: number, users: number, seconds: number): Promise<Row> {
  const room = `room/hostile-${sockets}-${users}`;
  const { port } = workerd;
  const ann = await Honest.join(port, room, await sign("ann"));
  const bob = await Honest.join(port, room, await sign("bob"));
  for (let i = 0; i < 20; i++) ann.publish();
  await eventually(() => bob.count === 20);
  const calm = ann.latency(0.5);
  ann.latencies.length = 0;
  const before = { memory: memory(workerd.pid), fds: descriptors(workerd.pid) };

  const publishing = setInterval(() => ann.publish(), 200);
  const started = performance.now();
  // Enough to come in with, and nothing more: what a stranger with a free account has.
  const tokens = await Promise.all(Array.from({ length: users }, (_, i) => sign(`hostile-${i}`, ["join"])));
  const children = await sendIn({ port, path: `/rooms/${room}`, tokens, count: sockets });
  const opened = (performance.now() - started) / 1_000;
  await pause(seconds * 1_000);
  const held = await counts(workerd, room);
  const after = memory(workerd.pid);
  clearInterval(publishing);
  const grown = after - before.memory;
  assert.ok(grown < 150 + sockets * 0.2, `${grown.toFixed(0)} MB more`);
  await eventually(() => ann.waiting === 0, { what: "honest publishes to come back", aloneMs: 10_000 });
  await eventually(() => bob.last === ann.last, { what: "both honest members to have everything" });
  assert.equal(ann.gap + bob.gap + ann.closed + bob.closed, "");

  for (const child of children) child.kill("SIGKILL");
  const gone = async () => {
    const left = await counts(workerd, room);
    assert.ok(left.sockets === 2 && left.connected === 2, `left behind: ${JSON.stringify(left)}`);
  };
  await eventually(gone, { aloneMs: 10_000, everyMs: 50 });
  // What the room closed first, this runtime lets go of when the room has slept (see "What is weaker"): ask it nothing.
  const free = () => {
    const left = descriptors(workerd.pid) - before.fds;
    assert.ok(left <= 20, `${left} descriptors are left`);
  };
  await eventually(free, { aloneMs: 15_000, everyMs: 50 });
  const { sessions } = await counts(workerd, room);
  assert.ok(sessions <= 2 + 10 * users, `${sessions} sessions are left of ${users} users`);
  ann.publish();
  await eventually(() => ann.waiting === 0 && bob.last === ann.last, { what: "life to go on" });
  const note =
    `all in after ${opened.toFixed(1)} s; the room held ${held.sockets} sockets, ${held.connected} of them members; ` +
    `honest publish p50 ${ann.latency(0.5)} ms, p99 ${ann.latency(0.99)} ms (alone ${calm} ms), none missed; ` +
    `after they were gone 2 sockets, ${sessions} sessions`;
  ann.close();
  bob.close();
  return { attack: `mixed, ${users} users`, sockets, before: before.memory, after, note };
}

/** Members that never read while a member says as much as it may: what waits for each is bounded. */
export async function unreadRoom(workerd: Workerd, sockets: number): Promise<Row> {
  const room = `room/unread-${sockets}`;
  const { port } = workerd;
  const ann = await Honest.join(port, room, await sign("ann"));
  const before = memory(workerd.pid);
  const deaf = [];
  for (let i = 0; i < sockets; i++) {
    const { tcp } = await Tcp.upgrade({ port, path: `/rooms/${room}`, token: await sign(`deaf-${i}`, ["join"]) });
    tcp.socket.pause();
    deaf.push(tcp);
  }
  let most = 0;
  // Twice what the backlog bound, the kernel's buffers included, lets anyone leave unread.
  for (let said = 0; said < 24 * 1_048_576; said += 60_000) {
    ann.publish("y".repeat(60_000));
    await eventually(() => ann.waiting < 4);
    await pause(PACE_MS);
    most = Math.max(most, memory(workerd.pid));
  }
  await eventually(() => ann.waiting === 0);
  assert.equal(ann.gap + ann.closed, "");
  const { connected } = await counts(workerd, room);
  assert.equal(connected, 1, "who does not read is given up");
  for (const tcp of deaf) tcp.destroy();
  await eventually(async () => (await counts(workerd, room)).sockets === 1, { what: "gone sockets to be released" });
  ann.close();
  const each = (most - before) / sockets;
  assert.ok(each < 16, `${each.toFixed(1)} MB for each`);
  return { attack: "never read, 24 MB said", sockets, before, after: most, note: "all were given up as slow" };
}

/** The largest message that the runtime takes, left half sent by each: the runtime keeps the halves, the room sees none. */
export async function halfMessages(workerd: Workerd, sockets: number): Promise<Row> {
  const { port } = workerd;
  const before = memory(workerd.pid);
  const halves = [];
  for (let i = 0; i < sockets; i++) {
    const { tcp } = await Tcp.upgrade({ port, path: "/rooms/room/halves", token: await sign("eve", ["join"]) });
    await new Promise((resolve) => tcp.socket.write(frame(Buffer.alloc(15 * 1_048_576), 1, 30 * 1_048_576), resolve));
    halves.push(tcp);
  }
  const ann = await Honest.join(port, "room/halves", await sign("ann"));
  ann.publish();
  await eventually(() => ann.waiting === 0, { what: "an honest publish to come back" });
  const after = memory(workerd.pid);
  for (const tcp of halves) tcp.destroy();
  ann.close();
  return { attack: "half of a 30 MB message", sockets, before, after, note: "kept by the runtime, not by the room" };
}

/** Ten replays asked for in one message, from many at once, of a log that is full. */
export async function replays(workerd: Workerd, sockets: number): Promise<Row> {
  const { port } = workerd;
  const room = "room/replays";
  const ann = await Honest.join(port, room, await sign("ann"));
  for (let i = 0; i < 32; i++) {
    ann.publish("z".repeat(60_000));
    await eventually(() => ann.waiting < 4);
    await pause(PACE_MS);
  }
  await eventually(() => ann.waiting === 0);
  const members = [];
  for (let i = 0; i < sockets; i++) {
    const { tcp } = await Tcp.upgrade({ port, path: `/rooms/${room}`, token: await sign(`sync-${i}`, ["join"]) });
    tcp.socket.pause();
    members.push(tcp);
  }
  const before = memory(workerd.pid);
  ann.latencies.length = 0;
  const syncs = JSON.stringify(Array.from({ length: 10 }, () => ({ type: "sync", offset: 0 })));
  for (const tcp of members) tcp.send(syncs);
  ann.publish();
  await eventually(() => ann.waiting === 0, { what: "an honest publish to come back", aloneMs: 10_000 });
  const after = memory(workerd.pid);
  // What the process holds says more of when garbage is collected than of what was sent: that can be counted.
  const received = await Promise.all(members.map(async (tcp) => readAll(tcp)));
  for (const tcp of members) tcp.destroy();
  ann.close();
  const most = Math.max(...received) / 1_048_576;
  assert.ok(most < 13, `${most.toFixed(1)} MiB sent to one: more than a tick composes and a backlog may hold`);
  return {
    attack: "ten syncs of 2 MB each, unread",
    sockets,
    before,
    after,
    note: `an honest publish took ${ann.latency(0.5)} ms; at most ${most.toFixed(1)} MiB were sent to one`,
  };
}

/** Bytes that arrive once a peer reads at last, until nothing comes any more. */
async function readAll(tcp: Tcp): Promise<number> {
  let bytes = 0;
  let at = Date.now();
  tcp.socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    at = Date.now();
  });
  tcp.socket.resume();
  await eventually(() => Date.now() - at > patience(GAP_MS), { what: "the bytes to end", aloneMs: 10_000 });
  return bytes;
}

/** One session, opened again and again while every replaced connection stays: the room must not hold more than it may. */
export async function takeovers(workerd: Workerd, times: number): Promise<void> {
  await check("a session taken over again and again holds no more sockets than the room may have", async () => {
    const { port } = workerd;
    const token = await sign("eve", ["join"]);
    const first = await Tcp.upgrade({ port, path: "/rooms/tiny/takeovers", token });
    await first.tcp.until(() => first.tcp.heard.includes('"session":"'), "the welcome");
    const session = /"session":"([^"]+)"/.exec(first.tcp.heard)?.[1] ?? "";
    const held = [first.tcp];
    for (let i = 0; i < times; i++) {
      const path = `/rooms/tiny/takeovers?session=${session}`;
      held.push((await Tcp.upgrade({ port, path, token })).tcp);
    }
    // The good-bye has its time; then the room closes, and nobody answers.
    const few = async () => {
      const { sockets, connected } = await counts(workerd, "tiny/takeovers");
      const what = `a room for 20 holds ${sockets} sockets of one session, ${connected} of them connected`;
      assert.ok(sockets <= 2 * 20, what);
      return sockets;
    };
    const sockets = await eventually(few, { aloneMs: 6_000, everyMs: 50 });
    for (const tcp of held) tcp.destroy();
    return `${sockets} sockets`;
  });
}
