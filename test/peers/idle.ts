/** Peers that vanish while their room idles: the span between heartbeats has doubled up to `idle`, and so has the wait. */
import { setTimeout as pause } from "node:timers/promises";
import type { Findings } from "./findings.ts";
import { item, type Member } from "./member.ts";
import { noticedIdleWithin, rhythms, type Seen } from "./rhythms.ts";
import { DELIVERY, droppedAt, stall, stallAfterHeartbeat, type Ghost } from "./vanish.ts";
import type { World } from "./world.ts";

const { heartbeat, grace } = rhythms.idling;
const { every, idle, misses } = heartbeat;
const ROOMS = 4;

/** Waits until the heartbeats of the room are as far apart as they ever get. */
async function idles(member: Member): Promise<void> {
  await member.until(() => member.heartbeats.at(-1) === idle, "the slowest heartbeat");
}

export async function vanishWhileIdle(world: World, findings: Findings, random: () => number): Promise<void> {
  const numbers = Array.from({ length: ROOMS }, (_, i) => i);
  const [worst, any, alone, used] = await Promise.all([
    Promise.all(numbers.map((i) => ghostIn(world, `idling/worst-${i}`, stallAfterHeartbeat))),
    Promise.all(
      numbers.map((i) =>
        ghostIn(world, `idling/any-${i}`, async (member) => {
          await pause(random() * idle);
          return stall(member);
        }),
      ),
    ),
    Promise.all(numbers.map((i) => aloneIn(world, `idling/alone-${i}`))),
    Promise.all(numbers.map((i) => usedAgain(world, `idling/used-${i}`))),
  ]);
  const late = Math.max(...[...worst, ...any, ...alone, ...used].map(({ seen }) => seen.latestAlarm));
  findings.check(late <= idle, `an idle room's alarm rang ${late} ms late`);
  const bound = noticedIdleWithin(heartbeat) + (misses + 1) * late;
  const why = `2 x idle ${idle} ms + ${misses - 1} x ${every} ms + ${misses + 1} x an alarm ${late} ms late`;
  const noticed = [...worst, ...any, ...alone].map((one) => one.noticed);
  findings.time({ what: `silent in an idle room, every ${every} to ${idle} ms: noticed`, times: noticed, bound, why });
  findings.time({
    what: "silent in an idle room: heard by another member",
    times: [...worst, ...any].flatMap((one) => one.heard ?? Infinity),
    bound: bound + grace + late + DELIVERY,
    why: `the same + grace ${grace} ms + ${late} + ${DELIVERY} ms`,
  });
  findings.time({
    what: "silent in an idle room that is used again from then on: noticed",
    times: used.map((one) => one.noticed),
    bound: idle + misses * every + (misses + 1) * late,
    why: `idle + ${misses} x ${every} ms + ${misses + 1} x ${late} ms`,
  });
  const ghosts = [...worst, ...any, ...alone, ...used].filter(({ user, seen }) => seen.members.includes(user));
  findings.fact(ghosts.length === 0, `${4 * ROOMS} idle rooms, ${ghosts.length} ghost members at the end.`);
}

interface Noticed {
  readonly user: string;
  readonly noticed: number;
  readonly heard?: number;
  readonly seen: Seen;
}

async function ghostIn(world: World, room: string, fall: (member: Member) => Promise<Ghost>): Promise<Noticed> {
  const watcher = await world.join(room, "watcher");
  const ghost = await world.join(room, "ghost");
  await idles(ghost);
  const { at } = await fall(ghost);
  await watcher.until(() => watcher.heardAt("leave ghost") !== undefined, "the leave");
  const seen = await world.look(room);
  return {
    user: "ghost",
    noticed: droppedAt(seen, "ghost") - at,
    heard: (watcher.heardAt("leave ghost") ?? Infinity) - at,
    seen,
  };
}

/** Nobody is there to hear of it: only the room itself can notice. */
async function aloneIn(world: World, room: string): Promise<Noticed> {
  const ghost = await world.join(room, "ghost");
  await idles(ghost);
  const { at } = await stallAfterHeartbeat(ghost);
  await world.printed(new RegExp(`left ${room.split("/")[1]} ghost at`));
  const seen = await world.look(room);
  return { user: "ghost", noticed: droppedAt(seen, "ghost") - at, seen };
}

/** The room is used from the moment of the stall on: only the span that is under way is still the long one. */
async function usedAgain(world: World, room: string): Promise<Noticed> {
  const watcher = await world.join(room, "watcher");
  const ghost = await world.join(room, "ghost");
  await idles(ghost);
  const { at } = await stallAfterHeartbeat(ghost);
  for (let ref = 1; watcher.heardAt("leave ghost") === undefined; ref++) {
    watcher.send({ type: "publish", ref, data: item(ref, 100) });
    await pause(every / 4);
  }
  const seen = await world.look(room);
  return { user: "ghost", noticed: droppedAt(seen, "ghost") - at, seen };
}
