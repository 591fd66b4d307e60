/** The results as tables, for a terminal and for documents. */
import { budgetTable } from "../budgets.ts";
import { median, spread } from "../measure/stats.ts";
import { digits, table, whole } from "../table.ts";
import type { Use } from "../cost/meter.ts";
import { bills } from "./bill.ts";
import { STREAM, type Region } from "./bytes.ts";
import { WAYS } from "./live.ts";
import { judgeRelays, type RelayResults } from "./results.ts";

/** Tables of docs/concepts/benchmarks.md, one after another. */
export function relayTables(results: RelayResults): string {
  const { crowd, late } = results;
  const parts = [
    budgetTable(judgeRelays(results)),
    "### What a publication costs the room itself",
    ownTable(results),
    `### ${whole(crowd.sockets)} sockets at ${crowd.relays.length} relays`,
    crowdLine(results),
    ...(late ? [`### Latency, ${whole(late.members)} members`, lateTable(late)] : []),
    `### Bytes that leave the room for one region: ${STREAM.publications} publications of ${STREAM.bytes} bytes, one a second`,
    bytesTable(results.regions),
    "### A room of 100 whose kind has relays",
    smallTable(results),
  ];
  return parts.join("\n\n");
}

function ownTable({ own }: RelayResults): string {
  const rows = own.map(({ relays, members, rounds }) => {
    const { median: middle, min, max } = spread(rounds.map(({ cpu }) => cpu));
    const [first] = rounds;
    const counts = [whole(first?.sends ?? NaN), digits(median(rounds.map(({ pushes }) => pushes)))];
    return [`${relays} relays, ${whole(members)} members`, digits(middle), `${digits(min)}..${digits(max)}`, ...counts];
  });
  return table(["", "CPU of the room's thread, ms", "min..max", "its own sockets", "pushes"], rows);
}

function crowdLine({ crowd: { relays, publications, deliveries, sockets, cost } }: RelayResults): string {
  return (
    `${whole(publications)} publications, ${whole(deliveries)} deliveries: each of ${whole(sockets)} sockets got each one once, in order. ` +
    `Sockets at the relays: ${relays.map(whole).join(", ")}. CPU of the whole process for each delivery: ${digits(cost)} us.`
  );
}

function lateTable({ rounds }: NonNullable<RelayResults["late"]>): string {
  const titles = {
    direct: "no relays",
    relayed: "5 relays, the publisher is in the room",
    "relayed twice": "5 relays, the publisher is at one of them",
  };
  const rows = WAYS.map((way) => {
    const column = (key: "p50" | "p99" | "allP50" | "cost") => digits(median(rounds[way].map((each) => each[key])));
    const { min, max } = spread(rounds[way].map(({ p50 }) => p50));
    return [
      titles[way],
      column("p50"),
      `${digits(min)}..${digits(max)}`,
      column("p99"),
      column("allP50"),
      column("cost"),
    ];
  });
  return table(["", "p50, ms", "min..max", "p99, ms", "last socket p50, ms", "CPU per delivery, us"], rows);
}

function bytesTable(regions: readonly Region[]): string {
  const rows = regions.map(({ members, direct, relayed }) => {
    const saved = (key: "stream" | "joins") => `${digits((1 - relayed[key] / direct[key]) * 100)} %`;
    return [
      `${whole(members)} members`,
      ...[direct.stream, relayed.stream].map(whole),
      saved("stream"),
      ...[direct.joins, relayed.joins].map(whole),
      saved("joins"),
    ];
  });
  return table(["", "direct", "at a relay", "saved", "their joins, direct", "at a relay", "saved"], rows);
}

function smallTable({ rows, small }: RelayResults): string {
  const line = (title: string, kind: "alone" | "small") => {
    const middle = (key: "lone" | "saturated") => {
      const { median: value, min, max } = spread(small[kind].map((each) => each[key]));
      return [digits(value), `${digits(min)}..${digits(max)}`];
    };
    const { joins, publications } = rows[kind];
    return [
      title,
      ...middle("lone"),
      ...middle("saturated"),
      whole(joins.rowsWritten),
      whole(publications.rowsWritten),
    ];
  };
  const head = [
    "",
    "alone, us",
    "min..max",
    "saturated, us",
    "min..max",
    "rows of 100 joins",
    "rows of 60 publications",
  ];
  return table(head, [line("without relays", "alone"), line("with relays, not needed", "small")]);
}

/** The bill, and what it is made of: for docs/guides/cost.md. */
export function relayBill({ units }: RelayResults): { readonly bill: string; readonly counted: string } | undefined {
  if (!units) return undefined;
  const ways = bills(units);
  const [first] = ways;
  const lines = ways.map(({ title, objects, bill, awake }) => [
    title,
    whole(objects),
    ...[bill.requests, bill.rowsWritten, bill.rowsRead, bill.seconds].map(whole),
    dollars(bill.dollars),
    dollars(awake),
    first ? `${digits(awake / first.awake)} x` : "-",
  ]);
  const head = [
    "",
    "objects",
    "requests",
    "rows written",
    "rows read",
    "active s",
    "price",
    "awake all hour",
    "to the first",
  ];
  const { ours, mesh, stored } = units;
  const used = (title: string, use: Use) => [
    title,
    ...[use.requests, use.messages, use.alarms, use.rowsWritten, use.rowsRead, use.active].map(digits),
  ];
  const counted = [
    used("ours: a join", ours.join),
    used("an object's first, each relay", ours.open),
    used("a publication, once", ours.once),
    used("a publication, each relay", ours.perObject),
    used("a publication, each socket", ours.perSocket),
    used("a leave, one at a time", ours.leave),
    used("a leave, 45 at once", ours.leaveTogether),
    used("a heartbeat of the room", ours.heartbeatOfRoom),
    used("a heartbeat of a relay", ours.heartbeatOfRelay),
    used("mesh: a join", mesh.join),
    used("a publication, each object", mesh.perObject),
    used("stored: a join", stored.join),
    used("a publication, each object", stored.perObject),
  ];
  return {
    bill: table(head, lines),
    counted: table(["counted", "requests", "messages in", "alarms", "rows written", "rows read", "active ms"], counted),
  };
}

function dollars(value: number): string {
  return `$${value.toPrecision(3)}`;
}
