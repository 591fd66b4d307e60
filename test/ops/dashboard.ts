/** Reads ops/grafana.json as Grafana would: its panels' expressions, with the variables filled in. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

/** Every expression of the dashboard, for all kinds and for what happened in the last minute. */
export function expressions(): string[] {
  const text = readFileSync(join(import.meta.dirname, "../../ops/grafana.json"), "utf8");
  const { panels } = JSON.parse(text) as { panels: readonly Panel[] };
  const variables = { $kind: ".*", $__rate_interval: "1m", $__range: "1m" };
  return panels
    .flatMap(({ targets = [] }) => targets)
    .map(({ expr }) => Object.entries(variables).reduce((all, [name, value]) => all.replaceAll(name, value), expr));
}
