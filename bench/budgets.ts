/** The budgets of the design, and how a run compares with them. Knows nothing of how anything is measured. */
import { median } from "./measure/stats.ts";
import type { Results, Sample } from "./sample.ts";
import type { Mode } from "./scenarios/scenario.ts";
import { digits, ratios, table } from "./table.ts";

/** A budget, and what a run measured. */
export interface Verdict {
  readonly what: string;
  readonly budget: string;
  readonly limit: number;
  /** The median and the spread of all rounds; `undefined` when this run did not measure it. */
  readonly measured: { readonly median: number; readonly min: number; readonly max: number } | undefined;
  /** Over the limit by more than the spread, or in every round; or not measured though it should be. */
  readonly failed: boolean;
}

interface Budget {
  readonly what: string;
  readonly limit: number;
  readonly unit: string;
  readonly values: (results: Results) => readonly number[];
  /** The runs that measure it. */
  readonly modes: readonly Mode[];
}

const BOTH: readonly Mode[] = ["full", "quick"];

const ratio =
  (scenario: string, base: string, key?: string) =>
  ({ scenarios }: Results): readonly number[] => {
    const result = scenarios.find(({ id }) => id === scenario);
    return result ? ratios(result, { id: "ours", base, ...(key !== undefined && { key }) }) : [];
  };

const each =
  (scenario: string, key: string) =>
  ({ scenarios }: Results): readonly number[] =>
    (scenarios.find(({ id }) => id === scenario)?.samples["ours"] ?? []).map((sample) => sample[key] ?? NaN);

const fact = (what: string, limit: number, unit: string, name: string): Budget => ({
  what,
  limit,
  unit,
  values: ({ facts }) => [(facts as Partial<Sample>)[name] ?? NaN].filter(Number.isFinite),
  modes: BOTH,
});

const saturated = (publishers: number, sockets: number, modes = BOTH): Budget => ({
  what: `CPU per delivery, saturated by ${publishers}, ${sockets.toLocaleString("en-US")} sockets`,
  limit: 0.05,
  unit: "x bare",
  values: ratio(`saturated-${publishers}-${sockets}`, "bare"),
  modes,
});

const credit = (scenario: string, what: string): Budget => ({
  what: `CPU per delivery with credit, ${what}`,
  limit: 1.15,
  unit: "x without",
  values: ratio(scenario, "ours-without-credit"),
  modes: ["credit"],
});

const budgets: readonly Budget[] = [
  {
    what: "CPU per delivery, one at a time, 100 sockets",
    limit: 1.15,
    unit: "x durable",
    values: ratio("lone-100", "durable"),
    modes: BOTH,
  },
  saturated(1, 100),
  saturated(20, 100),
  saturated(1, 1_000),
  saturated(20, 1_000, ["full"]),
  fact("rows written per publication, alone", 1.05, "rows", "rowsAlone"),
  fact("rows written per publication, saturated", 0.1, "rows", "rowsSaturated"),
  {
    what: "latency p50, one at a time, 100 sockets",
    limit: 1.15,
    unit: "x durable",
    values: ratio("lone-100", "durable", "p50"),
    modes: BOTH,
  },
  fact("wake-ups an hour, room in use (by the rule)", 120, "alarms", "heartbeatsActive"),
  fact("wake-ups an hour, idle room (by the rule)", 15, "alarms", "heartbeatsIdle"),
  fact("rows written per wake-up", 1, "rows", "rowsPerHeartbeat"),
  fact("heartbeats for which an idle room stayed awake", 0, "of them", "awakeForHeartbeats"),
  fact("what woke an idle room besides alarms", 0, "events", "wokenByOthers"),
  {
    what: "resume over 1,000, messages",
    limit: 1,
    unit: "messages",
    values: each("resume-1", "messages"),
    modes: BOTH,
  },
  { what: "resume over 1,000, server CPU", limit: 20, unit: "ms", values: each("resume-1", "each"), modes: BOTH },
  fact("client, minified and gzipped", 9_700, "bytes", "clientBytes"),
  credit("lone-100", "one at a time, 100 sockets"),
  credit("lone-1000", "one at a time, 1,000 sockets"),
  credit("saturated-1-100", "saturated by 1, 100 sockets"),
  credit("saturated-1-1000", "saturated by 1, 1,000 sockets"),
];

/**
 * The budgets of a mode with what a run measured.
 *
 * @param isPart the run left out scenarios: only what it measured is judged
 */
export function judge(results: Results, mode: Mode, isPart = false): Verdict[] {
  const verdicts = budgets
    .filter(({ modes }) => modes.includes(mode))
    .map(({ what, limit, unit, values }) => verdictOn({ what, limit, unit }, values(results)));
  return verdicts.filter(({ measured }) => measured !== undefined || !isPart);
}

/** One budget with what a run measured: a value for each round. None at all is a budget that is missed. */
export function verdictOn({ what, limit, unit }: Omit<Budget, "values" | "modes">, values: readonly number[]): Verdict {
  const found = values.filter(Number.isFinite);
  const budget = `<= ${limit.toLocaleString("en-US")} ${unit}`;
  if (found.length === 0) return { what, budget, limit, measured: undefined, failed: true };
  const measured = { median: median(found), min: Math.min(...found), max: Math.max(...found) };
  // Where nothing varies, a little more than the limit is rounding.
  const most = limit * 1.001;
  const failed = measured.min > most || measured.median - (measured.max - measured.min) > most;
  return { what, budget, limit, measured, failed };
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
