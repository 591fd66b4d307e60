/**
 * Which metrics there are, what this isolate has counted of them, and how they are told to Prometheus and to Analytics
 * Engine. Knows neither where counts come from nor where they are kept.
 */
import { buckets } from "../room/telemetry/recorder.ts";
import type { Listing } from "../room/telemetry/listing.ts";
import { Counters, type Counts } from "../room/telemetry/counts.ts";
import type { BreakerState } from "./upstream.ts";

/** What this isolate has counted and not handed on yet. */
export const isolate = new Counters<string>();

/** How many there are now of what rooms are made of, and what happened in them; of one kind of room. */
export interface KindTotals {
  readonly rooms: number;
  readonly connections: number;
  readonly members: number;
  readonly sessions: number;
  readonly counts: Counts;
}

/** A counter: what it means, and its labels besides `kind`. `worker`: counted where no kind is known. */
interface Counter {
  readonly help: string;
  readonly labels: readonly string[];
  readonly worker?: true;
}

const counters: Readonly<Record<string, Counter>> = {
  publications: { help: "Publications stored.", labels: [] },
  deliveries: { help: "Publications handed to sockets as they were made; replays not counted.", labels: [] },
  messages_sent: { help: "WebSocket messages written.", labels: [] },
  signals: { help: "Signals taken from members.", labels: [] },
  connects: { help: "Connections opened.", labels: [] },
  closes: { help: "Connections that the room ended, by code.", labels: ["code"] },
  resumes: {
    help: "Connections that asked to continue, by what came of it and why not.",
    labels: ["result", "reason"],
  },
  dedupe_hits: { help: "Publishes that had taken effect before and got the same answer.", labels: [] },
  heartbeats_missed: { help: "Heartbeats that a connection left unanswered.", labels: [] },
  rows_written: { help: "Rows written to rooms' storage, as they are billed.", labels: [] },
  alarms: { help: "Alarms that rang.", labels: [] },
  wakeups: { help: "Times that a room was loaded into memory.", labels: [] },
  events_out: { help: "Batches of events handed to an outlet, by what came of it.", labels: ["result"] },
  errors: { help: "Failures, by code; kind is empty for those that the Worker answered.", labels: ["code"] },
  http_requests: { help: "HTTP requests.", labels: ["method", "route", "status"], worker: true },
  upgrades: { help: "WebSocket upgrades, by what came of them.", labels: ["result", "code"], worker: true },
  upstream_requests: {
    help: "Requests to upstreams, retries not counted.",
    labels: ["upstream", "result"],
    worker: true,
  },
  breaker_transitions: { help: "Changes of circuit breakers.", labels: ["upstream", "state"], worker: true },
  alerts: { help: "Calls of onAlert.", labels: ["result"], worker: true },
};

const gauges = {
  rooms: "Rooms in which somebody is connected.",
  connections: "Open connections.",
  members: "Members present.",
  sessions: "Sessions of live rooms, dropped ones included.",
} as const;

const histograms = {
  tick_events: "Events that one tick took.",
  tick_seconds: "Duration of a tick. On Cloudflare the clock stands still within one, so it is 0 there.",
} as const;

/** The page that Prometheus reads (text format 0.0.4). */
export function prometheusText(
  totals: Readonly<Record<string, KindTotals>>,
  breakers: readonly { readonly name: string; readonly state: BreakerState }[],
): string {
  const lines: string[] = [];
  const kinds = Object.entries(totals).toSorted(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, help] of Object.entries(gauges)) {
    head(lines, name, "gauge", help);
    for (const [kind, total] of kinds) {
      if (kind !== "") line(lines, name, { kind }, total[name as keyof typeof gauges]);
    }
  }
  for (const [name, { help, labels, worker }] of Object.entries(counters)) {
    head(lines, `${name}_total`, "counter", help);
    for (const { kind, values, n } of seriesOf(name, kinds, worker === true)) {
      const named = Object.fromEntries(labels.map((label, i) => [label, values[i] ?? ""]));
      line(lines, `${name}_total`, { ...(!worker && { kind }), ...named }, n);
    }
  }
  for (const [name, help] of Object.entries(histograms)) {
    head(lines, name, "histogram", help);
    for (const [kind, { counts }] of kinds) histogram(lines, name as keyof typeof histograms, kind, counts);
  }
  head(lines, "breaker_state", "gauge", "1 for the state that a circuit breaker of the isolate that answers is in.");
  for (const { name, state } of breakers) {
    for (const each of ["closed", "half_open", "open"]) {
      line(lines, "breaker_state", { upstream: name, state: each }, each === state ? 1 : 0);
    }
  }
  return `${lines.join("\n")}\n`;
}

/** The series of one counter; those of the Worker summed up over wherever they were counted. */
function seriesOf(name: string, kinds: readonly [string, KindTotals][], worker: boolean) {
  const found = new Map<string, { kind: string; values: string[]; n: number }>();
  for (const [kind, { counts }] of kinds) {
    for (const [series, n] of Object.entries(counts)) {
      const [base, ...values] = series.split("|");
      if (base !== name) continue;
      const key = worker ? series : `${kind}|${series}`;
      const known = found.get(key);
      if (known) known.n += n;
      else found.set(key, { kind, values, n });
    }
  }
  return found.values();
}

function histogram(lines: string[], name: keyof typeof histograms, kind: string, counts: Counts): void {
  let total = 0;
  for (const bound of [...buckets[name], "+Inf"]) total += counts[`${name}|${bound}`] ?? 0;
  if (total === 0) return;
  let upTo = 0;
  for (const bound of [...buckets[name], "+Inf"]) {
    upTo += counts[`${name}|${bound}`] ?? 0;
    line(lines, `${name}_bucket`, { kind, le: String(bound) }, upTo);
  }
  line(lines, `${name}_sum`, { kind }, counts[`${name}_sum`] ?? 0);
  line(lines, `${name}_count`, { kind }, total);
}

function head(lines: string[], name: string, type: string, help: string): void {
  lines.push(`# HELP edgerooms_${name} ${help}`, `# TYPE edgerooms_${name} ${type}`);
}

function line(lines: string[], name: string, labels: Readonly<Record<string, string>>, value: number): void {
  const text = Object.entries(labels).map(([label, of]) => `${label}="${escaped(of)}"`);
  lines.push(`edgerooms_${name}${text.length > 0 ? `{${text.join(",")}}` : ""} ${value}`);
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

/** What a data point's doubles are, in their order. */
export const dataPointDoubles = [
  "connections",
  "members",
  "sessions",
  "publications",
  "deliveries",
  "messages_sent",
  "signals",
  "connects",
  "dedupe_hits",
  "heartbeats_missed",
  "rows_written",
  "alarms",
  "wakeups",
] as const;

/** A room's report as a data point of Analytics Engine: index kind, blobs kind and room, doubles as above. */
export function dataPoint(listing: Listing, counts: Counts): AnalyticsEngineDataPoint {
  const { kind, room } = listing;
  const values: Readonly<Record<string, unknown>> = { ...counts, ...listing };
  return {
    indexes: [kind],
    blobs: [kind, room],
    doubles: dataPointDoubles.map((name) => Number(values[name] ?? 0)),
  };
}
