/** Publishes: one at a time, as fast as a window allows, or at a pace. */
import { latency, type Latency } from "../measure/stats.ts";
import type { Clients } from "./crowd.ts";
import type { Job } from "./jobs.ts";
import type { Member } from "./member.ts";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const PATIENCE = 30_000;

/** So many publications in the first room, one at a time. */
export async function lone(clients: Clients, publications: number, gap: number) {
  const members = clients.rooms[0] ?? [];
  const [publisher] = members;
  if (!publisher) throw new Error("no client is connected");
  publisher.who = 0;
  const each: number[] = [];
  const everyone: number[] = [];
  let sent = 0;
  let missing = 0;
  let done: (() => void) | undefined;
  const onReceived = (count: number) => {
    for (let i = 0; i < count; i++) each.push(performance.now() - sent);
    if ((missing -= count) <= 0) done?.();
  };
  for (const member of members) member.onReceived = onReceived;
  for (let i = 0; i < publications; i++) {
    const all = new Promise<void>((resolve) => (done = resolve));
    missing = members.length;
    sent = performance.now();
    publisher.publish(1);
    const late = setTimeout(() => done?.(), PATIENCE);
    await all;
    clearTimeout(late);
    if (missing > 0) throw new Error(`${missing} sockets did not get a publication in ${PATIENCE} ms`);
    everyone.push(performance.now() - sent);
    if (gap > 0) await sleep(gap);
  }
  for (const member of members) member.onReceived = undefined;
  await clients.complete();
  return { latency: latency(each), everyone: latency(everyone) };
}

/** The first `publishers` of each room keep `window` publications in flight, for `ms`. Then all must arrive. */
export async function saturate(clients: Clients, publishers: number, window: number, ms: number): Promise<Latency> {
  const took: number[] = [];
  let open = true;
  const pump = (member: Member) => {
    const sentAt: number[] = [];
    let answered = 0;
    let due = 0;
    const refill = () => {
      const count = due;
      due = 0;
      if (!open) return;
      const now = performance.now();
      for (let i = 0; i < count; i++) sentAt.push(now);
      member.publish(count);
    };
    member.onOwn = (count) => {
      const now = performance.now();
      for (let i = 0; i < count; i++) took.push(now - (sentAt[answered++] ?? now));
      // One write answers all that one read brought back, for every rival.
      if (due === 0) queueMicrotask(refill);
      due += count;
    };
    due = window;
    refill();
  };
  for (const room of clients.rooms) {
    for (const [i, member] of room.slice(0, publishers).entries()) {
      member.who = i;
      pump(member);
    }
  }
  await sleep(ms);
  open = false;
  await clients.complete();
  for (const member of clients.all) member.onOwn = undefined;
  return latency(took);
}

/** The first `senders` of each room send in turns that are evenly spread, so that no two send at once. */
export async function pace(clients: Clients, { what, senders, every, ms }: Extract<Job, { type: "pace" }>) {
  const sending = clients.rooms.flatMap((room) => room.slice(0, senders));
  for (const room of clients.rooms) for (const [i, member] of room.slice(0, senders).entries()) member.who = i;
  const step = every / sending.length;
  const start = performance.now();
  const turns = Math.round(ms / step);
  for (let turn = 0; turn < turns; turn++) {
    const wait = start + turn * step - performance.now();
    if (wait > 0) await sleep(wait);
    const member = sending[turn % sending.length];
    if (what === "publish") member?.publish(1);
    else member?.signal(turn);
  }
  await sleep(Math.max(100, start + ms - performance.now()));
  await clients.complete();
  return { sent: turns };
}
