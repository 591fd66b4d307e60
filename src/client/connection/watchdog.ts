/**
 * Notices a dead line: decides when silence has lasted too long, asks the other side for a sign of life, and gives the
 * line up when there is none. Keeps one timer, by a clock that nobody sets. Knows no socket and no frame.
 */

/** Silence after a heartbeat was due before the client asks. Cloudflare's alarms, which send it, can be a minute late. */
export const LATE_MS = 10_000;
/** Silence before the client asks while the room owes it an answer. */
const UNANSWERED_MS = 5_000;
/** How long the room may take to answer when it is asked. */
const ANSWER_MS = 10_000;

/** What a watchdog may do. */
export interface WatchdogActions {
  /** Sends what the other side answers at once. */
  ask(): void;
  /** Takes the line for dead. Called at most once. */
  giveUp(): void;
}

/** Watches one line, from dial to end. */
export class Watchdog {
  readonly #actions: WatchdogActions;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Since when nothing was heard, or since when an answer is due. */
  #silentSince: number;
  /** When the next heartbeat is due. */
  #heartbeatAt: number;
  #isAnswerDue = false;
  /** While the other side is asked: when the answer is too late. 0 otherwise. */
  #giveUpAt: number;

  /** @param openingMs how long the line may be silent at first */
  constructor(openingMs: number, actions: WatchdogActions) {
    this.#actions = actions;
    this.#silentSince = performance.now();
    this.#giveUpAt = this.#heartbeatAt = this.#silentSince + openingMs;
    this.#arm();
  }

  /** Something came: the line lives, whatever was asked. */
  heard(): void {
    this.#silentSince = performance.now();
    if (this.#giveUpAt === 0) return;
    this.#giveUpAt = 0;
    this.#arm();
  }

  /** The next heartbeat is due in `ms`. */
  expectHeartbeat(ms: number): void {
    this.#heartbeatAt = performance.now() + ms;
    // The deadline may be nearer than it was.
    this.#arm();
  }

  /** Whether the room owes an answer now. */
  expectAnswer(isDue: boolean): void {
    if (isDue === this.#isAnswerDue) return;
    this.#isAnswerDue = isDue;
    if (!isDue) return;
    this.#silentSince = performance.now();
    this.#arm();
  }

  /** Asks now, and gives the line up when nothing comes within `ms`. */
  ask(ms = ANSWER_MS): void {
    this.#giveUpAt = Math.min(this.#giveUpAt || Infinity, performance.now() + ms);
    this.#actions.ask();
    this.#arm();
  }

  /** Ends it. */
  stop(): void {
    clearTimeout(this.#timer as never);
  }

  get #deadline(): number {
    if (this.#giveUpAt > 0) return this.#giveUpAt;
    if (this.#isAnswerDue) return this.#silentSince + UNANSWERED_MS;
    return Math.max(this.#silentSince, this.#heartbeatAt) + LATE_MS;
  }

  /** Sets a timer that looks at the deadline when it rings, instead of a new one for each message. */
  #arm(): void {
    this.stop();
    this.#timer = setTimeout(() => this.#ring(), Math.max(0, this.#deadline - performance.now()));
  }

  #ring(): void {
    if (performance.now() < this.#deadline) this.#arm();
    else if (this.#giveUpAt > 0) this.#actions.giveUp();
    else this.ask();
  }
}
