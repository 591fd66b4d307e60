/** One run of the bench: chooses, measures, prints, writes the result file, judges. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { budgetTable, judge } from "./budgets.ts";
import { findFacts } from "./facts.ts";
import { circumstances } from "./machine.ts";
import { formatted } from "./report/markdown.ts";
import { reportBench } from "./report/benchmarks.ts";
import { GIN_INSTALL, rivals, whyNoGin, type Rival } from "./rivals.ts";
import { runAll } from "./run.ts";
import { BUSY, LATE, type Results } from "./sample.ts";
import { connectScenarios } from "./scenarios/connect.ts";
import { publishScenarios } from "./scenarios/publish.ts";
import { restScenarios } from "./scenarios/rest.ts";
import type { Mode } from "./scenarios/scenario.ts";

/** The flags, as parsed. */
export interface Flags {
  readonly quick: boolean;
  readonly growth: boolean;
  readonly check: boolean;
  readonly report: boolean;
  readonly only: string;
  readonly rivals: string;
  readonly rounds: string;
  readonly out: string;
}

/** Rivals that the short run has: what budgets are ratios to. Those of growth, and who grows as the platform does. */
const QUICK = ["bare", "durable", "ours"];
const GROWTH = ["bare", "durable", "ours", "ws", "gin-coalesced"];

/** Runs. Sets the exit code when `check` is on and a budget is missed. */
export async function bench(flags: Flags): Promise<void> {
  const started = performance.now();
  const mode: Mode = flags.quick ? "quick" : flags.growth ? "growth" : "full";
  const { chosen, skipped } = choose(mode, flags.rivals);
  const wanted = new RegExp(flags.only);
  const rounds = Number(flags.rounds);
  if (!(Number.isInteger(rounds) && rounds > 0)) throw new Error("--rounds is a number above 0");
  if (flags.check && mode === "growth") throw new Error("--growth has no budgets to --check");
  const scenarios = [...publishScenarios, ...connectScenarios, ...restScenarios].filter(
    ({ id, modes }) => modes.includes(mode) && wanted.test(id),
  );
  const where = circumstances();
  console.log(`${where.cpu}, ${where.cores} cores, ${where.kernel}; ${where.date}, commit ${where.commit}`);
  console.log(
    Object.entries(where.versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(", "),
  );
  for (const line of skipped) console.log(line);

  const { results: measured, failures } = await runAll(scenarios, chosen, mode, rounds);
  const facts = mode === "growth" || flags.only !== "" ? {} : await findFacts();
  const seconds = Math.round((performance.now() - started) / 1_000);
  const results: Results = {
    circumstances: { ...where, seconds },
    rounds,
    skipped: [...skipped, ...failures],
    scenarios: measured,
    facts,
  };
  // Only whole runs are what the documents tell of.
  const isPart = flags.only !== "" || flags.rivals !== "";
  await save(results, flags.out || (isPart ? "partial" : mode));
  tellBusy(results);
  if (failures.length > 0) {
    console.log(`\nFailed, and not in the results:\n${failures.join("\n")}`);
    process.exitCode = 1;
  }
  if (flags.report) await reportBench();
  if (mode === "growth") return;
  const verdicts = judge(results, mode);
  console.log(`\n${budgetTable(verdicts)}\n\n${seconds} s`);
  const failed = verdicts.filter((verdict) => verdict.failed);
  if (!flags.check || failed.length === 0) return;
  console.log(`\nMissed by more than the spread of this run: ${failed.map(({ what }) => what).join("; ")}`);
  process.exitCode = 1;
}

function choose(mode: Mode, ids: string): { chosen: readonly Rival[]; skipped: readonly string[] } {
  const defaults = mode === "quick" ? QUICK : mode === "growth" ? GROWTH : rivals.map(({ id }) => id);
  const wanted = ids === "" ? defaults : ids.split(",");
  const unknown = wanted.filter((id) => !rivals.some((rival) => rival.id === id));
  if (unknown.length > 0) throw new Error(`there is no rival ${unknown.join(", ")}`);
  const why = wanted.some((id) => id.startsWith("gin")) ? whyNoGin() : undefined;
  return {
    chosen: rivals.filter(({ id }) => wanted.includes(id) && !(why && id.startsWith("gin"))),
    skipped: why ? [`Gin is skipped: ${why}. ${GIN_INSTALL}`] : [],
  };
}

/** bench/results/<name>.json */
async function save(results: Results, name: string): Promise<void> {
  const folder = join(import.meta.dirname, "results");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.json`), await formatted(JSON.stringify(results), "json"));
  console.log(`\nbench/results/${name}.json`);
}

function tellBusy({ scenarios }: Results): void {
  const busy = scenarios.flatMap(({ id, samples }) =>
    Object.entries(samples).flatMap(([rival, rounds]) =>
      rounds.some((sample) => sample["generatorBound"]) ? [`${id} of ${rival}`] : [],
    ),
  );
  const what = `more than ${BUSY * 100} % of a core, or was it more than ${LATE} ms late`;
  if (busy.length === 0) return console.log(`In no run did the generator need ${what}.`);
  console.log(`(!) The generator needed ${what}: ${busy.join(", ")}.`);
  console.log("There the throughput is the generator's. CPU per delivery is the server's all the same.");
}
