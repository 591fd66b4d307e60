/**
 * A receiver that is down for long, rooms that are killed meanwhile, people who never stop publishing: and at the end, what
 * came out of the rooms against what is in them.
 */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Publication } from "../../src/protocol/frames.ts";
import { Workerd } from "../serve/workerd.ts";
import { freePort } from "../support/port.ts";
import { eventually } from "../support/patience.ts";
import { randomFrom } from "../support/random.ts";
import { Crowd, SECRET, tokenOf } from "./crowd.ts";
import { compare, sequence, type Verdict } from "./judge.ts";
import { Receiver, type Manner } from "./receiver.ts";
import type { Moved } from "./worker.ts";

/** What is tried. */
export interface Trial {
  /** For how long people publish, in ms. */
  readonly time: number;
  /** How often workerd is killed meanwhile. */
  readonly kills: number;
  readonly seed: number;
  readonly say: (line: string) => void;
}

/** What came of it. */
export interface Outcome extends Verdict {
  /** Publications that were acknowledged; and those of them that no event told of. */
  readonly acknowledged: number;
  readonly broken: number;
  readonly kills: number;
  readonly down: number;
  /** Milliseconds from the last change to an empty outbox. */
  readonly caughtUp: number;
  readonly answered: Readonly<Record<Manner, number>>;
  /** Signatures and bodies that were wrong. */
  readonly wrong: readonly string[];
}

const HOOK_SECRET = `whsec_${Buffer.alloc(32, 5).toString("base64")}`;
const ROOMS = ["red", "green", "blue"];
/** How the receiver is one after the other, and for which part of the time. */
const COURSE: readonly (readonly [manner: Manner, part: number])[] = [
  ["failing", 0.1],
  ["up", 0.1],
  ["late", 0.1],
  ["up", 0.1],
  ["hanging", 0.1],
  ["up", 0.1],
  ["refusing", 0.4],
];
/** An outbox is empty after the longest wait between two tries and what a killed room waits: at most so long. */
const RETRY_MS = 60_000;

/** Runs a trial; everything it started is ended with it. */
export async function run({ time, kills, seed, say }: Trial): Promise<Outcome> {
  const random = randomFrom(seed);
  const port = await freePort();
  const workerd = new Workerd({
    entry: join(import.meta.dirname, "worker.ts"),
    objects: { ROOM: "NotingRoom" },
    vars: { AUTH_SECRET: SECRET, HOOK_URL: `http://127.0.0.1:${port}/hook`, HOOK_SECRET },
  });
  const receiver = new Receiver(port, HOOK_SECRET);
  try {
    await Promise.all([workerd.start(), receiver.be("up")]);
    const crowd = new Crowd(workerd.url, random);
    for (const room of ROOMS) for (let i = 0; i < 3; i++) crowd.enter(room, `${room}${i}`, 40 + 20 * i);
    const troubles = beDown(receiver, time, say);
    await killNowAndThen(workerd, kills, time, random, say);
    const down = await troubles;
    await receiver.be("up");
    const began = Date.now();
    await crowd.goHome();
    await Promise.all(ROOMS.map((room) => drained(workerd, room)));
    const caughtUp = Date.now() - began;
    const verdicts = await Promise.all(
      ROOMS.map(async (room) => {
        const happened = sequence(await logOf(workerd, room), await get<Moved[]>(workerd, `/moves/${room}`));
        return compare(
          happened,
          receiver.taken.filter((taken) => taken.room === room),
        );
      }),
    );
    const heard = new Set(
      receiver.taken.flatMap(({ room, events }) =>
        events.map(({ publication }) => `${room} ${publication?.offset} ${publication?.data as string}`),
      ),
    );
    const broken = crowd.promised.filter(({ room, offset, data }) => !heard.has(`${room} ${offset} ${data}`)).length;
    const total = (key: keyof Verdict) => verdicts.reduce((sum, verdict) => sum + verdict[key], 0);
    return {
      happened: total("happened"),
      lost: total("lost"),
      invented: total("invented"),
      reordered: total("reordered"),
      duplicates: total("duplicates"),
      acknowledged: crowd.promised.length,
      broken,
      kills,
      down,
      caughtUp,
      answered: receiver.answered,
      wrong: receiver.wrong,
    };
  } finally {
    await workerd.stop();
    await receiver.be("refusing");
  }
}

/** Returns for how many ms it was down. */
async function beDown(receiver: Receiver, time: number, say: Trial["say"]): Promise<number> {
  let down = 0;
  for (const [manner, part] of COURSE) {
    say(`the receiver is ${manner} for at least ${((part * time) / 1_000).toFixed(1)} s`);
    const began = Date.now();
    const before = receiver.answered[manner];
    await receiver.be(manner);
    await pause(part * time);
    // Rooms that have waited longer and longer must have noticed.
    const isHeard = () => manner === "refusing" || receiver.answered[manner] > before;
    await eventually(isHeard, { what: `a room to ask while the receiver is ${manner}`, aloneMs: RETRY_MS });
    if (manner !== "up") down += Date.now() - began;
  }
  return down;
}

async function killNowAndThen(
  workerd: Workerd,
  kills: number,
  time: number,
  random: () => number,
  say: Trial["say"],
): Promise<void> {
  for (let i = 1; i <= kills; i++) {
    await pause((time / (kills + 1)) * (0.5 + random()));
    await workerd.kill();
    say(`killed workerd, ${i} of ${kills}`);
    await workerd.start();
  }
}

/** Waits until everything has gone out of a room. A dead letter is an error: nobody refuses anything here. */
async function drained(workerd: Workerd, room: string): Promise<void> {
  const look = async () => {
    const { outbox, members } = await get<{ outbox: { pending: number; dead: number }; members: number }>(
      workerd,
      `/rooms/room/${room}/stats`,
    );
    if (outbox.dead > 0) return `${room} has ${outbox.dead} dead letters`;
    if (outbox.pending > 0 || members > 0) throw new Error(`${room} still has ${JSON.stringify({ outbox, members })}`);
    return undefined;
  };
  const lost = await eventually(look, { aloneMs: RETRY_MS, everyMs: 100 });
  if (lost !== undefined) throw new Error(lost);
}

async function logOf(workerd: Workerd, room: string): Promise<Publication[]> {
  const log: Publication[] = [];
  for (;;) {
    const after = log.at(-1)?.offset ?? 0;
    const page = await get<{ items: Publication[] }>(workerd, `/rooms/room/${room}/log?after=${after}&limit=1000`);
    if (page.items.length === 0) return log;
    log.push(...page.items);
  }
}

async function get<T>(workerd: Workerd, path: string): Promise<T> {
  const token = await tokenOf("op", { "*": ["admin"] });
  const response = await fetch(workerd.url + path, { headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json<T>();
}
