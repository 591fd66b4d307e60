/**
 * The end of a schedule: nothing is made to fail any more, everyone who wants to be here comes back, and everything must
 * be accounted for.
 */
import type { Cast } from "./cast.ts";
import { ask, reach } from "./outside.ts";
import type { Ear } from "./oracle/ear.ts";
import { check } from "./oracle/history.ts";

/** What everyone has for coming back once nothing is in the way, in ms. */
const PATIENCE = 75_000;
/** And at most: retries of what failed are up to five minutes apart. */
const LONGEST = 1_500_000;

/** Publications that one row of the log may hold. */
const MOST_IN_A_ROW = 2_000;

/** How long the room may wait before it tries again what failed, in ms. */
const RETRY = 30_000;

/** Lets the world come to rest, and judges it. */
export async function settle(cast: Cast): Promise<void> {
  const { world, room, sdk, raw } = cast;
  world.chance.reseed(7);
  world.note("settles");
  cast.heal();
  for (const { lines } of raw) for (const { end } of lines) end.wire?.release();
  for (const person of sdk) person.end?.wire?.release();
  for (const person of sdk) if (person.isWanted) person.join();
  // What was on its way when the network got better still takes its time.
  await world.run(2_000);
  const { heartbeat, grace } = room.facts;
  const ghosts = (heartbeat.misses + 2) * Math.max(heartbeat.idle, heartbeat.every);
  // A clock that was put back makes everything that is due wait for longer.
  const soon = world.timeline.now + world.behind + ghosts + grace + PATIENCE;
  while (world.timeline.now < soon && !(await isAtRest(cast))) await world.run(grace > 0 ? 4_000 : 2_000);
  const late = world.timeline.now + LONGEST;
  while (world.timeline.now < late && !isDone(cast)) await world.run(PATIENCE);
  const missing = sdk.find((person) => !isSettled(person));
  check(
    !missing,
    () => `${missing?.user} is ${missing?.state} with ${missing?.pending} publishes after ${LONGEST} ms of peace`,
  );
  await judgeEnd(cast);
}

/** A relay that its room does not know, or cannot reach, asks by itself: with every second heartbeat at the latest. */
async function everyoneHears({ world, room, sdk }: Cast, head: number): Promise<void> {
  const { every, idle } = room.facts.heartbeat;
  const late = world.timeline.now + 3 * Math.max(every, idle) + PATIENCE;
  const isBehind = () => sdk.some((person) => person.state === "open" && person.reached < head);
  while (isBehind() && world.timeline.now < late) await world.run(2_000);
}

function isSettled({ isWanted, state, pending, asking }: Cast["sdk"][number]): boolean {
  return !isWanted || (state === "open" && pending + asking === 0);
}

/** Whether everyone has what they want, and everything has gone out. */
function isDone({ sdk, world }: Cast): boolean {
  return sdk.every(isSettled) && world.object.disk.count("edgerooms_outbox") === 0;
}

/** Whether nothing is left to happen that would change what is judged. */
async function isAtRest(cast: Cast): Promise<boolean> {
  const { reminders, sdk, raw, world } = cast;
  if (!isDone(cast) || world.behind > 0) return false;
  if (
    world.objects.some(({ wires }) => wires.some((wire) => wire.isHalfOpen)) ||
    sdk.some(({ end }) => end?.state === 1 && end.wire?.isHalfOpen)
  )
    return false;
  if (raw.some(({ lines }) => lines.some(({ end, isSilent }) => isSilent && end.wire?.state === 1))) return false;
  if (raw.some(({ lines }) => lines.some(({ end }) => end.state === 0))) return false;
  const notes = reminders.length > 0 ? notesOf(cast) : [];
  if (!reminders.every(({ name }) => notes.includes(`timer ${name}`))) return false;
  return (await listed(cast)) === present(cast) && miscounted(cast) === undefined;
}

/** A connection that was told another number of members than there are, where members learn that; if there is one. */
function miscounted(cast: Cast): Ear | undefined {
  if (cast.room.facts.presence !== "count") return undefined;
  const here = present(cast).split(",").length;
  return openEars(cast).find(({ count }) => count !== here);
}

async function judgeEnd(cast: Cast): Promise<void> {
  const { world, sdk, raw, room, outgoing } = cast;
  const head = await world.within(3_000, reach(cast, undefined, "the end"));
  check(head !== undefined, () => "a publication of the server was not taken");
  const { oracle } = world;
  if (room.facts.hasRelays) await everyoneHears(cast, head);
  for (const ear of oracle.ears) ear.settle();
  for (const person of sdk) person.settle(head);
  // An end that failed with the disk is tried again after a while.
  const slack = cast.done.has("statement failed") ? RETRY + 2_000 : 2_000;
  for (const { lines, user } of raw) {
    for (const { end, isSilent, ear } of lines) {
      const isOpen = end.wire?.state === 1;
      // A clock that was put forward has made it late at once.
      const late = Math.min(world.wall - ear.expires, world.timeline.now - world.movedAt);
      check(!isOpen || late < slack, () => `${user} is connected ${late} ms after its token has ended`);
      check(!isOpen || !isSilent, () => `${user} answers no heartbeat and is still connected (${ear.session})`);
    }
  }
  for (const object of world.objects) judgeObject(cast, object);
  let list = await listed(cast);
  // A member whose token ends at this very moment is gone, and present until its grace is over.
  for (let n = 0; n < 20 && (list !== present(cast) || miscounted(cast)); n++) {
    await world.run(3_000);
    list = await listed(cast);
  }
  judgePresence(cast, list);
  if (room.facts.hasHooks) judgeTimers(cast);
  // A hook that writes to a failing disk fails alone, and its event goes on.
  if (room.facts.hasHooks && !cast.done.has("statement failed")) judgeHooks(cast);
  if (!room.facts.hasEvents) return;
  const { here, offset } = outgoing;
  // A timer may have rung after the end.
  const { head: last } = world.object.disk;
  check(here === undefined || here === present(cast), () => `here are ${present(cast)}, the receiver was told ${here}`);
  check(
    offset === undefined || offset === last,
    () => `the log ends at ${last}, the receiver was told up to ${offset}`,
  );
  for (let n = 0; n < 5 && world.object.disk.count("edgerooms_outbox") > 0; n++) await world.run(1_000);
  check(world.object.disk.count("edgerooms_outbox") === 0, () => "events wait in the outbox and nobody delivers them");
}

