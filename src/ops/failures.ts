/**
 * Where a failure goes besides its answer: one line in the log, and for alerts a call to the deployer. The same for rooms and
 * for the Worker. Bounded: a flood of failures makes neither a flood of lines nor one of calls.
 */
import { codes, texts, type Severity } from "../protocol/codes.ts";
import type { FailureRecord } from "../room/telemetry/failure.ts";
import { isolate } from "./isolate.ts";

/** A failure that a person must look at now. */
export interface Alert extends FailureRecord {
  /** The code's sentence. */
  readonly text: string;
}

/** Sends an alert. A throw is counted, and nothing else. */
export type OnAlert = (alert: Alert) => Promise<void> | void;

/** Lines per code and minute, per isolate. Lines left out are counted, and the next line says how many. */
const LINES = 30;
/** Between two calls for the same code, per isolate, in ms. */
const ALERT_EVERY = 60_000;
const MINUTE = 60_000;

interface Flow {
  minute: number;
  lines: number;
  leftOut: number;
  alertedAt: number;
}

const flows = new Map<string, Flow>();

/**
 * Logs a failure, and calls `onAlert` when its severity is alert.
 *
 * @returns a promise that the caller must keep alive, if any
 */
export function record(failure: FailureRecord, onAlert: OnAlert | undefined): Promise<void> | undefined {
  const { severity } = codes[failure.code];
  if (severity === "info") return undefined;
  const flow = flowOf(failure);
  write(failure, severity, flow);
  if (severity !== "alert" || !onAlert) return undefined;
  if (failure.at - flow.alertedAt < ALERT_EVERY) {
    isolate.count("alerts", { result: "suppressed" });
    return undefined;
  }
  flow.alertedAt = failure.at;
  return call({ ...failure, text: texts[failure.code] }, onAlert);
}

function flowOf({ code, at }: FailureRecord): Flow {
  const minute = Math.floor(at / MINUTE);
  let flow = flows.get(code);
  if (!flow) flows.set(code, (flow = { minute, lines: 0, leftOut: 0, alertedAt: -Infinity }));
  if (flow.minute !== minute) {
    flow.minute = minute;
    flow.lines = 0;
  }
  return flow;
}

function write(failure: FailureRecord, level: Severity, flow: Flow): void {
  if (++flow.lines > LINES) {
    flow.leftOut++;
    return;
  }
  const { leftOut } = flow;
  flow.leftOut = 0;
  // The log has its own times.
  const line = JSON.stringify({ level, ...failure, at: undefined, ...(leftOut > 0 && { leftOut }) });
  if (level === "warn") console.warn(line);
  else console.error(line);
}

async function call(alert: Alert, onAlert: OnAlert): Promise<void> {
  try {
    await onAlert(alert);
    isolate.count("alerts", { result: "sent" });
  } catch {
    isolate.count("alerts", { result: "failed" });
  }
}
