/**
 * `npm run bench:plots`: draws docs/plots/*.svg with Vega-Lite from the result files, for light and dark pages. Writes
 * the tables of the documents from the same files.
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
import { reportRelays } from "./relays.ts";
import { median } from "../measure/stats.ts";
import { rivals } from "../rivals.ts";
import type { Circumstances, Results, ScenarioResult } from "../sample.ts";

const folder = join(import.meta.dirname, "../../docs/plots");

/** Draws the charts of all result files that exist, and writes the tables. */
export async function plots(): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const full = readResults("full");
  const growth = readResults("growth");
  const cost = readResults<CostResults>("cost");
  if (full) await plotFull(full);
  if (growth) await plotGrowth(growth);
  await reportBench();
  if (readResults("relays")) await reportRelays();
  if (!cost) return;
  await reportCost();
  const note = noteOf(cost.circumstances);
  const chart = { title: "What Cloudflare bills", unit: "dollars, logarithmic", dots: costDots(cost), note };
  await draw("cost", bars(chart, true));
}

async function plotFull({ scenarios, circumstances }: Results): Promise<void> {
  const note = noteOf(circumstances);
  const by = (ids: RegExp, key: string) =>
    scenarios.filter(({ id }) => ids.test(id)).flatMap((each) => dots(each, each.title, key));
  const saturated = { unit: "us, logarithmic", dots: by(/^saturated/, "cost"), note };
  const lone = { unit: "us", dots: by(/^lone/, "cost"), note };
  const memory = { unit: "kB", dots: by(/^idle/, "memory").map(thousandth), note };
  const connect = { unit: "us", dots: by(/^storm/, "cost"), note };
  await draw("saturated", bars({ title: "CPU of the server for each delivery, saturated", ...saturated }, true));
  await draw("lone", bars({ title: "CPU of the server for each delivery, one publication at a time", ...lone }));
  await draw("memory", bars({ title: "Memory of the server for each idle socket", ...memory }));
  await draw("connect", bars({ title: "CPU of the server for each connection, token verified", ...connect }));
}

async function plotGrowth({ scenarios, circumstances }: Results): Promise<void> {
  const note = noteOf(circumstances);
  const grown = (prefix: string) =>
    scenarios
      .filter(({ id }) => id.startsWith(prefix))
      .flatMap((each) =>
        dots(each, each.title, "cost").map((dot) => ({ ...dot, x: Number(each.id.slice(prefix.length)) })),
      );
  const sockets = { unit: "sockets in the room", dots: grown("grow-sockets-"), note };
  const rooms = { unit: "rooms", dots: grown("grow-rooms-"), note };
  await draw("growth-sockets", lines({ title: "CPU for each delivery, one publisher saturates one room", ...sockets }));
  await draw(
    "growth-rooms",
    lines({ title: "CPU for each delivery, rooms of 5, one publication in flight in each", ...rooms }),
  );
}

const thousandth = (dot: Dot): Dot => ({ ...dot, y: dot.y / 1_000 });

function dots(result: ScenarioResult, group: string, key: string): Dot[] {
  return rivals.flatMap(({ id, title }) => {
    const values = (result.samples[id] ?? []).map((sample) => sample[key] ?? NaN);
    return values.length > 0 ? [{ id, title, group, x: 0, y: median(values) }] : [];
  });
}

function noteOf({ date, commit, cpu, cores, versions }: Circumstances): string {
  return `${cpu}, ${cores} cores; workerd ${versions["workerd"]}, node ${versions["node"]}; commit ${commit}, ${date.slice(0, 10)}`;
}

async function draw(name: string, spec: TopLevelSpec): Promise<void> {
  const view = new View(parse(compile(spec).spec), { renderer: "none" });
  const svg = await view.toSVG();
  view.finalize();
  // Only these three greys differ between light and dark pages. The colours of series are readable on both.
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
