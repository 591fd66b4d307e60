/**
 * Pure: what in a room is due at which moment, when the one alarm must ring, who is silent. Everything time-driven in
 * a room is a line in {@link nextDeadline}; nothing else decides when to wake.
 */

/** The heartbeat's beat: when the next one is due and how far apart they are now. */
export interface Beat {
  readonly due: number;
  readonly interval: number;
}

/** What of a session time can end. */
export interface SessionTimes {
  readonly droppedAt: number | null;
  readonly present: boolean;
  readonly expires: number;
}

export interface Windows {
  /** How long a drop stays unannounced. */
  readonly grace: number;
  /** How long a dropped session can be resumed. */
  readonly resumeWindow: number;
}

/** When a session needs attention: its token runs out, its drop becomes a leave, or its resume window closes. */
export function sessionDeadline(session: SessionTimes, windows: Windows): number {
  const { droppedAt, present, expires } = session;
  if (droppedAt === null) return expires;
  return droppedAt + (present ? windows.grace : windows.resumeWindow);
}

/** The moment the alarm must ring, or `undefined` when nothing will ever be due. */
export function nextDeadline(
  sessions: Iterable<SessionTimes>,
  windows: Windows,
  others: Iterable<number | undefined>,
): number | undefined {
  let next = Infinity;
  for (const session of sessions) next = Math.min(next, sessionDeadline(session, windows));
  for (const other of others) next = Math.min(next, other ?? Infinity);
  return next === Infinity ? undefined : next;
}

/** The beat after one at `now`: the interval doubles while nothing happens, up to `idle`. */
export function nextBeat(
  interval: number,
  busy: boolean,
  rule: { readonly every: number; readonly idle: number },
  now: number,
): Beat {
  const next = busy ? rule.every : Math.min(rule.idle, interval * 2);
  return { due: now + next, interval: next };
}

/**
 * Heartbeats in a row a connection has left unanswered, at the moment of the next one.
 *
 * @param since when the connection opened
 * @param answeredAt when it last answered one; 0 for never
 * @param previous when the previous beat was sent
 */
export function missed(before: number, since: number, answeredAt: number, previous: number): number {
  const wasAsked = since < previous;
  return wasAsked && answeredAt < previous ? before + 1 : 0;
}
