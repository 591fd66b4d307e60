/**
 * When an isolate of the Worker hands what it has counted, and the failures it has seen, to the directory: some time after
 * a request, and before anyone reads. Owns the failures that wait for that.
 */
import { addRecord, type FailureRecord } from "../room/telemetry/failure.ts";
import type { Directory } from "./directory.ts";
import { isolate } from "./isolate.ts";
import { reportCounts } from "./shards.ts";

/** How long counts wait for more before they are handed over, in ms; the platform waits 30 s at most. */
const REPORT_AFTER_MS = 10_000;
/** A report that is older was lost with the request that it waited for, in ms. */
const REPORT_LOST_MS = 30_000;
/** Failures kept until they are handed over; the newest. */
const MAX_KEPT = 20;

let kept: readonly FailureRecord[] = [];
let begunAt = -Infinity;

/** Keeps a failure until the next report. */
export function keepReported(failure: FailureRecord): void {
  kept = addRecord(kept, failure, MAX_KEPT);
}

/** Begins a report, unless one is on its way. Returns what has to be waited for, if anything. */
export function reportSoon(env: object): Promise<void> | undefined {
  if (Date.now() - begunAt <= REPORT_LOST_MS) return undefined;
  begunAt = Date.now();
  return reportLater(env);
}

async function reportLater(env: object): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, REPORT_AFTER_MS));
  begunAt = -Infinity;
  await reportNow(env);
}

/** Hands everything to the directory, if there is one. What could not be handed over waits for the next report. */
export async function reportNow(env: object): Promise<void> {
  const { EDGEROOMS_DIRECTORY: directory } = env as { EDGEROOMS_DIRECTORY?: DurableObjectNamespace<Directory> };
  if (!directory) return;
  const counts = isolate.take();
  const failures = kept;
  kept = [];
  // A room in this isolate may have handed the counts over meanwhile.
  if (failures.length === 0 && Object.keys(counts).length === 0) return;
  try {
    await reportCounts(directory, counts, failures);
  } catch {
    isolate.merge(counts);
    kept = [...failures, ...kept].slice(-MAX_KEPT);
  }
}
