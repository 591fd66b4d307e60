/**
 * What a client does after a close code: the table of codes.ts as a rule, because a page should not carry 25 rows for
 * seven numbers. A test compares the two for every code.
 */
import type { NextStep } from "../protocol/codes.ts";

/** What to do after a close code, known or not. */
export function nextStep(close: number): NextStep {
  const band = Math.floor(close / 100);
  if (close === 1000 || band === 44) return "stop";
  if (band === 42) return "renew";
  return band === 40 || [1001, 1009, 1012].includes(close) ? "reconnect" : "later";
}
