/** The budgets of the design, and how a run compares to them. */
import { median } from "./measure/stats.ts";
import type { Results, Sample } from "./sample.ts";
import type { Mode } from "./scenarios/scenario.ts";
import { digits, ratios, table } from "./table.ts";

/** A budget and what was measured. */
export interface Verdict {
  readonly what: string;
  readonly budget: string;
  readonly limit: number;
  /** The median over the rounds, and how far they lie apart; `undefined` when this run did not measure it. */
  readonly measured: { readonly median: number; readonly min: number; readonly max: number } | undefined;
  /** More than the limit by more than the rounds lie apart, or in every round; or not measured where it should be. */
  readonly failed: boolean;
}

interface Budget {
  readonly what: string;
  readonly limit: number;
  readonly unit: string;
  readonly values: (results: Results) => readonly number[];
  /** Only the full run measures it. */
  readonly full?: true;
}

const ratio =
  (scenario: string, base: string, key?: string) =>
  ({ scenarios }: Results): readonly number[] => {
    const result = scenarios.find(({ id }) => id === scenario);
    return result ? ratios(result, "ours", base, key) : [];
  };

const each =
  (scenario: string, key: string) =>
  ({ scenarios }: Results): readonly number[] =>
    (scenarios.find(({ id }) => id === scenario)?.samples["ours"] ?? []).map((sample) => sample[key] ?? NaN);

const fact =
  (name: string) =>
  ({ facts }: Results): readonly number[] =>
    [(facts as Partial<Sample>)[name] ?? NaN].filter(Number.isFinite);

const saturated = (publishers: number, sockets: number, full?: true): Budget => ({
  ...(full && { full }),
  what: `CPU per delivery, saturated by ${publishers}, ${sockets.toLocaleString("en-US")} sockets`,
  limit: 0.05,
  unit: "x bare",
  values: ratio(`saturated-${publishers}-${sockets}`, "bare"),
});

const budgets: readonly Budget[] = [
  {
    what: "CPU per delivery, one at a time, 100 sockets",
    limit: 1.15,
    unit: "x durable",
    values: ratio("lone-100", "durable"),
  },
  saturated(1, 100),
  saturated(20, 100),
  saturated(1, 1_000),
  saturated(20, 1_000, true),
  { what: "rows written per publication, alone", limit: 1.05, unit: "rows", values: fact("rowsAlone") },
  { what: "rows written per publication, saturated", limit: 0.1, unit: "rows", values: fact("rowsSaturated") },
  {
    what: "latency p50, one at a time, 100 sockets",
    limit: 1.15,
    unit: "x durable",
    values: ratio("lone-100", "durable", "p50"),
  },
  { what: "wake-ups an hour, room in use (by the rule)", limit: 120, unit: "alarms", values: fact("beatsActive") },
  { what: "wake-ups an hour, idle room (by the rule)", limit: 15, unit: "alarms", values: fact("beatsIdle") },
  { what: "rows written per wake-up", limit: 1, unit: "rows", values: fact("rowsPerBeat") },
  { what: "beats of an idle room for which it stayed awake", limit: 0, unit: "of them", values: fact("awakeForBeats") },
  { what: "what woke an idle room besides alarms", limit: 0, unit: "events", values: fact("wokenByOthers") },
  { what: "resume over 1,000, messages", limit: 1, unit: "messages", values: each("resume-1", "messages") },
  { what: "resume over 1,000, server CPU", limit: 20, unit: "ms", values: each("resume-1", "each") },
  { what: "client, minified and gzipped", limit: 6_700, unit: "bytes", values: fact("clientBytes") },
];

/** Every budget with what a run measured. */
export function judge(results: Results, mode: Mode): Verdict[] {
  return budgets.map(({ what, limit, unit, values, full }) => {
    const found = values(results).filter(Number.isFinite);
    const budget = `<= ${limit.toLocaleString("en-US")} ${unit}`;
    const isExpected = mode === "full" || !full;
    if (found.length === 0) return { what, budget, limit, measured: undefined, failed: isExpected };
    const measured = { median: median(found), min: Math.min(...found), max: Math.max(...found) };
    // A little more than the limit is rounding where nothing varies.
    const most = limit * 1.001;
    const failed = measured.min > most || measured.median - (measured.max - measured.min) > most;
    return { what, budget, limit, measured, failed };
  });
}

/** The budgets as a table. */
export function budgetTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ what, budget, limit, measured, failed }) => {
    if (!measured) return [what, budget, "-", "-", "not in this run"];
    const { min, max } = measured;
    const verdict = failed ? "MISSED" : measured.median > limit * 1.001 ? "within the spread" : "kept";
    return [what, budget, digits(measured.median), min === max ? "-" : `${digits(min)}..${digits(max)}`, verdict];
  });
  return table(["what", "budget", "measured", "rounds", ""], rows);
}
