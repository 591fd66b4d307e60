/**
 * What a room has counted, in words: a series such as `resumes|reset|log_trimmed` or a bucket of a histogram as a person
 * reads it. Knows nothing of where it is printed.
 */

/** Names of histograms, and what one value of theirs is called. */
const HISTOGRAMS: Readonly<Record<string, { readonly one: string; readonly unit: string; readonly sum: string }>> = {
  tick_events: { one: "ticks", unit: "events", sum: "events of ticks together" },
  tick_seconds: { one: "ticks", unit: "s", sum: "seconds of ticks together" },
};

/** Rows of a table: what was counted, and how often. Buckets stand in the order of their bounds. */
export function countsTable(counts: Readonly<Record<string, number>>): [what: string, times: number][] {
  return Object.entries(counts)
    .map(([series, times]) => ({ series, times, place: placeOf(series) }))
    .toSorted((a, b) => (a.place < b.place ? -1 : Number(a.place > b.place)))
    .map(({ series, times }) => [wordsOf(series), Number(times.toFixed(3))]);
}

function wordsOf(series: string): string {
  const [name = "", ...values] = series.split("|");
  const histogram = HISTOGRAMS[name];
  const [bound] = values;
  if (histogram && bound !== undefined) {
    const limit = bound === "+Inf" ? "more" : `up to ${bound}`;
    return `${histogram.one} of ${limit} ${histogram.unit}`;
  }
  const summed = HISTOGRAMS[name.replace(/_sum$/, "")];
  if (summed && name.endsWith("_sum")) return summed.sum;
  const labels = values.filter((value) => value !== "").map((value) => value.replaceAll("%7C", "|"));
  return [name, ...labels].join(" ").replaceAll("_", " ");
}

/** A text that sorts buckets by their bounds, where the bounds as text would not. */
function placeOf(series: string): string {
  const [name = "", bound = ""] = series.split("|");
  if (!(name in HISTOGRAMS)) return series;
  const n = bound === "+Inf" ? Number.MAX_SAFE_INTEGER : Number(bound);
  return `${name}|${n.toFixed(3).padStart(20, "0")}`;
}
