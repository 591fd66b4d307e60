/** What `npm run bench -- relays` finds, and the budgets of it. Knows nothing of how it was measured. */
import { verdictOn, type Verdict } from "../budgets.ts";
import type { Circumstances } from "../sample.ts";
import type { Counted } from "./bill.ts";
import type { Region } from "./bytes.ts";
import type { Crowded, Late, Small, Way } from "./live.ts";
import type { RoomCost } from "./room-process.ts";
import type { SmallUse } from "./units.ts";

/** A room with so many relays and members, once for each round. */
export interface OwnCost {
  readonly relays: number;
  readonly members: number;
  readonly rounds: readonly RoomCost[];
}

/** A result file. */
export interface RelayResults {
  readonly circumstances: Circumstances;
  readonly own: readonly OwnCost[];
  readonly regions: readonly Region[];
  readonly rows: { readonly alone: SmallUse; readonly small: SmallUse };
  readonly small: { readonly alone: readonly Small[]; readonly small: readonly Small[] };
  readonly crowd: Crowded;
  /** Only whole runs have them. */
  readonly late?: { readonly members: number; readonly rounds: Readonly<Record<Way, readonly Late[]>> };
  readonly units?: Counted;
}

/** The budgets: what grows, and what must not. */
export function judgeRelays({ own, rows, small, regions }: RelayResults): readonly Verdict[] {
  const largest = Math.max(...own.map(({ members }) => members));
  const cost = (relays: number, isLarge = true) =>
    own
      .find((each) => each.relays === relays && (each.members === largest) === isLarge)
      ?.rounds.map(({ cpu }) => cpu) ?? [];
  const ratios = (of: readonly number[], to: readonly number[]) => of.map((value, i) => value / (to[i] ?? NaN));
  const most = Math.max(...own.map(({ relays }) => relays));
  const perRelay = ratios(cost(most), cost(1)).map((ratio) => (ratio - 1) / (most - 1));
  const many = largest.toLocaleString("en-US");
  const smallOf = (key: keyof Small) =>
    ratios(
      small.small.map((each) => each[key]),
      small.alone.map((each) => each[key]),
    );
  const hundred = regions
    .filter(({ members }) => members === 100)
    .map(({ direct, relayed }) => relayed.stream / direct.stream);
  return [
    verdictOn(
      { what: "the room's own CPU, 5 relays, ten times the members", limit: 1.25, unit: "x as before" },
      ratios(cost(5), cost(5, false)),
    ),
    verdictOn(
      { what: `the room's own CPU for each relay more, ${many} members`, limit: 0.05, unit: "x that with one" },
      perRelay,
    ),
    verdictOn(
      { what: "pushes for each relay and publication", limit: 1, unit: "pushes" },
      own.flatMap(({ relays, rounds }) => (relays > 0 ? rounds.map(({ pushes }) => pushes / relays) : [])),
    ),
    verdictOn({ what: "CPU per delivery, small room, relays on, alone", limit: 1.1, unit: "x off" }, smallOf("lone")),
    verdictOn(
      { what: "CPU per delivery, small room, relays on, saturated", limit: 1.1, unit: "x off" },
      smallOf("saturated"),
    ),
    verdictOn(
      { what: "rows written, small room, relays on: 100 joins", limit: rows.alone.joins.rowsWritten, unit: "rows" },
      [rows.small.joins.rowsWritten],
    ),
    verdictOn(
      {
        what: "rows written, small room, relays on: 60 publications",
        limit: rows.alone.publications.rowsWritten,
        unit: "rows",
      },
      [rows.small.publications.rowsWritten],
    ),
    verdictOn({ what: "bytes that leave the room for a region of 100", limit: 0.4, unit: "x without relays" }, hundred),
  ];
}
