/**
 * Credit: our room with clients that acknowledge as the SDK does, against the same room with clients that do not ask
 * for credit. Acks are part of the cost. Uses the scenarios that publish.
 */
import { lone, saturated } from "./publish.ts";
import type { Scenario } from "./scenario.ts";

/** The rivals of this comparison. */
export const CREDIT = ["ours", "ours-without-credit"];

/** The scenarios that compare. */
export const creditScenarios: readonly Scenario[] = [
  lone(100, ["credit"]),
  lone(1_000, ["credit"]),
  saturated(1, 100, ["credit"]),
  saturated(1, 1_000, ["credit"]),
].map((scenario) => ({
  ...scenario,
  base: "ours-without-credit",
  columns: ["cost", "rate", "perMessage", "perAck", "p50", "p99", "generator", "late"],
}));
