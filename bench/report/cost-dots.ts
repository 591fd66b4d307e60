/** The prices of the cost bench as dots of a chart. */
import { headlines } from "../cost/tables.ts";
import type { CostResults } from "../cost/counted.ts";
import type { Dot } from "./charts.ts";

/** One dot for each way of each headline. */
export function costDots(results: CostResults): Dot[] {
  return headlines(results).flatMap(({ title, bills }) => [
    { id: "ours", title: "edgerooms", group: title, x: 0, y: bills.ours.dollars },
    { id: "obvious", title: "obvious way", group: title, x: 0, y: bills.obvious.dollars },
  ]);
}
