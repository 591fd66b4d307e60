/** One run of the bench: chooses, measures, prints, writes the result file, judges. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { budgetTable, judge } from "./budgets.ts";
import { findFacts } from "./facts.ts";
import { circumstances } from "./machine.ts";
import { formatted } from "./report/markdown.ts";
import { reportBench } from "./report/benchmarks.ts";
import { GIN_INSTALL, rivals, whyNoGin, type Rival } from "./rivals.ts";
import { runAll, type Plan } from "./run.ts";
import { BUSY, LATE, type Circumstances, type Results } from "./sample.ts";
import { connectScenarios } from "./scenarios/connect.ts";
import { CREDIT, creditScenarios } from "./scenarios/credit.ts";
import { publishScenarios } from "./scenarios/publish.ts";
import { restScenarios } from "./scenarios/rest.ts";
import type { Mode } from "./scenarios/scenario.ts";

/** The command and its flags, as parsed. */
export interface Flags {
  readonly credit: boolean;
  readonly quick: boolean;
  readonly growth: boolean;
  readonly check: boolean;
  readonly report: boolean;
  readonly only: string;
  readonly rivals: string;
  readonly rounds: string;
  readonly out: string;
}

/** The rivals of a run that does not name them. The short run has those that budgets compare with. */
const DEFAULTS: Readonly<Record<Mode, readonly string[]>> = {
  full: rivals.filter(({ isVariant }) => !isVariant).map(({ id }) => id),
  quick: ["bare", "durable", "ours"],
  growth: ["bare", "durable", "ours", "ws", "gin-coalesced"],
  credit: CREDIT,
};

/** Runs. Sets the exit code when a run fails, or when `check` is on and a budget is missed. */
export async function bench(flags: Flags): Promise<void> {
  const started = performance.now();
  const { plan, skipped } = planOf(flags);
  const { mode, rounds } = plan;
  const where = circumstances();
  introduce(where, skipped);

  // Documents are made from whole runs only.
  const isPart = flags.only !== "" || flags.rivals !== "";
  const { results: scenarios, failures } = await runAll(plan);
  const facts = (mode === "full" || mode === "quick") && flags.only === "" ? await findFacts() : {};
  const seconds = Math.round((performance.now() - started) / 1_000);
  const results: Results = {
    circumstances: { ...where, seconds },
    rounds,
    skipped: [...skipped, ...failures],
    scenarios,
    facts,
  };
  await save(results, flags.out || (isPart ? "partial" : mode));
  reportBusy(results);
  if (failures.length > 0) {
    console.log(`\nFailed, and not in the results:\n${failures.join("\n")}`);
    process.exitCode = 1;
  }
  if (flags.report) await reportBench();
  if (mode === "growth") return;
  const verdicts = judge(results, mode, isPart);
  if (flags.check && verdicts.length === 0) throw new Error("this run measures nothing that has a budget");
  console.log(`\n${budgetTable(verdicts)}\n\n${seconds} s`);
  const failed = verdicts.filter((verdict) => verdict.failed);
  if (!flags.check || failed.length === 0) return;
  console.log(`\nMissed by more than the spread of this run: ${failed.map(({ what }) => what).join("; ")}`);
  process.exitCode = 1;
}

function modeOf({ credit, quick, growth, check }: Flags): Mode {
  const modes = [...(credit ? ["credit" as const] : []), ...(quick ? ["quick" as const] : [])];
  const [mode = "full", other] = growth ? [...modes, "growth" as const] : modes;
  if (other) throw new Error(`one run is either ${mode} or ${other}`);
  if (check && mode === "growth") throw new Error("--growth has no budgets to --check");
  return mode;
}

function planOf(flags: Flags): { readonly plan: Plan; readonly skipped: readonly string[] } {
  const mode = modeOf(flags);
  const rounds = Number(flags.rounds);
  if (!(Number.isInteger(rounds) && rounds > 0)) throw new Error("--rounds must be an integer above 0");
  const only = new RegExp(flags.only);
  const scenarios = [...publishScenarios, ...creditScenarios, ...connectScenarios, ...restScenarios].filter(
    ({ id, modes }) => modes.includes(mode) && only.test(id),
  );
  if (scenarios.length === 0) throw new Error(`no scenario of this run matches ${flags.only}`);
  const { chosen, skipped } = chooseRivals(mode, flags.rivals);
  return { plan: { mode, scenarios, rivals: chosen, rounds }, skipped };
}

function chooseRivals(mode: Mode, ids: string): { chosen: readonly Rival[]; skipped: readonly string[] } {
  const wanted = ids === "" ? DEFAULTS[mode] : ids.split(",");
  const unknown = wanted.filter((id) => !rivals.some((rival) => rival.id === id));
  if (unknown.length > 0) throw new Error(`no rival is called ${unknown.join(", ")}`);
  const why = wanted.some((id) => id.startsWith("gin")) ? whyNoGin() : undefined;
  return {
    chosen: rivals.filter(({ id }) => wanted.includes(id) && !(why && id.startsWith("gin"))),
    skipped: why ? [`Gin is skipped: ${why}. ${GIN_INSTALL}`] : [],
  };
}

function introduce(where: Omit<Circumstances, "seconds">, skipped: readonly string[]): void {
  const versions = Object.entries(where.versions).map(([name, version]) => `${name} ${version}`);
  console.log(`${where.cpu}, ${where.cores} cores, ${where.kernel}; ${where.date}, commit ${where.commit}`);
  console.log(versions.join(", "));
  for (const line of skipped) console.log(line);
}

/** Writes bench/results/<name>.json. */
async function save(results: Results, name: string): Promise<void> {
  const folder = join(import.meta.dirname, "results");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.json`), await formatted(JSON.stringify(results), "json"));
  console.log(`\nbench/results/${name}.json`);
}

function reportBusy({ scenarios }: Results): void {
  const busy = scenarios.flatMap(({ id, samples }) =>
    Object.entries(samples).flatMap(([rival, rounds]) =>
      rounds.some((sample) => sample["generatorBound"]) ? [`${id} of ${rival}`] : [],
    ),
  );
  const what = `more than ${BUSY * 100} % of a core, or was more than ${LATE} ms late`;
  if (busy.length === 0) return console.log(`In no run the generator needed ${what}.`);
  console.log(`(!) The generator needed ${what}: ${busy.join(", ")}.`);
  console.log("There the throughput is the generator's. CPU per delivery is the server's all the same.");
}
