/**
 * Where the end of a connection goes: one line in the log, apart from those of failures, so that a flood of refused frames
 * leaves room for it. Bounded all the same: when everyone goes at once, some lines stand for all.
 */
import { codes } from "../protocol/codes.ts";
import type { EndRecord } from "../room/telemetry/end.ts";

/** Lines per code and minute, per isolate. Lines left out are counted, and the next line says how many. */
const LINES = 120;
const MINUTE_MS = 60_000;

/** The lines of one code. */
interface Flow {
  minute: number;
  lines: number;
  leftOut: number;
}

const flows = new Map<string, Flow>();

/** Logs the end of a connection. */
export function recordEnd({ at, ...end }: EndRecord): void {
  const minute = Math.floor(at / MINUTE_MS);
  const flow = flows.get(end.code) ?? { minute, lines: 0, leftOut: 0 };
  flows.set(end.code, flow);
  if (flow.minute !== minute) Object.assign(flow, { minute, lines: 0 });
  if (++flow.lines > LINES) {
    flow.leftOut++;
    return;
  }
  const level = end.code === "closed" || end.code === "lost" ? "info" : codes[end.code].severity;
  // The log has its own times.
  const line = JSON.stringify({ level, ...end, ...(flow.leftOut > 0 && { leftOut: flow.leftOut }) });
  flow.leftOut = 0;
  if (level === "info") console.info(line);
  else if (level === "warn") console.warn(line);
  else console.error(line);
}
