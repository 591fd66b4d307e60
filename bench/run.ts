/**
 * Runs scenarios. In every round each rival has its turn, and the next round turns the order around, so that a load
 * from elsewhere hits all rivals alike. Knows nothing of budgets or result files.
 */
import { Progress } from "./progress.ts";
import { rivals, type Rival, type Running } from "./rivals.ts";
import type { Sample, ScenarioResult } from "./sample.ts";
import { timingOf, type Mode, type Scenario } from "./scenarios/scenario.ts";
import { scenarioTable } from "./table.ts";

/** What is run. */
export interface Plan {
  readonly mode: Mode;
  readonly scenarios: readonly Scenario[];
  readonly rivals: readonly Rival[];
  /** Rounds of every scenario that does not say otherwise. */
  readonly rounds: number;
}

/** Runs all scenarios, and prints each when it is done. */
export async function runAll(plan: Plan) {
  const sizes = plan.scenarios.map((each) => takersOf(each, plan).length * roundsOf(each, plan));
  const progress = new Progress(sizes.reduce((sum, size) => sum + size, 0));
  const results: ScenarioResult[] = [];
  const failures: string[] = [];
  for (const scenario of plan.scenarios) {
    let result: ScenarioResult;
    try {
      result = await runOne(scenario, plan, progress);
    } catch (error) {
      // A run that lost, doubled or disordered anything is void, and so is its scenario. The others are not.
      failures.push(`${scenario.id}: ${String(error)}`);
      progress.print(`\n${scenario.title}\nFAILED: ${String(error)}`);
      continue;
    }
    results.push(result);
    progress.print(`\n${result.title}\n${scenarioTable(result)}`);
  }
  return { results, failures };
}

const takersOf = (scenario: Scenario, plan: Plan) =>
  plan.rivals.filter((rival) => scenario.takes?.(rival, plan.mode) ?? true);

const roundsOf = (scenario: Scenario, plan: Plan) => scenario.rounds ?? plan.rounds;

async function runOne(scenario: Scenario, plan: Plan, progress: Progress): Promise<ScenarioResult> {
  const takers = takersOf(scenario, plan);
  const rounds = roundsOf(scenario, plan);
  const running = new Map<string, Running>();
  const samples: Record<string, Sample[]> = {};
  const keep = (id: string, sample: Sample) => (samples[id] ??= []).push(sample);
  try {
    for (const rival of takers) running.set(rival.id, await rival.start());
    for (let round = 0; round < rounds; round++) {
      const room = `${scenario.id}-${round}`;
      const what = `${scenario.id}, round ${round + 1} of ${rounds}`;
      if (scenario.together) {
        progress.begin(`${what}, all at once`);
        for (const [id, sample] of await scenario.together(running, room)) keep(id, sample);
        progress.step(takers.length);
        continue;
      }
      const order = round % 2 === 0 ? [...running] : [...running].toReversed();
      for (const [id, server] of order) {
        progress.begin(`${what}, ${titleOf(id)}`);
        const sample = await scenario.run?.(server, room, timingOf(plan.mode, round === 0)).catch((error: unknown) => {
          throw new Error(`${scenario.id}, ${titleOf(id)}: ${String(error)}`);
        });
        if (sample) keep(id, sample);
        progress.step();
      }
    }
  } finally {
    await Promise.all([...running.values()].map((server) => server.stop()));
  }
  const { id, title, key, base, columns } = scenario;
  return { id, title, key, base, columns, samples };
}

function titleOf(id: string): string {
  return rivals.find((rival) => rival.id === id)?.title ?? id;
}
