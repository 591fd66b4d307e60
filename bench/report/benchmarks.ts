/** Writes the tables of docs/concepts/benchmarks.md, from the result files of the last full run and the last run of growth. */
import { budgetTable, judge } from "../budgets.ts";
import type { Circumstances } from "../sample.ts";
import { scenarioTable } from "../table.ts";
import { fill, readResults } from "./markdown.ts";

/** Writes the tables. */
export async function reportBench(): Promise<void> {
  const full = readResults("full");
  const growth = readResults("growth");
  const nothing = "Not measured yet: `npm run bench`.";
  await fill("concepts/benchmarks.md", {
    circumstances: full ? [described(full.circumstances), ...full.skipped].join("\n\n") : nothing,
    budgets: full ? budgetTable(judge(full, "full")) : nothing,
    scenarios: full
      ? full.scenarios.map((each) => `### ${each.title}\n\n${scenarioTable(each)}`).join("\n\n")
      : nothing,
    growth: growth
      ? `${described(growth.circumstances)}\n\n${growth.scenarios.map((each) => `### ${each.title}\n\n${scenarioTable(each)}`).join("\n\n")}`
      : "Not measured yet: `npm run bench -- --growth`.",
  });
}

/** A line about where, when and with which versions a run was made. */
export function described({
  date,
  commit,
  command,
  cpu,
  cores,
  memory,
  kernel,
  versions,
  seconds,
}: Circumstances): string {
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `${date.slice(0, 10)}, commit ${commit}, \`${command}\`, ${Math.round(seconds / 60)} minutes. ${cpu}, ${cores} cores, ${memory}, ${kernel}. ${named.join(", ")}.`;
}
