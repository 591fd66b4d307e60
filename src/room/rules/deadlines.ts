/**
 * Pure arithmetic of time: what is due at which moment, and how long a connection was silent. Knows no clock and no table.
 */

/** The room's heartbeat: when the next one is due, and how far apart they are now. Times in ms since the epoch. */
export interface Heartbeat {
  readonly due: number;
  readonly interval: number;
  /** When the last one was really sent, as far as anybody remembers: a failed alarm sends none. */
  readonly sentAt: number;
}

/** What of a session time can end. */
export interface SessionTimes {
  readonly droppedAt: number | null;
  readonly present: boolean;
  readonly expires: number;
}

/** How long a drop stays unannounced, and how long a dropped session can be resumed. In ms. */
export interface Windows {
  readonly grace: number;
  readonly resumeWindow: number;
}

/** After what time a connection for which there was no place may try again, in ms: others must have gone meanwhile. */
export const NO_PLACE_RETRY_MS = 30_000;

/** When a session needs attention: its token runs out, its drop becomes a leave, or its resume window closes. */
export function sessionDeadline(session: SessionTimes, windows: Windows): number {
  const { droppedAt, present, expires } = session;
  if (droppedAt === null) return expires;
  return droppedAt + (present ? windows.grace : windows.resumeWindow);
}

/** The heartbeat after one at `now`: the interval doubles while nothing happens, up to `idle`. */
export function nextHeartbeat(
  interval: number,
  isBusy: boolean,
  rule: { readonly every: number; readonly idle: number },
  now: number,
): Heartbeat {
  const next = isBusy ? rule.every : Math.min(rule.idle, interval * 2);
  return { due: now + next, interval: next, sentAt: now };
}

/**
 * Heartbeats in a row that a connection has left unanswered, at the moment of the next one.
 *
 * @param before how many it had left unanswered at the last one
 * @param times when it opened, when it last answered (0 for never), and when the last heartbeat was sent
 */
export function missed(
  before: number,
  times: { readonly since: number; readonly answeredAt: number; readonly sentAt: number },
): number {
  const { since, answeredAt, sentAt } = times;
  const wasAsked = since < sentAt;
  return wasAsked && answeredAt < sentAt ? before + 1 : 0;
}
