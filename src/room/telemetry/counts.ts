/**
 * Counts of what happened, until somebody takes them. A series is a metric's name and the values of its labels, such as
 * `resumes|reset|log_trimmed`. Knows neither what is counted nor its readers.
 */
import type { CodeName } from "../../protocol/codes.ts";
import type { ResetReason } from "../../protocol/frames.ts";

/** Counts by series. */
export type Counts = Readonly<Record<string, number>>;

/** What rooms count. docs/guides/operate.md says what each means. */
export type RoomSeries =
  | "alarms"
  | `closes|${CodeName}`
  | "connects"
  | "dedupe_hits"
  | "deliveries"
  | `errors|${CodeName}`
  | `events_out|${"delivered" | "failed" | "dead" | "skipped"}`
  | "heartbeats_missed"
  | "messages_sent"
  | "publications"
  | "resumes|resumed|"
  | `resumes|reset|${ResetReason}`
  | "rows_written"
  | "signals"
  | `tick_events|${number | "+Inf"}`
  | "tick_events_sum"
  | `tick_seconds|${number | "+Inf"}`
  | "tick_seconds_sum"
  | "wakeups";

/** Two sets of counts as one. */
export function sum(a: Counts, b: Counts): Counts {
  const together = new Counters<string>();
  together.merge(a);
  together.merge(b);
  return together.counts;
}

/** A set of counters. */
export class Counters<S extends string = RoomSeries> {
  #counts: Record<string, number> = {};

  /** What was counted and not taken yet. */
  get counts(): Counts {
    return this.#counts;
  }

  add(series: S, n = 1): void {
    // What never happened is no series.
    if (n === 0) return;
    this.#counts[series] = (this.#counts[series] ?? 0) + n;
  }

  /** Adds what was counted elsewhere. */
  merge(counts: Counts): void {
    for (const [series, n] of Object.entries(counts)) this.#counts[series] = (this.#counts[series] ?? 0) + n;
  }

  /** Hands over everything counted so far and begins anew. */
  take(): Counts {
    const counts = this.#counts;
    this.#counts = {};
    return counts;
  }
}
