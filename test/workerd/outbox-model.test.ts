/**
 * Events out of a room against what the room itself has written down, over random schedules: members come and go, the
 * receiver fails, refuses nothing and hangs, the room is evicted and killed. A failing seed is a reproduction.
 */
import { expect, it } from "vitest";
import { ask, join, say, stats, stopped, word } from "../support/events.ts";
import { eventually, patience } from "../support/patience.ts";
import { randomFrom } from "../support/random.ts";
import type { Client } from "../support/client.ts";
import type { Mood } from "../support/receiver.ts";
import type { TestedRoom } from "../support/room.ts";

const SEEDS = 12;
const STEPS = 60;
const USERS = ["ann", "bob", "loud"];

/** What happened, from the log and from what the hooks wrote in the same transactions; the outbox has no part in it. */
async function committed(room: TestedRoom): Promise<string[]> {
  const { items } = (await ask(room, "log?after=0&limit=1000")) as { items: { offset: number; data: string }[] };
  const notes = await room.sql("SELECT text FROM notes ORDER BY id");
  const happened: string[] = [];
  const here = new Set<string>();
  let next = 0;
  for (const { text } of notes) {
    const [offset, what, user] = (text as string).split(" ") as [string, string, string];
    while ((items[next]?.offset ?? Infinity) <= Number(offset)) happened.push(String(items[next++]?.data));
    happened.push(`${what} ${user}`);
    if (what === "join") here.add(user);
    else here.delete(user);
    if (here.size === 0) happened.push("empty");
  }
  return [...happened, ...items.slice(next).map(({ data }) => data)];
}

async function play(seed: number): Promise<{ room: TestedRoom; duplicates: number; kills: number }> {
  const random = randomFrom(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const room = stopped();
  // A room learns its kind from whoever comes first.
  const clients = new Map<string, Client>([["ann", await join(room, "ann")]]);
  let said = 0;
  let kills = 0;
  const kill = async () => {
    await room.abort();
    kills++;
    clients.clear();
  };
  const steps: Record<string, () => unknown> = {
    say: () => say(room, `s${++said}`),
    sayMore: () => say(room, `s${++said}`, `s${++said}`, `s${++said}`),
    come: async () => {
      const user = pick(USERS);
      if (!clients.has(user)) clients.set(user, await join(room, user));
    },
    speak: async () => {
      const [user] = clients.keys();
      if (user === undefined) return;
      const ref = ++said;
      await clients.get(user)?.publish(ref, pick([`c${ref}`, "echo", `kick ${pick(USERS)}`]));
    },
    leave: () => {
      const [user, client] = [...clients][Math.floor(random() * clients.size)] ?? [];
      if (user === undefined || !client) return;
      client.send({ type: "leave" });
      clients.delete(user);
    },
    kick: async () => ask(room, "kick", { user: pick(USERS) }),
    mood: () => void (room.receiver.mood = pick<Mood>(["take", "take", "fail", "hang"])),
    mute: () => void (room.receiver.isMute = random() < 0.5),
    wait: () => room.pass(pick([60, 1_000, 60_000, 300_000])),
    // A delivery on its way keeps the object in memory.
    evict: () => room.receiver.mood !== "hang" && !room.receiver.isMute && room.evict(),
    kill,
    // Killed while something is on its way into the room: the log says whether it came to be.
    killMidway: async () => {
      const midway = say(room, `s${++said}`).catch(() => undefined);
      await kill();
      await midway;
    },
  };
  for (let i = 0; i < STEPS; i++) {
    await pick(Object.values(steps))();
    for (const [user, { closed }] of clients) if (closed) clients.delete(user);
  }
  Object.assign(room.receiver, { mood: "take", isMute: false });
  for (let i = 0; i < 20 && (await stats(room)).pending > 0; i++) {
    const { nextTry = 0, tries } = await stats(room);
    await room.pass(Math.max(0, nextTry - room.now));
    await eventually(async () => {
      const now = await stats(room);
      return now.pending === 0 || now.tries !== tries || (now.nextTry ?? 0) > nextTry;
    });
  }
  await eventually(async () => (await stats(room)).pending === 0);
  const { events, deduplicated } = room.receiver;
  return { room, duplicates: events.length - deduplicated.length, kills };
}

it(
  "a receiver that remembers ids gets what happened, all of it and in order, whatever fails",
  { timeout: patience(20_000) },
  async () => {
    let duplicates = 0;
    let kills = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const run = await play(seed);
      const { receiver } = run.room;
      const happened = await committed(run.room);
      expect(happened.length).toBeGreaterThan(10);
      expect(receiver.deduplicated.map(word), `seed ${seed}`).toEqual(happened);
      // Whatever comes again under an id is the same, batch and event.
      for (const batch of receiver.tried) {
        const first = receiver.tried.find(({ id }) => id === batch.id);
        expect({ ...batch, tries: 0 }, `seed ${seed}`).toEqual({ ...first, tries: 0 });
      }
      duplicates += run.duplicates;
      kills += run.kills;
    }
    expect(duplicates).toBeGreaterThan(0);
    expect(kills).toBeGreaterThan(SEEDS);
  },
);
