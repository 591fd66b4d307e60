/** The counts as bills: per hour of each workload, per month of a room, per million publications. */
import { table, whole } from "../table.ts";
import type { Counted, CostResults, Way } from "./counted.ts";
import { heartbeatsPerHour } from "./heartbeats.ts";
import type { Use } from "./meter.ts";
import { bill, sum, type Bill } from "./prices.ts";
import { manyRooms, MONTH, workloads, type Workload } from "./workloads.ts";

const NAMES = { ours: "edgerooms", obvious: "obvious way" } as const;
const WAYS = ["ours", "obvious"] as const satisfies readonly Way[];
/** The obvious way pings every 30 s in any case. */
const PINGS_PER_HOUR = 120;

/** The bills of both ways for the same thing. */
export interface Compared {
  readonly title: string;
  readonly bills: Readonly<Record<Way, Bill>>;
}

const heartbeats = (way: Way, busy: boolean) => (way === "ours" ? heartbeatsPerHour(busy) : PINGS_PER_HOUR);

function compare(results: CostResults, title: string, useOf: (way: Way, counted: Counted) => Use): Compared {
  const billOf = (way: Way) => bill(useOf(way, results[way]));
  return { title, bills: { ours: billOf("ours"), obvious: billOf("obvious") } };
}

/** An hour of a workload. */
function hourOf(way: Way, counted: Counted, { id, members, perHour, joins, busy }: Workload): Use {
  const [join, heartbeat, one] = [counted.join[id], counted.heartbeat[members], counted.one[id]];
  return sum([
    ...(join ? [[joins, join] as const, [joins, counted.leave] as const] : []),
    ...(heartbeat ? [[heartbeats(way, busy), heartbeat] as const] : []),
    ...(one ? [[perHour, one] as const] : []),
  ]);
}

function monthOfManyRooms(way: Way, counted: Counted): Use {
  const { rooms, members, busyHours, messages } = manyRooms;
  const [heartbeat, one] = [counted.heartbeat[members], counted.one["chat"]];
  if (!heartbeat || !one) throw new Error("nothing was counted");
  const days = MONTH / 24;
  const perDay = busyHours * heartbeats(way, true) + (24 - busyHours) * heartbeats(way, false);
  return sum([
    [rooms * days * perDay, heartbeat],
    [rooms * days * messages, one],
  ]);
}

/** The bills that most readers look for. */
export function headlines(results: CostResults): readonly Compared[] {
  const [idle] = workloads;
  if (!idle) throw new Error("there is no idle workload");
  const million = (id: string) => (_way: Way, counted: Counted) => sum([[1e6, counted.one[id] ?? sum([])]]);
  return [
    compare(results, "idle room, a month, 5 connected", (way, counted) => sum([[MONTH, hourOf(way, counted, idle)]])),
    compare(results, "1 million durable publications, one at a time", million("chat")),
    compare(results, "1 million durable publications, 20 publishers saturate", million("saturated")),
    compare(results, "10,000 mostly idle rooms, a month", monthOfManyRooms),
  ];
}

/** All tables, as Markdown. */
export function costTables(results: CostResults): { headline: string; units: string; hours: string } {
  const hours = workloads.map((workload) =>
    compare(results, workload.title, (way, counted) => hourOf(way, counted, workload)),
  );
  return {
    headline: comparisonTable("", headlines(results)),
    hours: comparisonTable("an hour of", hours),
    units: unitTable(results),
  };
}

function comparisonTable(what: string, compared: readonly Compared[]): string {
  const rows = compared.flatMap(({ title, bills }) =>
    WAYS.map((way) => {
      const { requests, rowsRead, rowsWritten, seconds, dollars } = bills[way];
      const numbers = [requests, rowsWritten, rowsRead, seconds].map(count);
      const ratio = bills.obvious.dollars / bills.ours.dollars;
      return way === "ours"
        ? [title, NAMES[way], ...numbers, price(dollars), ""]
        : ["", NAMES[way], ...numbers, price(dollars), `${ratio.toFixed(ratio < 10 ? 1 : 0)} x`];
    }),
  );
  return table([what, "written", "requests", "rows written", "rows read", "active s", "price", "to ours"], rows);
}

/** What was counted, before anything is multiplied. */
function unitTable(results: CostResults): string {
  const lines = WAYS.flatMap((way) => {
    const { join, leave, heartbeat, one, runs } = results[way];
    const line = (what: string, use: Use | undefined) =>
      use
        ? [[what, NAMES[way], ...[use.messages, use.alarms, use.rowsWritten, use.rowsRead, use.active].map(count)]]
        : [];
    return [
      ...line("a join, of 10", join["chat"]),
      ...line("a join, of 1,000", join["webinar"]),
      ...line("a leave, one at a time", leave),
      ...Object.entries(heartbeat).flatMap(([members, use]) =>
        line(`a heartbeat, ${whole(Number(members))} members`, use),
      ),
      ...Object.entries(one).flatMap(([id, use]) => line(`one of ${id} (${whole(runs[id] ?? 0)} were run)`, use)),
    ];
  });
  return table(["counted", "written", "messages in", "alarms", "rows written", "rows read", "active ms"], lines);
}

function count(value: number): string {
  return value >= 100 ? whole(value) : String(Number(value.toPrecision(3)));
}

function price(value: number): string {
  return value >= 100 ? `$${whole(value)}` : `$${value.toPrecision(value < 0.001 ? 2 : 3)}`;
}
