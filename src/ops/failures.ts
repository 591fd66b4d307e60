/**
 * Where a failure goes besides its answer: one line in the log, and for alerts a call to the deployer. The same for rooms and
 * for the Worker. Bounded: a flood of failures makes neither a flood of lines nor one of calls.
 */
import { END_SOURCE } from "../protocol/api.ts";
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

/** Lines per code and minute, per isolate; ends of connections have as many of their own. Lines left out are counted, and the next line says how many. */
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

/** Whether a failure is the end of a connection: each of those is told, whatever its severity. */
export function isEnd({ source }: Pick<FailureRecord, "source">): boolean {
  return source === END_SOURCE;
}

/**
 * Logs a failure, and calls `onAlert` when its severity is alert.
 *
 * @returns a promise that the caller must keep alive, if any
 */
export function record(failure: FailureRecord, onAlert: OnAlert | undefined): Promise<void> | undefined {
  const { severity } = codes[failure.code];
  if (severity === "info" && !isEnd(failure)) return undefined;
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

/** A flood of refused frames must not use up the lines of the cut that it leads to. */
function flowOf(failure: FailureRecord): Flow {
  const minute = Math.floor(failure.at / MINUTE);
  const key = `${failure.code} ${isEnd(failure)}`;
  let flow = flows.get(key);
  if (!flow) flows.set(key, (flow = { minute, lines: 0, leftOut: 0, alertedAt: -Infinity }));
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
  if (level === "info") console.info(line);
  else if (level === "warn") console.warn(line);
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
