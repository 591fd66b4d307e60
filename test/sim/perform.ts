/** What each step of a schedule does to the world. Judges nothing. */
import type { Cast, OutletMood } from "./cast.ts";
import type { RawPerson, RawWish } from "./people/raw.ts";
import type { SdkPerson } from "./people/sdk.ts";
import type { Step, StepKind } from "./schedule.ts";
import { ask, draw, post, reach, restore } from "./outside.ts";
import type { Wire } from "./world/wire.ts";

/** Sizes of what is published, in characters beside the name. The largest is rare: it costs more than all others together. */
const SIZES = [0, 0, 0, 0, 0, 0, 0, 0, 20, 20, 300, 300, 5_000, 5_000, 5_000, 60_000] as const;
/** What a hook makes of a publication, by its first word. */
const PREFIXES = ["", "", "", "", "", "reject ", "throw ", "echo ", "up ", "kick ", "later "] as const;
const RECIPIENTS = [undefined, undefined, undefined, ["ann"], ["bob", "eve"]] as const;
const USERS = ["ann", "bob", "eve", "sam"] as const;
const MOODS = ["takes", "fails", "refuses", "hangs", "losesAnswer"] as const satisfies readonly OutletMood[];

type Act = (cast: Cast) => void;

const acts: Readonly<Record<StepKind, Act>> = {
  join: (cast) => sdkOf(cast).join(),
  publish: (cast) => {
    const { chance } = cast.world;
    const person = sdkOf(cast);
    for (let n = chance.between(1, 4); n > 0; n--) {
      person.publish(chance.pick(SIZES), prefixOf(cast), chance.pick(RECIPIENTS));
    }
  },
  signal: (cast) => sdkOf(cast).signal(signalOf(cast)),
  presence: (cast) => sdkOf(cast).setPresence(cast.world.chance.below(5)),
  call: (cast) => void sdkOf(cast).call(cast.world.chance.pick(["fail", "refuse", "notes", "none"]), null),
  remind: (cast) => void remind(cast),
  leave: (cast) => sdkOf(cast).leave(),
  close: (cast) => sdkOf(cast).close(),
  reload: (cast) => sdkOf(cast).reload(),
  rawJoin: (cast) => rawOf(cast).connect(wishOf(cast)),
  rawAgain: (cast) => again(cast),
  rawPublish: (cast) => {
    const { chance } = cast.world;
    rawOf(cast).publish(chance.between(1, 5), chance.pick(SIZES), prefixOf(cast), chance.pick(RECIPIENTS));
  },
  rawRepeat: (cast) => {
    const { chance } = cast.world;
    const person = rawOf(cast);
    person.repeat(chance.below(person.sent.length + 1), chance.between(1, 6));
  },
  rawAck: (cast) => {
    const person = rawOf(cast);
    const position = person.line?.ear.position ?? 0;
    person.send({ type: "ack", offset: cast.world.chance.below(position + 3) });
  },
  rawSync: (cast) => {
    const person = rawOf(cast);
    const position = person.line?.ear.position ?? 0;
    person.send({ type: "sync", offset: cast.world.chance.below(position + 2) });
  },
  rawOdd: (cast) => {
    const odd = [{ type: "publish" }, { type: "call", ref: 1 }, 7, { type: "ack", offset: -1 }, { type: "none" }];
    rawOf(cast).send(...(odd.slice(0, cast.world.chance.between(1, 5)) as object[]));
  },
  rawSignal: (cast) => {
    const data = signalOf(cast);
    const [, to = "*"] = data.split("@");
    rawOf(cast).send({ type: "signal", data, ...(to !== "*" && { to: to.split(",") }) });
  },
  rawSilent: (cast) => {
    const { line } = rawOf(cast);
    if (!line) return;
    line.isSilent = true;
    line.end.isDeaf = true;
  },
  rawSteal: (cast) => steal(cast),
  rawLeave: (cast) => rawOf(cast).send({ type: "leave" }),
  rawFlood: (cast) => flood(cast),
  cut: (cast) => draw(cast, "cut", wireOf(cast), (wire) => wire.cut()),
  halfOpen: (cast) => draw(cast, "half-open", wireOf(cast), (wire) => wire.halfOpen()),
  slow: (cast) => draw(cast, "slow reader", wireOf(cast), (wire) => wire.slow(cast.world.chance.between(500, 40_000))),
  evict: (cast) => {
    if (cast.world.object.evict()) cast.count("evicted");
  },
  crash: (cast) => {
    cast.count("killed");
    cast.world.object.kill();
  },
  crashAtStatement: (cast) => {
    cast.killAfter = cast.world.chance.between(1, 40);
  },
  crashAtCommit: (cast) => {
    cast.count("killed at a commit");
    cast.world.object.crashAtCommit = cast.world.chance.pick(["before", "after"]);
  },
  failDisk: (cast) => {
    const { chance, timeline } = cast.world;
    cast.count("disk failed");
    cast.diskFails = { until: timeline.now + chance.between(50, 8_000), share: chance.pick([1, 0.3, 0.05]) };
  },
  slowDisk: (cast) => {
    cast.world.object.flush = cast.world.chance.pick([0, 0, 3, 25]);
  },
  copy: (cast) => {
    const { object, oracle, timeline } = cast.world;
    if (object.isBusy) return;
    cast.copy = { copy: object.disk.copy(), at: timeline.now, era: oracle.history.era, reminders: cast.reminders };
  },
  restore,
  moveClock: (cast) => {
    const { chance } = cast.world;
    cast.count("clock moved");
    cast.world.moveClock(chance.pick([-1, 1]) * chance.between(100, chance.pick([1_000, 60_000, 600_000])));
  },
  lateAlarms: (cast) => {
    cast.world.object.lateness = cast.world.chance.pick([0, 30, 900, 20_000]);
  },
  weather: (cast) => {
    const { weather, chance } = cast.world;
    weather.low = chance.pick([0, 1, 30]);
    weather.high = weather.low + chance.pick([0, 20, 400]);
  },
  kick: (cast) => oust(cast, "kick"),
  revoke: (cast) => oust(cast, "revoke"),
  drain: (cast) => {
    const { chance } = cast.world;
    cast.count("drained");
    void ask(cast, { type: "drain", within: chance.between(0, 8_000), reopenAfter: chance.between(0, 8_000) });
  },
  post,
  serverPublish: (cast) => void reach(cast, cast.world.chance.pick(RECIPIENTS)),
  serverSignal: (cast) => {
    const data = signalOf(cast);
    const [, to = "*"] = data.split("@");
    void ask(cast, { type: "signal", data, ...(to !== "*" && { to: to.split(",") }) });
  },
  refresh: (cast) => refresh(cast),
  evictRelay: (cast) => {
    if (relayOf(cast)?.evict()) cast.count("relay evicted");
  },
  crashRelay: (cast) => {
    cast.count("relay killed");
    relayOf(cast)?.kill();
  },
  crashRelayAtCommit: (cast) => {
    const relay = relayOf(cast);
    if (!relay) return;
    cast.count("relay killed at a commit");
    relay.crashAtCommit = cast.world.chance.pick(["before", "after"]);
  },
  loseCalls: (cast) => {
    const { chance, relays, timeline } = cast.world;
    cast.count("calls lost");
    relays.calls.failUntil = timeline.now + chance.between(50, chance.pick([2_000, 30_000]));
    relays.calls.share = chance.pick([1, 0.5, 0.2]);
  },
  outlet: (cast) => {
    cast.outlet = cast.world.chance.pick(MOODS);
    if (cast.outlet !== "takes") cast.count("outlet failed");
  },
};

