/** Runs scenarios: in every round each rival in turn, so that whatever the machine does, it does to all. */
import { Progress } from "./progress.ts";
import { rivals, type Rival, type Running } from "./rivals.ts";
import type { Sample, ScenarioResult } from "./sample.ts";
import { timingOf, type Mode, type Scenario } from "./scenarios/scenario.ts";
import { scenarioTable } from "./table.ts";

/** Runs them all and prints each as it is done. */
export async function runAll(scenarios: readonly Scenario[], chosen: readonly Rival[], mode: Mode, rounds: number) {
  const sizes = scenarios.map((each) => takersOf(each, chosen, mode).length * (each.rounds ?? rounds));
  const progress = new Progress(sizes.reduce((sum, size) => sum + size, 0));
  const results: ScenarioResult[] = [];
  const failures: string[] = [];
  for (const scenario of scenarios) {
    let result: ScenarioResult;
    try {
      result = await runOne(scenario, takersOf(scenario, chosen, mode), mode, scenario.rounds ?? rounds, progress);
    } catch (error) {
      // A run that lost, doubled or disordered anything is void, and so is the scenario; the others are not.
      failures.push(`${scenario.id}: ${String(error)}`);
      progress.print(`\n${scenario.title}\nFAILED: ${String(error)}`);
      continue;
    }
    results.push(result);
    progress.print(`\n${result.title}\n${scenarioTable(result)}`);
  }
  return { results, failures };
}

function takersOf(scenario: Scenario, chosen: readonly Rival[], mode: Mode): readonly Rival[] {
  return chosen.filter((rival) => scenario.takes?.(rival, mode) ?? true);
}

async function runOne(
  scenario: Scenario,
  takers: readonly Rival[],
  mode: Mode,
  rounds: number,
  progress: Progress,
): Promise<ScenarioResult> {
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
      for (const [id, server] of running) {
        progress.begin(`${what}, ${titleOf(id)}`);
        const sample = await scenario.run?.(server, room, timingOf(mode, round === 0)).catch((error: unknown) => {
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
