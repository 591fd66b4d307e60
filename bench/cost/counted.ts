/** What the cost bench counts, and the result file that holds it. Types only: everyone in cost/ and report/ needs them. */
import type { Circumstances } from "../sample.ts";
import type { Use } from "./meter.ts";

/** The two ways of writing rooms that are compared. */
export type Way = "ours" | "obvious";

/** What one thing costs, by the name of what was run. */
export interface Counted {
  /** One connection, by workload. */
  readonly join: Readonly<Record<string, Use>>;
  /** One connection lost for good while others stay: announced after the grace, forgotten after the resume window. */
  readonly leave: Use;
  /** One heartbeat or ping of a room that sleeps in between, by its number of members. */
  readonly heartbeat: Readonly<Record<number, Use>>;
  /** One publication or signal, by workload; and `saturated`. */
  readonly one: Readonly<Record<string, Use>>;
  /** How many of each were run. */
  readonly runs: Readonly<Record<string, number>>;
}

/** A result file of the cost bench. */
export interface CostResults {
  readonly circumstances: Circumstances;
  readonly ours: Counted;
  readonly obvious: Counted;
}