/** Does one step. */
export function perform(cast: Cast, step: Step): void {
  const { world } = cast;
  world.chance.reseed(step.seed);
  world.note(`step ${step.kind}`);
  acts[step.kind](cast);
}

function sdkOf({ sdk, world }: Cast): SdkPerson {
  return world.chance.pick(sdk);
}

function rawOf({ raw, world }: Cast): RawPerson {
  return world.chance.pick(raw);
}

function relayOf({ world }: Cast): Cast["world"]["relays"]["objects"][number] | undefined {
  return world.relays.objects[world.chance.below(world.relays.objects.length)];
}

/** Somebody's open line. */
function wireOf({ sdk, raw, world }: Cast): Wire | undefined {
  const ends = [...sdk.map(({ end }) => end), ...raw.map(({ line }) => line?.end)];
  const open = ends.flatMap((end) => (end?.state === 1 && end.wire ? [end.wire] : []));
  return open[world.chance.below(open.length)];
}

function prefixOf({ room, world }: Cast): string {
  return room.facts.hasHooks ? world.chance.pick(PREFIXES) : "";
}

/** A signal says which users it is for, so that a receiver can tell. */
function signalOf({ world }: Cast): string {
  return `signal ${world.chance.below(1_000)}@${world.chance.pick(["*", "*", "bob", "ann,eve"])}`;
}

