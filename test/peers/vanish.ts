/**
 * Peers that vanish without a FIN from a room with a steady heartbeat: how long until the room notices, until the others
 * hear of it, and what is left of them afterwards.
 */
import { setTimeout as pause } from "node:timers/promises";
import { BACKLOG_BYTES } from "../../src/room/rules/backlog.ts";
import { eventually, patience } from "../support/patience.ts";
import type { Findings } from "./findings.ts";
import { item, type Member } from "./member.ts";
import { noticedWithin, rhythms, type Seen } from "./rhythms.ts";
import type { World } from "./world.ts";

/** From the room's decision to a member that has heard it: the wire, and this program's own event loop. */
export const DELIVERY = patience(25);
/** More than this in the room's own buffer: the network has taken all it can. */
const STUCK = 262_144;
const BIG = 60_000;

/** A peer that fell silent, and when. */
export interface Ghost {
  readonly member: Member;
  readonly at: number;
}

/** Nothing goes through any more, either way; nobody is told. */
export function stall(member: Member): Ghost {
  if (!member.link) throw new Error(`${member.user} has no link`);
  const at = Date.now();
  member.link.stalled = true;
  return { member, at };
}

/** Stalls right after a heartbeat was answered: the latest moment at which a peer can still pass for alive. */
export async function stallAfterHeartbeat(member: Member): Promise<Ghost> {
  const { pongs } = member;
  await member.until(() => member.pongs > pongs, "the answer to a heartbeat");
  return stall(member);
}

/** Waits until the others have heard of every ghost, then measures and checks that nothing of them is left. */
export async function reckon(
  world: World,
  room: string,
  what: string,
  ghosts: readonly Ghost[],
  watcher: Member,
  findings: Findings,
): Promise<Seen> {
  const { heartbeat, grace } = rhythms[room.split("/")[0] as keyof typeof rhythms];
  const limit = noticedWithin(heartbeat);
  for (const { member } of ghosts) {
    const leave = () => watcher.heardAt(`leave ${member.user}`) !== undefined;
    await watcher.until(leave, `the leave of ${member.user}`, limit + grace);
  }
  const seen = await world.look(room);
  const noticed = ghosts.map(({ member, at }) => droppedAt(seen, member.user) - at);
  const heard = ghosts.map(({ member, at }) => (watcher.heardAt(`leave ${member.user}`) ?? Infinity) - at);
  const late = seen.latestAlarm;
  // Lateness is allowed for, so it must not be what hides a room that does not ring.
  findings.check(late <= heartbeat.every, `${what}: an alarm rang ${late} ms late`);
  const heartbeats = heartbeat.misses + 1;
  const why = `${heartbeats} x (${heartbeat.every} ms + an alarm ${late} ms late)`;
  const bound = limit + heartbeats * late;
  findings.time({ what: `${what}: noticed`, times: noticed, bound, why });
  findings.time({
    what: `${what}: heard by another member`,
    times: heard,
    bound: bound + grace + late + DELIVERY,
    why: `the same + grace ${grace} ms + ${late} + ${DELIVERY} ms`,
  });
  for (const { member } of ghosts) {
    const times = watcher.heard.filter((one) => one.what === `leave ${member.user}`).length;
    findings.check(times === 1, `${what}: the leave of ${member.user} was heard ${times} times`);
    findings.check(!seen.members.includes(member.user), `${what}: ${member.user} is still a member`);
  }
  const live = seen.sessions.filter((session) => session.droppedAt === null).map(({ user }) => user);
  const expected = ghosts.every(({ member }) => !live.includes(member.user));
  findings.check(expected, `${what}: the room still counts ${live.join(", ")} as connected`);
  return seen;
}

export function droppedAt(seen: Seen, user: string): number {
  return seen.sessions.find((session) => session.user === user)?.droppedAt ?? Infinity;
}

