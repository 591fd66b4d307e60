/** Writes the tables about relays of docs/concepts/benchmarks.md and docs/guides/cost.md, from the last whole run. */
import type { RelayResults } from "../relays/results.ts";
import { relayBill, relayTables } from "../relays/tables.ts";
import { described } from "./benchmarks.ts";
import { fill, readResults } from "./markdown.ts";

/** Writes the tables. */
export async function reportRelays(): Promise<void> {
  const results = readResults<RelayResults>("relays");
  if (!results) throw new Error("bench/results/relays.json is missing: npm run bench -- relays");
  const { circumstances } = results;
  await fill("concepts/benchmarks.md", { relays: `${described(circumstances)}\n\n${relayTables(results)}` });
  const bill = relayBill(results);
  if (bill) await fill("guides/cost.md", { "large room": bill.bill, "large room, counted": bill.counted });
}
