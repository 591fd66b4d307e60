/**
 * A server that dies with members connected and starts again after their heartbeat was due: the overdue alarm rings without
 * a request, finds nobody, and tells the members who are there.
 */
import { setTimeout as pause } from "node:timers/promises";
import { patience } from "../support/patience.ts";
import type { Findings } from "./findings.ts";
import type { Member } from "./member.ts";
import { noticedWithin, rhythms } from "./rhythms.ts";
import { DELIVERY, droppedAt } from "./vanish.ts";
import { World } from "./world.ts";

const { heartbeat, grace } = rhythms.quick;
const MEMBERS = 5;
/** For an alarm that is overdue when the server starts: reading it from disk and building the room. */
const OVERDUE = patience(200);

export async function restart(findings: Findings): Promise<void> {
  const world = await World.open();
  try {
    await nobodyComes(world, findings);
    await someoneComes(world, findings);
  } finally {
    await world.close();
  }
}

/** Kills the server, and starts it again when every heartbeat of before is overdue. Returns when it was started. */
async function crash(world: World): Promise<number> {
  await world.workerd.kill();
  await pause(noticedWithin(heartbeat));
  const at = Date.now();
  await world.workerd.start();
  return at;
}

async function joinAll(world: World, room: string): Promise<Member[]> {
  const members: Member[] = [];
  for (let i = 0; i < MEMBERS; i++) members.push(await world.join(room, `peer-${i}`));
  await Promise.all(members.map((member) => member.until(() => member.pongs > 0, "the first heartbeat")));
  return members;
}

async function nobodyComes(world: World, findings: Findings): Promise<void> {
  const room = "quick/dead";
  const members = await joinAll(world, room);
  const at = await crash(world);
  const left: number[] = [];
  for (const { user } of members) {
    const [, when] = await world.printed(new RegExp(`left dead ${user} at (\\d+)\\.`));
    left.push(Number(when) - at);
  }
  const asked = Date.now();
  const seen = await world.look(room);
  const dropped = members.map(({ user }) => droppedAt(seen, user) - at);
  const before = Math.max(...dropped) < asked - at;
  findings.time({
    what: "server killed, started when its alarm was overdue, no request: noticed",
    times: dropped,
    bound: OVERDUE,
    why: `an overdue alarm: ${OVERDUE} ms from the start of the process`,
  });
  findings.time({
    what: "the same: announced",
    times: left,
    bound: OVERDUE + grace + DELIVERY,
    why: `the same + grace ${grace} ms + ${DELIVERY} ms`,
  });
  findings.fact(
    before && seen.members.length === 0 && seen.woken === 1 && seen.sockets.length === 0,
    `The first request came ${asked - at} ms after the start: all ${MEMBERS} dead sessions had been noticed and announced ` +
      "by then, and the room had no members and no sockets.",
  );
}

async function someoneComes(world: World, findings: Findings): Promise<void> {
  const room = "quick/dead-and-one";
  const watcher = await world.join(room, "watcher");
  const members = await joinAll(world, room);
  const at = await crash(world);
  const back = await world.join(room, "watcher", { resume: watcher.position });
  await Promise.all(
    members.map(({ user }) => back.until(() => back.heardAt(`leave ${user}`) !== undefined, `the leave of ${user}`)),
  );
  findings.time({
    what: "the same, heard by a member who came back at once",
    times: members.map(({ user }) => (back.heardAt(`leave ${user}`) ?? Infinity) - at),
    bound: OVERDUE + grace + DELIVERY,
    why: `the same + grace ${grace} ms + ${DELIVERY} ms`,
  });
  const all = back.welcome?.members.length === MEMBERS + 1;
  const own = back.heard.some(({ what }) => what.endsWith("watcher"));
  findings.fact(
    all && !own && back.welcome?.resumed === true && back.heard.length === MEMBERS,
    "A member that came back within the grace resumed, still found the others listed, heard each leave once and not its own.",
  );
}
