/** Which fault comes when and meets whom: all of it follows from the seed, before anything has started. */
import { randomFrom } from "../support/random.ts";
import type { Plan } from "./orders.ts";
import { isLarge, rooms } from "./rooms.ts";

/** Every fault, how often it comes relative to the others, and what it is. */
export const faults = {
  cut: { weight: 24, text: "all TCP connections of one client reset" },
  herd: { weight: 3, text: "all TCP connections of one room reset at once" },
  "half-open": { weight: 10, text: "connections silent both ways without a FIN, for 7 to 25 s; new ones work" },
  outage: { weight: 8, text: "the whole network of one client silent, new connections too, for 2 to 30 s" },
  delay: { weight: 8, text: "50 to 800 ms each way, for 3 to 10 s" },
  slow: { weight: 7, text: "4 to 16 KB/s for 5 to 15 s while the room gets bursts of 16 KB publications" },
  deaf: { weight: 7, text: "a client that does not read its socket for 3 to 12 s during such a burst" },
  evict: { weight: 14, text: "the room taken out of memory, sockets hibernating" },
  abort: { weight: 6, text: "the room's instance crashed with `ctx.abort`" },
  kill: { weight: 4, text: "`kill -9` of workerd, restart on the same disk" },
  drain: { weight: 3, text: "the room drained within 1 to 3 s" },
  clock: { weight: 8, text: "the client's clock set 10 s to 2 h ahead or back" },
  suspend: {
    weight: 5,
    text: "half-open for 15 to 30 s and the clock set at once, as after a laptop has slept",
  },
  duplicate: {
    weight: 7,
    text: "a second client with a copy of the first one's stored session, for 3 to 12 s; half of the first ones have a dead line just then",
  },
  guest: { weight: 8, text: "a new member who vanishes for good at the first loss, or after 5 to 25 s" },
  thief: { weight: 5, text: "a client that asks for the session of another user" },
  leave: { weight: 4, text: "a client that leaves and comes back as a new session" },
  "relay-evict": { weight: 12, text: "one of the relays of a large room taken out of memory, sockets hibernating" },
  "relay-abort": { weight: 8, text: "the instance of such a relay crashed with `ctx.abort`" },
  kick: { weight: 3, text: "an operator ends every session of a user, who comes back with a new one" },
  revoke: { weight: 3, text: "the same, and tokens of before are refused" },
} as const;

/** One of {@link faults}. */
export type FaultName = keyof typeof faults;

/** One fault to come. */
export interface Planned {
  /** Ms after the start. */
  readonly at: number;
  readonly fault: FaultName;
  /** A client, a room, or everyone. */
  readonly target: string;
  readonly ms: number;
  /** What the fault has besides: bytes a second, ms of delay or of a clock. */
  readonly amount: number;
}

/** Ms between two faults, on average. */
const GAP = 700;

/** The schedule of one run. Faults to leave out leave their places empty: the others stay where they are. */
export function schedule(seed: number, ms: number, plans: readonly Plan[], without: readonly string[]): Planned[] {
  const random = randomFrom(seed);
  const between = (low: number, high: number) => Math.round(low + (high - low) * random());
  const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const names = (sort?: Plan["sort"]) => plans.filter((plan) => !sort || plan.sort === sort).map(({ name }) => name);
  const planned: Planned[] = [];
  for (let at = 2_000 + between(0, GAP); at < ms; at += between(GAP / 5, GAP * 1.8)) {
    const fault = pick(random());
    const choose = (target: string, lasts = 0, amount = 0) => planned.push({ at, fault, target, ms: lasts, amount });
    switch (fault) {
      case "cut":
        choose(one(names()));
        break;
      case "half-open":
        choose(one(names()), between(7_000, 25_000));
        break;
      case "outage":
        choose(one(names()), between(2_000, 30_000));
        break;
      case "delay":
        choose(one(names()), between(3_000, 10_000), between(50, 800));
        break;
      case "slow":
        choose(one(names()), between(5_000, 15_000), between(4_000, 16_000));
        break;
      case "deaf":
        choose(one(names("raw")), between(3_000, 12_000));
        break;
      case "herd":
      case "evict":
      case "abort":
        choose(one(rooms));
        break;
      case "kill":
        choose("everyone");
        break;
      case "drain":
        choose(one(rooms), between(1_000, 3_000));
        break;
      case "clock":
        choose(one(names("sdk")), 0, between(10_000, 7_200_000) * (random() < 0.5 ? -1 : 1));
        break;
      case "suspend":
        choose(one(names("sdk")), between(15_000, 30_000), between(10_000, 7_200_000) * (random() < 0.5 ? -1 : 1));
        break;
      case "duplicate":
        choose(one(names("sdk")), between(3_000, 12_000), random() < 0.5 ? 1 : 0);
        break;
      case "guest":
        choose(one(names()), between(5_000, 25_000));
        break;
      case "relay-evict":
      case "relay-abort":
        choose(one(rooms.filter(isLarge)), 0, between(0, 11));
        break;
      case "kick":
      case "revoke":
        choose(one(names()));
        break;
      case "thief":
      case "leave":
        choose(one(names("raw")));
        break;
    }
  }
  return planned.filter(({ fault }) => !without.includes(fault));
}

const total = Object.values(faults).reduce((sum, { weight }) => sum + weight, 0);

function pick(dice: number): FaultName {
  let left = dice * total;
  for (const [name, { weight }] of Object.entries(faults)) {
    left -= weight;
    if (left < 0) return name as FaultName;
  }
  return "cut";
}
