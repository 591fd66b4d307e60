/**
 * `npm run bench:plots`: draws docs/plots/*.svg with Vega-Lite from the result files, for light and dark pages, and
 * writes the tables of the documents from the same files.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import type { CostResults } from "../cost/counted.ts";
import { reportBench } from "./benchmarks.ts";
import { bars, lines, type Dot } from "./charts.ts";
import { reportCost } from "./cost.ts";
import { costDots } from "./cost-dots.ts";
import { readResults } from "./markdown.ts";
import { median } from "../measure/stats.ts";
import { rivals } from "../rivals.ts";
import type { Circumstances, Results, ScenarioResult } from "../sample.ts";

const folder = join(import.meta.dirname, "../../docs/plots");

/** Draws whatever there are results for. */
export async function plots(): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const full = readResults("full");
  const growth = readResults("growth");
  const cost = readResults<CostResults>("cost");
  if (full) {
    const by = (ids: RegExp, key: string) =>
      full.scenarios.filter(({ id }) => ids.test(id)).flatMap((s) => dots(s, s.title, key));
    const note = told(full.circumstances);
    await draw(
      "saturated",
      bars("CPU of the server for each delivery, saturated", "us, logarithmic", by(/^saturated/, "cost"), note, true),
    );
    await draw(
      "lone",
      bars("CPU of the server for each delivery, one publication at a time", "us", by(/^lone/, "cost"), note),
    );
    await draw(
      "memory",
      bars("Memory of the server for each idle socket", "kB", by(/^idle/, "memory").map(thousandth), note),
    );
    await draw(
      "connect",
      bars("CPU of the server for each connection, token verified", "us", by(/^storm/, "cost"), note),
    );
  }
  if (growth) {
    const grown = (prefix: string) =>
      growth.scenarios
        .filter(({ id }) => id.startsWith(prefix))
        .flatMap((s) => dots(s, s.title, "cost").map((dot) => ({ ...dot, x: Number(s.id.slice(prefix.length)) })));
    const note = told(growth.circumstances);
    await draw(
      "growth-sockets",
      lines(
        "CPU for each delivery, one publisher saturates one room",
        "sockets in the room",
        grown("grow-sockets-"),
        note,
      ),
    );
    await draw(
      "growth-rooms",
      lines(
        "CPU for each delivery, rooms of 5, one publication on its way in each",
        "rooms",
        grown("grow-rooms-"),
        note,
      ),
    );
  }
  await reportBench();
  if (cost) await reportCost();
  if (cost)
    await draw(
      "cost",
      bars("What Cloudflare bills", "dollars, logarithmic", costDots(cost), told(cost.circumstances), true),
    );
}

const thousandth = (dot: Dot): Dot => ({ ...dot, y: dot.y / 1_000 });

function dots(result: ScenarioResult, group: string, key: string): Dot[] {
  return rivals.flatMap(({ id, title }) => {
    const values = (result.samples[id] ?? []).map((sample) => sample[key] ?? NaN);
    return values.length > 0 ? [{ id, title, group, x: 0, y: median(values) }] : [];
  });
}

function told({ date, commit, cpu, cores, versions }: Circumstances & Pick<Results["circumstances"], "date">): string {
  return `${cpu}, ${cores} cores; workerd ${versions["workerd"]}, node ${versions["node"]}; commit ${commit}, ${date.slice(0, 10)}`;
}

async function draw(name: string, spec: TopLevelSpec): Promise<void> {
  const view = new View(parse(compile(spec).spec), { renderer: "none" });
  const svg = await view.toSVG();
  view.finalize();
  // Pages are light or dark; these three greys are all that has to follow. Series are readable on both.
  const style = `<style>@media (prefers-color-scheme:dark){${[
    ["#24292f", "#e6edf3"],
    ["#57606a", "#9da7b1"],
    ["#d8dee4", "#343b44"],
  ]
    .map(([light, dark]) => `[fill="${light}"]{fill:${dark}}[stroke="${light}"]{stroke:${dark}}`)
    .join("")}}</style>`;
  writeFileSync(join(folder, `${name}.svg`), `${svg.replace(/(<svg[^>]*>)/, `$1${style}`)}\n`);
  console.log(`docs/plots/${name}.svg`);
}