function wishOf({ world }: Cast): RawWish {
  const { chance } = world;
  const credit = chance.once(0.5);
  return { credit, acknowledges: chance.once(0.7), life: chance.pick([15_000, 600_000, 3_600_000]) };
}

/** Connects again: to resume from where it is, from elsewhere, or with nothing but the session. */
function again(cast: Cast): void {
  const { chance } = cast.world;
  const person = rawOf(cast);
  const { session, epoch, line } = person;
  if (session === undefined) return person.connect(wishOf(cast));
  const here = line?.ear.session === session ? line.ear.position : 0;
  const offset = chance.pick([here, here, here, chance.below(here + 1), here + chance.below(3)]);
  const position = chance.once(0.9) ? { epoch: chance.once(0.95) ? epoch : "made-up", offset } : undefined;
  // Often the old line is still open: then this takes the session over.
  if (chance.once(0.3)) line?.end.wire?.cut();
  person.connect({ ...wishOf(cast), asked: { session, position } });
}

/** More than a connection with credit may be fed, before one that never acknowledges. */
function flood(cast: Cast): void {
  const { raw, world } = cast;
  const [speaker] = raw;
  const reader = raw.at(-1);
  const wish = { acknowledges: false, life: 3_600_000 };
  reader?.connect({ ...wish, credit: true });
  if (!speaker.isOpen) speaker.connect({ ...wish, credit: false });
  for (let n = 0; n < 6; n++) world.timeline.after(300 + n * 20, () => speaker.publish(250, 0));
}

/** Asks for a session of somebody else. */
function steal(cast: Cast): void {
  const { chance } = cast.world;
  const thief = rawOf(cast);
  const ears = cast.world.oracle.ears.filter(({ session, user }) => session !== undefined && user !== thief.user);
  const victim = ears[chance.below(ears.length)];
  if (victim?.session === undefined) return;
  thief.connect({
    ...wishOf(cast),
    asked: { session: victim.session, position: { epoch: thief.epoch || "e", offset: 0 } },
  });
}

function oust(cast: Cast, type: "kick" | "revoke"): void {
  const { world } = cast;
  const user = world.chance.pick(USERS);
  cast.count(type === "kick" ? "kicked" : "revoked");
  world.oracle.ousted(user);
  void ask(cast, type === "kick" ? { type, user } : { type, user, before: world.wall }).then(() =>
    world.oracle.ousted(user),
  );
}

/** A session's next token, for a client without one that renews itself. */
function refresh(cast: Cast): void {
  const { world } = cast;
  const person = rawOf(cast);
  const { session, user } = person;
  if (session === undefined) return;
  const claims = {
    user,
    name: `${user}-${world.chance.below(3)}`,
    grants: ["join", "publish", "signal", "call"],
    issued: world.wall,
    expires: world.wall + world.chance.pick([10_000, 3_600_000]),
  };
  void world.refresh(session, Buffer.from(JSON.stringify(claims)).toString("base64url"));
}

/** Asks for a timer, and remembers it once the room has said yes. */
async function remind(cast: Cast): Promise<void> {
  const { world, room } = cast;
  if (!room.facts.hasHooks) return;
  const name = `t${world.chance.below(1e6)}${"-".repeat(world.chance.below(3))}`;
  const after = world.chance.between(0, world.chance.pick([50, 5_000, 60_000]));
  const { era } = world.oracle.history;
  const isSet = await sdkOf(cast).call("remind", { name, after });
  if (isSet && world.oracle.history.era === era) cast.reminders = [...cast.reminders, { name }];
}
