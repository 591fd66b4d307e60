/**
 * Which counters there are, and their labels: what rooms and the Worker count, the directory stores and Prometheus reads. A
 * series is one line of text, because rooms send and store counts by it. Knows neither what counts nor what it means.
 */

/** The labels of every counter, in the order in which their values follow its name in a series. Append; never reorder. */
export const counterLabels = {
  publications: [],
  deliveries: [],
  messages_sent: [],
  signals: [],
  connects: [],
  closes: ["code"],
  resumes: ["result", "reason"],
  dedupe_hits: [],
  heartbeats_missed: [],
  rows_written: [],
  alarms: [],
  wakeups: [],
  events_out: ["result"],
  errors: ["code"],
  http_requests: ["method", "route", "status"],
  upgrades: ["result", "code"],
  upstream_requests: ["upstream", "result"],
  breaker_transitions: ["upstream", "state"],
  alerts: ["result"],
} as const satisfies Readonly<Record<string, readonly string[]>>;

/** The name of a counter. */
export type CounterName = keyof typeof counterLabels;
/** The values of a counter's labels. */
export type Labels<C extends CounterName> = Readonly<Record<(typeof counterLabels)[C][number], string | number>>;
/** A counter and the values of its labels, as text: `resumes|reset|log_trimmed`. */
export type Series = CounterName | `${CounterName}|${string}`;

/** The series of a counter with these labels. */
export function seriesOf<C extends CounterName>(counter: C, labels: Labels<C>): Series {
  const names: readonly string[] = counterLabels[counter];
  const values = labels as Readonly<Record<string, string | number>>;
  let series: Series = counter;
  // What separates values cannot be in one.
  for (const name of names) series = `${series}|${String(values[name] ?? "").replaceAll("|", "%7C")}`;
  return series;
}

/** The values of a counter's labels in a series; `undefined` when the series is of another counter. */
export function labelsIn(series: string, counter: CounterName): Record<string, string> | undefined {
  const [name, ...values] = series.split("|");
  if (name !== counter) return undefined;
  return Object.fromEntries(counterLabels[counter].map((label, i) => [label, values[i] ?? ""]));
}
