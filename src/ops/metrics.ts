/**
 * What the metrics mean, and how they are written for Prometheus and for Analytics Engine. Knows neither where counts come
 * from nor where they are stored.
 */
import { labelsIn, type CounterName } from "./series.ts";
import { buckets } from "../room/telemetry/recorder.ts";
import type { Listing } from "../room/telemetry/listing.ts";
import type { Counts } from "../room/telemetry/counts.ts";
import type { KindTotals } from "./totals.ts";
import type { BreakerState } from "./upstream.ts";

const counters: Readonly<Record<CounterName, string>> = {
  publications: "Publications stored.",
  deliveries: "Publications sent to sockets as they were made; replays not counted.",
  messages_sent: "WebSocket messages written.",
  signals: "Signals taken from members.",
  connects: "Connections opened.",
  closes: "Connections that the room ended, by code.",
  resumes: "Connections that asked to continue, by what came of it and why not.",
  dedupe_hits: "Publishes that had taken effect before and got the same answer.",
  heartbeats_missed: "Heartbeats that a connection left unanswered.",
  rows_written: "Rows written to rooms' storage, as they are billed.",
  alarms: "Alarms that rang.",
  wakeups: "Times that a room was loaded into memory.",
  events_out: "Batches of events handed to an outlet, by what came of it.",
  errors: "Failures, by code; kind is empty for those that the Worker answered.",
  http_requests: "HTTP requests.",
  upgrades: "WebSocket upgrades, by what came of them.",
  upstream_requests: "Requests to upstreams, retries not counted.",
  breaker_transitions: "Changes of circuit breakers.",
  alerts: "Calls of onAlert.",
};

/** Counted where the kind of room is not known: summed over all kinds, without that label. */
const OF_WORKER: ReadonlySet<CounterName> = new Set([
  "http_requests",
  "upgrades",
  "upstream_requests",
  "breaker_transitions",
  "alerts",
]);

const gauges = {
  rooms: "Rooms with at least one connection.",
  connections: "Open connections.",
  members: "Members present.",
  sessions: "Sessions of live rooms, dropped ones included.",
  undelivered_rooms: "Rooms with events that cannot be delivered, whether or not anybody is in them.",
  dead_letters: "Batches of events that rooms gave up and that nobody has dropped or delivered since.",
} as const;

const histograms = {
  tick_events: "Events that one tick took.",
  tick_seconds: "Duration of a tick. On Cloudflare the clock stands still within one, so it is 0 there.",
} as const;

/** What is known where the page is made. */
export interface Known {
  readonly totals: Readonly<Record<string, KindTotals>>;
  readonly breakers: readonly { readonly name: string; readonly state: BreakerState }[];
  /** Parts of the directory that did not answer. Default: 0. */
  readonly missing?: number;
}

/**
 * The page that Prometheus reads (text format 0.0.4). Where a part of the directory is missing, gauges are of the others,
 * and counters have no samples: a sum that is smaller than before would be read as a restart, and the next whole one as
 * if everything had happened at once.
 */
export function prometheusText({ totals, breakers, missing = 0 }: Known): string {
  const lines: string[] = [];
  const kinds = Object.entries(totals).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const counted = missing === 0 ? kinds : [];
  for (const name of keysOf(gauges)) {
    head(lines, name, "gauge", gauges[name]);
    for (const [kind, total] of kinds) if (kind !== "") line(lines, name, { kind }, total[name]);
  }
  for (const name of keysOf(counters)) {
    head(lines, `${name}_total`, "counter", counters[name]);
    for (const { labels, n } of samplesOf(name, counted)) line(lines, `${name}_total`, labels, n);
  }
  for (const name of keysOf(histograms)) {
    head(lines, name, "histogram", histograms[name]);
    for (const [kind, { counts }] of counted) histogram(lines, name, kind, counts);
  }
  head(lines, "breaker_state", "gauge", "1 for the state that a circuit breaker of the isolate that answers is in.");
  for (const { name, state } of breakers) {
    for (const each of ["closed", "half_open", "open"]) {
      line(lines, "breaker_state", { upstream: name, state: each }, each === state ? 1 : 0);
    }
  }
  head(lines, "directory_parts_missing", "gauge", MISSING);
  line(lines, "directory_parts_missing", {}, missing);
  return `${lines.join("\n")}\n`;
}

const MISSING = "Parts of the directory that did not answer this scrape: without them there are no counters.";

function keysOf<K extends string>(table: Readonly<Record<K, unknown>>): K[] {
  return Object.keys(table) as K[];
}

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  n: number;
}

/** The samples of one counter; those of the Worker summed over wherever they were counted. */
function samplesOf(name: CounterName, kinds: readonly (readonly [string, KindTotals])[]): Iterable<Sample> {
  const found = new Map<string, Sample>();
  for (const [kind, { counts }] of kinds) {
    const ofKind: { kind?: string } = OF_WORKER.has(name) ? {} : { kind };
    for (const [series, n] of Object.entries(counts)) {
      const labels = labelsIn(series, name);
      if (!labels) continue;
      const key = JSON.stringify([ofKind.kind, series]);
      const known = found.get(key);
      if (known) known.n += n;
      else found.set(key, { labels: { ...ofKind, ...labels }, n });
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
