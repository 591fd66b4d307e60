/** Writes numbers for readers, in tables that suit both Markdown and a terminal. */
import { median, spread } from "./measure/stats.ts";
import { rivals } from "./rivals.ts";
import type { Sample, ScenarioResult } from "./sample.ts";

/** Names of the numbers of samples, and how each is written. */
const NAMES: Readonly<Record<string, readonly [string, (value: number) => string]>> = {
  cost: ["CPU, us", digits],
  each: ["CPU each, ms", digits],
  cpu: ["CPU, ms", digits],
  rate: ["a second", whole],
  perMessage: ["per message", digits],
  perAck: ["per ack", digits],
  p50: ["p50, ms", digits],
  p99: ["p99, ms", digits],
  slowP50: ["slow p50, ms", digits],
  slowP99: ["slow p99, ms", digits],
  allP50: ["last socket p50, ms", digits],
  allP99: ["last socket p99, ms", digits],
  first: ["first, ms", digits],
  last: ["last, ms", digits],
  done: ["all done, ms", digits],
  messages: ["messages each", digits],
  memory: ["kB a socket", (value) => digits(value / 1_000)],
  memoryAfter: ["kB a socket at the end", (value) => digits(value / 1_000)],
  wakes: ["wake-ups a minute", whole],
  generator: ["generator, cores", (value) => value.toFixed(2)],
  late: ["generator late p99, ms", digits],
};

/** With three significant digits. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return "-";
  const size = Math.abs(value);
  if (size >= 100) return whole(value);
  return value.toFixed(size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

/** Without digits after the point. */
export function whole(value: number): string {
  return Number.isFinite(value) ? Math.round(value).toLocaleString("en-US") : "-";
}

/** Rows as a Markdown table, first column to the left, the others to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, i) => Math.max(3, cell.length, ...rows.map((row) => (row[i] ?? "").length)));
  const pad = (cell: string, i: number) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0));
  const line = (cells: readonly string[]) => `| ${cells.map(pad).join(" | ")} |`;
  const rule = widths.map((width, i) => (i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

/** What is divided by what. */
interface Ratio {
  /** A rival. */
  readonly id: string;
  /** The rival that it is compared with. */
  readonly base: string;
  /** The number of a sample; the scenario's own when absent. */
  readonly key?: string;
}

/** The ratio of a rival to another, in every round. */
export function ratios(result: ScenarioResult, { id, base, key = result.key }: Ratio): number[] {
  const mine = result.samples[id] ?? [];
  const theirs = result.samples[base] ?? [];
  return mine.map((sample, round) => number(sample, key) / number(theirs[round], key)).filter(Number.isFinite);
}

/** A scenario as a table: medians, the spread of the key, and its ratio to the base (median and spread of all rounds). */
export function scenarioTable(result: ScenarioResult): string {
  const { key, base, columns, samples } = result;
  const head = columns.flatMap((name) => [label(name), ...(name === key ? ["min..max", `x ${base}`] : [])]);
  const rows = rivals
    .filter(({ id }) => samples[id])
    .map(({ id, title }) => {
      const mine = samples[id] ?? [];
      const cells = columns.flatMap((name) => {
        const values = mine.map((sample) => number(sample, name)).filter(Number.isFinite);
        const [, write = digits] = NAMES[name] ?? [];
        const mark = name === "generator" && mine.some((sample) => sample["generatorBound"]) ? " (!)" : "";
        const cell = write(median(values)) + mark;
        if (name !== key) return [cell];
        const { min, max } = spread(values);
        const all = ratios(result, { id, base });
        const ratio =
          all.length === 0 ? "-" : `${digits(median(all))} (${digits(Math.min(...all))}..${digits(Math.max(...all))})`;
        return [cell, `${write(min)}..${write(max)}`, ratio];
      });
      return [title, ...cells];
    });
  return table(["", ...head], rows);
}

/** The name of a number in tables and plots. */
export function label(name: string): string {
  return NAMES[name]?.[0] ?? name;
}

function number(sample: Sample | undefined, name: string): number {
  return sample?.[name] ?? NaN;
}