/** What is always so while somebody is connected, and what must not grow. */
function judgeObject({ world, room }: Cast, { disk, wires }: Cast["world"]["objects"][number]): void {
  const { heartbeat, retain } = room.facts;
  if (wires.some((wire) => wire.state === 1 && !isDismissed(wire))) {
    const wait = (disk.durableAlarm ?? Infinity) - world.wall;
    // What failed with the disk is tried again after a while.
    check(
      wait <= Math.max(heartbeat.idle, heartbeat.every) + RETRY,
      () => `connected, and the alarm rings in ${wait} ms`,
    );
  }
  const [row] = disk.look("edgerooms_log", "SELECT sum(last - first + 1) AS n, count(*) AS rows FROM edgerooms_log");
  // Twice the retention, and the largest row beyond it.
  const most = 2 * retain + MOST_IN_A_ROW;
  check(Number(row?.["n"] ?? 0) <= most, () => `the log keeps ${Number(row?.["n"])} publications, at most ${most}`);
}

/** One that was told good-bye is closed by a timer, which keeps an object from being evicted anywhere but here. */
function isDismissed({ attachment = "" }: { readonly attachment?: string | undefined }): boolean {
  return attachment.includes('"bye"');
}

/** The members who are here, by their own ends of the lines. */
function present({ sdk, raw }: Cast): string {
  const here = new Set<string>();
  for (const { state, user } of sdk) if (state === "open") here.add(user);
  for (const { lines, user } of raw) {
    for (const { end, ear, isSilent } of lines) {
      const isHeld = end.wire?.state === 1 && !isDismissed(end.wire);
      const isOpen = isHeld && end.state === 1 && ear.bye === undefined && ear.session !== undefined;
      if (isOpen && !isSilent) here.add(user);
    }
  }
  return [...here].toSorted().join();
}

/** The members who are here, as the room says. */
async function listed(cast: Cast): Promise<string> {
  const members = (await cast.world.within(100, ask(cast, { type: "members" }))) as { id: string }[] | undefined;
  return members?.map(({ id }) => id).join() ?? "nobody answers";
}

function openEars({ sdk, raw }: Cast): Ear[] {
  return [...sdk, ...raw.flatMap((person) => person.lines)].flatMap(({ end, ear }) => {
    const isHeld = end?.wire?.state === 1 && !isDismissed(end.wire);
    const isOpen = isHeld && end.state === 1 && ear?.session && ear.bye === undefined;
    return isOpen ? [ear] : [];
  });
}

function judgePresence(cast: Cast, list: string): void {
  const here = present(cast);
  check(list === here, () => `here are ${here || "nobody"}, the room says ${list || "nobody"}`);
  const wrong = miscounted(cast);
  check(!wrong, () => `${wrong?.user} was told that ${wrong?.count} are here, here are ${here}`);
  if (cast.room.facts.presence !== "list") return;
  for (const ear of openEars(cast)) {
    const told = [...ear.members].toSorted().join();
    // A client that lacks credit is told of no change.
    if (!ear.hasCredit) check(told === here, () => `${ear.user} was told that here are ${told}, here are ${here}`);
  }
}

/** What hooks wrote down: each member came and went by turns. */
function judgeHooks(cast: Cast): void {
  const here = new Set<string>();
  for (const note of notesOf(cast)) {
    const [verb, id = ""] = note.split(" ");
    check(
      verb !== "throw" && verb !== "reject" && verb !== "fail",
      () => `a hook threw, and what it wrote stands: ${note}`,
    );
    if (verb === "at") judgeStored(cast, note);
    // The hook of bob's leaving throws, and what it wrote is undone.
    if (id === "bob") continue;
    if (verb === "join") {
      check(!here.has(id), () => `onJoin ran twice for ${id}`);
      here.add(id);
    } else if (verb === "leave") check(here.delete(id), () => `onLeave ran twice for ${id}`);
  }
}

/** What a hook was told of a publication that it let through: its place, and who it is for. */
function judgeStored({ world }: Cast, note: string): void {
  const [, offset = "", text = ""] = /^at (\d+) (.*)$/s.exec(note) ?? [];
  const known = world.oracle.history.era.at(Number(offset));
  const wanted = known && JSON.stringify({ text: known.text, to: known.to });
  check(!known || text === wanted, () => `a hook was told of ${text} at ${offset}, where ${wanted} is`);
}

function judgeTimers(cast: Cast): void {
  const notes = notesOf(cast);
  for (const { name } of cast.reminders) {
    check(notes.includes(`timer ${name}`), () => `the timer ${name} was set and never rang`);
  }
}

function notesOf({ world }: Cast): string[] {
  return world.object.disk.look("notes", "SELECT text FROM notes ORDER BY id").map((row) => row["text"] as string);
}
