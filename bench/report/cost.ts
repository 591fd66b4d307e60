/** Writes the tables of docs/guides/cost.md, from the result file of the last cost bench. */
import type { CostResults } from "../cost/counted.ts";
import { PRICES } from "../cost/prices.ts";
import { costTables } from "../cost/tables.ts";
import { fill, readResults } from "./markdown.ts";

/** Writes the tables. */
export async function reportCost(): Promise<void> {
  const results = readResults<CostResults>("cost");
  if (!results) throw new Error("bench/results/cost.json is missing: npm run bench:cost");
  const { headline, units, hours } = costTables(results);
  const { date, commit, versions } = results.circumstances;
  await fill("guides/cost.md", {
    circumstances: `Counted ${date.slice(0, 10)} at commit ${commit} with workerd ${versions["workerd"]}; prices as of ${PRICES.asOf}.`,
    headline,
    hours,
    units,
  });
}
