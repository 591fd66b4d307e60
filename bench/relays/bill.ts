/** The bill of a large audience from what small instances used, and the formula for it. Knows nothing of how that was counted. */
import { heartbeatsPerHour } from "../cost/heartbeats.ts";
import type { Use } from "../cost/meter.ts";
import { bill, PRICES, sum, type Bill } from "../cost/prices.ts";
import type { RelayUnits, Units } from "./units.ts";

/** Those who watch for an hour: everybody comes once, and goes. */
export const AUDIENCE = { viewers: 100_000, publications: 3_600, each: 5_000 } as const;

/** Relays are added before they are full: `FILLED` in src/room/runtime/spread.ts. */
const FILLED = 0.8;
/** Publications after which the SDK acknowledges. */
const PER_ACK = 640;
const HOUR_S = 3_600;

/** One way, as it is billed. */
export interface Billed {
  readonly title: string;
  /** Objects with sockets. */
  readonly objects: number;
  readonly bill: Bill;
  /** Dollars if every object is awake for the whole hour: with a publication a second none has time to sleep. */
  readonly awake: number;
}

/** Everything that was counted for the bill. */
export interface Counted {
  readonly ours: RelayUnits;
  readonly mesh: Units;
  readonly stored: Units;
}

/** All ways. */
export function bills({ ours, mesh, stored }: Counted): readonly Billed[] {
  const { viewers, each } = AUDIENCE;
  const objects = viewers / each;
  return [
    relayed(`edgerooms, relays of ${whole(each)}`, ours, each, ours.leave),
    relayed("the same, all leave at once", ours, each, ours.leaveTogether),
    relayed("edgerooms, relays of 2,000 (the default)", ours, 2_000, ours.leave),
    billed("mesh without order, nothing stored", objects, hourOf(mesh, objects), 0),
    billed(`an object for ${whole(each)}, a row in each`, objects, hourOf(stored, objects), 0),
  ];
}

function relayed(title: string, units: RelayUnits, each: number, leave: Use): Billed {
  const { viewers, publications } = AUDIENCE;
  const relays = Math.ceil(viewers / (FILLED * each));
  const heartbeats = heartbeatsPerHour(true);
  const acks = (viewers * publications) / PER_ACK;
  const use = sum([
    [1, hourOf(units, relays)],
    [viewers, leave],
    [heartbeats, units.heartbeatOfRoom],
    [heartbeats * relays, units.heartbeatOfRelay],
    [acks, { ...sum([]), messages: 1 }],
  ]);
  return billed(title, relays, use, 1);
}

/** V joins + objects x open + P x (once + objects x perObject + V x perSocket). */
function hourOf({ join, open, once, perObject, perSocket }: Units, objects: number): Use {
  const { viewers, publications } = AUDIENCE;
  return sum([
    [viewers, join],
    [objects, open],
    [publications, once],
    [publications * objects, perObject],
    [publications * viewers, perSocket],
  ]);
}

function billed(title: string, objects: number, use: Use, more: number): Billed {
  const billOf = bill(use);
  const perSecond = (PRICES.gigabytes * PRICES.duration) / 1e6;
  const awake = billOf.dollars + ((objects + more) * HOUR_S - billOf.seconds) * perSecond;
  return { title, objects, bill: billOf, awake };
}

function whole(value: number): string {
  return value.toLocaleString("en-US");
}
