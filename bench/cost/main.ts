/** `npm run bench:cost`: counts, prices, prints, and writes bench/results/cost.json; `--report` fills docs/guides/cost.md. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { circumstances } from "../machine.ts";
import { formatted } from "../report/markdown.ts";
import { reportCost } from "../report/cost.ts";
import type { CostResults } from "./counted.ts";
import { count } from "./measure.ts";
import { costTables } from "./tables.ts";

/** Runs the cost bench. */
export async function cost(flags: { readonly report: boolean }): Promise<void> {
  const started = performance.now();
  const where = circumstances();
  const ours = await count("ours", console.error);
  const obvious = await count("obvious", console.error);
  const seconds = Math.round((performance.now() - started) / 1_000);
  const results: CostResults = { circumstances: { ...where, seconds }, ours, obvious };
  const folder = join(import.meta.dirname, "../results");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "cost.json"), await formatted(JSON.stringify(results), "json"));
  const { headline, units, hours } = costTables(results);
  console.log(`\n${headline}\n\n${units}\n\n${hours}\n\nbench/results/cost.json, ${seconds} s`);
  if (flags.report) await reportCost();
}
