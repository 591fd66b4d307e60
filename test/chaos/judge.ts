/** Judges what a run left in a folder: right after it, or again, when the checker has learned something. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { check } from "./checker.ts";
import { history } from "./record.ts";
import type { Opened } from "./relayed.ts";
import { explain, shortcomings, table, writeInto, type Run } from "./report.ts";
import { rooms } from "./rooms.ts";
import { Truth, type TruthPage } from "./truth.ts";

/** What a run leaves besides its history, so that it can be judged again. */
export interface Kept {
  readonly run: Run;
  readonly live: Readonly<Record<string, TruthPage[]>>;
  readonly durable: Readonly<Record<string, TruthPage[]>>;
  /** What the relays of each room opened. */
  readonly opened: Readonly<Record<string, Opened[]>>;
}

/**
 * Judges what lies in a folder and tells. Returns whether everything was kept.
 *
 * @param into a document that gets the table
 */
export async function judge(from: string, into?: string): Promise<boolean> {
  const { run, live, durable, opened } = JSON.parse(readFileSync(join(from, "run.json"), "utf8")) as Kept;
  const truths = new Map<string, Truth>();
  for (const room of rooms) {
    const truth = new Truth(room, durable[room] ?? [], opened[room] ?? []);
    truth.follows(new Truth(room, live[room] ?? []));
    truths.set(room, truth);
  }
  const paths = readdirSync(from)
    .filter((name) => name.endsWith(".jsonl"))
    .map((name) => join(from, name));
  const verdict = check(history(paths), truths);
  const text = table(run, verdict);
  console.log(text);
  for (const line of run.complaints) console.log(`the server said: ${line}`);
  if (into !== undefined) await writeInto(into, text);
  const lacking = shortcomings(verdict);
  for (const line of lacking) console.log(`THE RUN SAYS TOO LITTLE: ${line}`);
  if (verdict.violations.length === 0) return lacking.length === 0;
  console.log(explain(run, verdict, () => history(paths)));
  console.log(`The whole history is in ${from}; judge it again: npm run chaos -- --judge ${from}`);
  return false;
}
