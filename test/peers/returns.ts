/** Peers whose kernel tells of their end, and peers that come back: by another connection or by the very same one. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Findings } from "./findings.ts";
import { item, type Member } from "./member.ts";
import { rhythms } from "./rhythms.ts";
import { droppedAt, stall } from "./vanish.ts";
import type { World } from "./world.ts";

const { heartbeat, grace } = rhythms.quick;
const { every, misses } = heartbeat;
const KILLED = 5;
const EACH = 4;

/** Killed with SIGKILL: the kernel sends the FIN, and no heartbeat is needed. */
export async function killed(world: World, findings: Findings): Promise<void> {
  const room = "quick/killed";
  const watcher = await world.join(room, "watcher");
  const times: number[] = [];
  for (let i = 0; i < KILLED; i++) {
    const url = `${world.workerd.url.replace("http", "ws")}/rooms/${room}`;
    const child = fork(join(import.meta.dirname, "child.ts"), [url, `child-${i}`], { stdio: ["ignore", 1, 2, "ipc"] });
    await once(child, "message");
    const at = Date.now();
    child.kill("SIGKILL");
    const seen = await world.lookUntil(room, (now) => droppedAt(now, `child-${i}`) < Infinity, "the drop");
    times.push(droppedAt(seen, `child-${i}`) - at);
    await watcher.until(() => watcher.heardAt(`leave child-${i}`) !== undefined, "the leave");
  }
  const why = "at once: less than the span of one heartbeat";
  findings.time({ what: "process killed with SIGKILL: noticed", times, bound: every, why });
}

/** Every way back, each checked to the end: what the one who returns has missed, and what the others were told. */
export async function returns(world: World, findings: Findings): Promise<void> {
  await Promise.all([
    takesOver(world, findings),
    goesOn(world, findings),
    comesLate(world, findings, "within the grace"),
    comesLate(world, findings, "after the leave"),
  ]);
}

interface Scene {
  readonly room: string;
  readonly watcher: Member;
  readonly peers: readonly Member[];
  /** Publishes one more item. */
  readonly publish: () => Promise<void>;
}

async function scene(world: World, name: string): Promise<Scene> {
  const room = `quick/${name}`;
  const watcher = await world.join(room, "watcher");
  const peers: Member[] = [];
  for (let i = 0; i < EACH; i++) peers.push(await world.join(room, `peer-${i}`));
  let ref = 0;
  const publish = async () => {
    ref++;
    watcher.send({ type: "publish", ref, data: item(ref, 200) });
    await watcher.until(() => watcher.acked === ref, "ack");
  };
  await publish();
  await Promise.all(peers.map((peer) => peer.until(() => peer.offset === 1, "the first item")));
  return { room, watcher, peers, publish };
}

/** A new connection while the room still takes the old one for alive. */
async function takesOver(world: World, findings: Findings): Promise<void> {
  const { room, watcher, peers, publish } = await scene(world, "takes-over");
  for (const peer of peers) stall(peer);
  await pause(every);
  await publish();
  const back = await Promise.all(peers.map((peer) => world.join(room, peer.user, { resume: peer.position })));
  const seen = await world.look(room);
  const one = seen.sessions.filter((s) => s.droppedAt === null && s.generation === 2).length === EACH;
  const resumed = back.every(({ welcome }) => welcome?.resumed);
  await publish();
  await everyoneHas(3, back);
  for (const { link } of peers) if (link) link.stalled = false;
  await Promise.all(peers.map((peer) => peer.until(() => peer.bye !== undefined, "bye")));
  const old = peers.every(({ bye, offset }) => bye === "replaced" && offset === 2);
  await survives(back);
  findings.fact(
    one && resumed && old && quiet(watcher) && sound([watcher, ...peers, ...back]),
    `Back within the limit on a new connection: ${EACH} of ${EACH} resumed with nothing missed, the silent connection ` +
      "was `replaced` at once and got nothing that was published after that, nobody was told of anything.",
  );
}

/** The network heals before the limit: the same connection goes on. */
async function goesOn(world: World, findings: Findings): Promise<void> {
  const { watcher, peers, publish } = await scene(world, "goes-on");
  for (const peer of peers) stall(peer);
  await pause((misses - 1) * every);
  await publish();
  for (const { link } of peers) if (link) link.stalled = false;
  await everyoneHas(2, peers);
  await survives(peers);
  findings.fact(
    quiet(watcher) && sound([watcher, ...peers]),
    `Silent for ${(misses - 1) * every} ms, then back on the same connection: ${EACH} of ${EACH} went on as if nothing ` +
      `had been, also ${misses + 1} heartbeats later.`,
  );
}

/** After the limit: the old connection is over, the session is not. */
async function comesLate(world: World, findings: Findings, when: "within the grace" | "after the leave") {
  const { room, watcher, peers, publish } = await scene(world, when.replaceAll(" ", "-"));
  const early = when === "within the grace";
  for (const peer of peers) stall(peer);
  await publish();
  if (early) {
    await world.lookUntil(room, (now) => peers.every(({ user }) => droppedAt(now, user) < Infinity), "every drop");
  } else {
    const left = () => peers.every(({ user }) => watcher.heardAt(`leave ${user}`) !== undefined);
    await watcher.until(left, "every leave");
  }
  const back = await Promise.all(peers.map((peer) => world.join(room, peer.user, { resume: peer.position })));
  const resumed = back.every(({ welcome }) => welcome?.resumed);
  await publish();
  await everyoneHas(3, back);
  for (const { link } of peers) if (link) link.stalled = false;
  await Promise.all(peers.map((peer) => peer.until(() => peer.bye !== undefined, "bye")));
  const told = peers.every(({ bye }) => bye === "heartbeat_lost");
  await survives(back);
  // Their first joining, and for those who were announced as gone a leave and another joining.
  const expected = (user: string) => (early ? [`join ${user}`] : [`join ${user}`, `leave ${user}`, `join ${user}`]);
  const announced = peers.every(({ user }) => {
    const heard = watcher.heard.filter(({ what }) => what.endsWith(` ${user}`)).map(({ what }) => what);
    return heard.join() === expected(user).join();
  });
  findings.fact(
    resumed && told && announced && sound([watcher, ...peers, ...back]),
    `Back after the limit, ${when}${early ? ` of ${grace} ms` : ""}: ${EACH} of ${EACH} resumed with nothing missed, the ` +
      `old connection was told \`heartbeat_lost\`, ${early ? "nobody was told of anything" : "one leave and one join were heard of each"}.`,
  );
}

async function everyoneHas(offset: number, members: readonly Member[]): Promise<void> {
  await Promise.all(members.map((member) => member.until(() => member.offset === offset, `offset ${offset}`)));
}

/** Nothing that an old connection left behind may end the new one. */
async function survives(members: readonly Member[]): Promise<void> {
  await Promise.all(
    members.map(async (member) => {
      const { pongs } = member;
      await member.until(() => member.pongs > pongs + misses, "more heartbeats");
      if (member.bye !== undefined || member.closed) throw new Error(`${member.user} was closed: ${member.bye}`);
    }),
  );
}

function quiet(watcher: Member): boolean {
  return watcher.heard.every(({ what }) => what.startsWith("join ")) && watcher.heard.length === EACH;
}

function sound(members: readonly Member[]): boolean {
  return members.every(({ wrong, resets }) => wrong.length === 0 && resets.length === 0);
}