/** The scenario: many at random moments, some at the worst one, some with data under way to them. */
export async function vanish(world: World, kind: "quick" | "steady", findings: Findings, random: () => number) {
  const [many, worst] = kind === "quick" ? [40, 12] : [8, 4];
  const { every } = rhythms[kind].heartbeat;
  const room = `${kind}/silent`;
  const watcher = await world.join(room, "watcher");
  const peers: Member[] = [];
  for (let i = 0; i < many + worst; i++) peers.push(await world.join(room, `peer-${i}`));
  const files = world.openFiles();

  const anyMoment = peers.slice(0, many).map(async (member) => {
    await pause(random() * 2 * every);
    return stall(member);
  });
  await reckon(world, room, `silent at any moment, every ${every} ms`, await Promise.all(anyMoment), watcher, findings);
  const atWorst = await Promise.all(peers.slice(many).map(stallAfterHeartbeat));
  await reckon(world, room, `silent right after an answered heartbeat, every ${every} ms`, atWorst, watcher, findings);

  // Nothing was lost on the way out: a client that the network gives back is told why.
  const held = world.openFiles();
  for (const { link } of peers) if (link) link.stalled = false;
  await Promise.all(peers.map((peer) => peer.until(() => peer.bye !== undefined, "bye")));
  const told = peers.filter(({ bye }) => bye === "heartbeat_lost").length;
  findings.fact(
    told === peers.length,
    `${told} of ${peers.length} were told \`heartbeat_lost\` when the network returned.`,
  );
  for (const peer of peers) peer.vanish();
  const seen = await world.lookUntil(room, ({ sockets }) => sockets.length === 1, "only the watcher's socket");
  findings.check(seen.members.length === 1, `${room} has the members ${seen.members.join(", ")}`);
  // Only where nothing else comes and goes meanwhile.
  if (kind === "quick") await letGo(world, { peers: peers.length, before: files, held }, findings);
}

async function letGo(
  world: World,
  { peers, before, held }: { peers: number; before: number; held: number },
  findings: Findings,
) {
  const free = () => world.openFiles() <= before - peers;
  const isFree = await eventually(free, { aloneMs: 5_000, everyMs: 20 }).catch(() => false);
  const after = world.openFiles();
  findings.fact(
    isFree,
    `Files of workerd: ${before} with ${peers} peers connected, ${held} when all of them had been noticed but the ` +
      `network kept their TCP connections, ${after} when it let go of them.`,
  );
}

/** Ghosts to which data is under way: so much that it waits in the room itself. */
export async function vanishWithData(world: World, findings: Findings) {
  const room = "quick/data";
  const watcher = await world.join(room, "watcher");
  const peers = [await world.join(room, "one"), await world.join(room, "two"), await world.join(room, "three")];
  const ghosts = peers.map(stall);
  let stuck: number[] = [];
  for (let ref = 1; stuck.length < ghosts.length; ref++) {
    watcher.send({ type: "publish", ref, data: item(ref, BIG) });
    if (ref % 4 > 0) continue;
    await watcher.until(() => watcher.acked === ref, "acks");
    stuck = (await world.look(room)).sockets.map(({ buffered }) => buffered).filter((bytes) => bytes > STUCK);
  }
  await reckon(world, room, "silent with data under way", ghosts, watcher, findings);
  findings.fact(
    Math.max(...stuck) < BACKLOG_BYTES,
    `With data under way, ${stuck.map(kilobytes).join(", ")} waited in the room for the three ghosts.`,
  );
  findings.check(watcher.wrong.length === 0, `the publisher: ${watcher.wrong.join("; ")}`);
}

/** In a room that is out of memory between its heartbeats, as any quiet room is. */
export async function vanishAsleep(world: World, findings: Findings) {
  const room = "asleep/silent";
  const watcher = await world.join(room, "watcher");
  const peers = [await world.join(room, "one"), await world.join(room, "two"), await world.join(room, "three")];
  const ghosts = await Promise.all(peers.map(stallAfterHeartbeat));
  const seen = await reckon(world, room, "silent while the room sleeps between heartbeats", ghosts, watcher, findings);
  const { misses } = rhythms.asleep.heartbeat;
  findings.fact(seen.woken > misses, `That room was brought into memory ${seen.woken} times meanwhile.`);
}

function kilobytes(bytes: number): string {
  return `${Math.round(bytes / 1_024)} KiB`;
}
