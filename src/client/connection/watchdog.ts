/**
 * Notices a dead line: asks the other side for a sign of life now and then, sooner while an answer is due and after sleep,
 * and gives the line up when none comes. Keeps one timer. Knows no socket and no frame.
 */

/** Silence before the client asks while the room owes it an answer. */
const UNANSWERED_MS = 5_000;
/** How long the answer to a question may take while the room owes another one: a dead line is noticed within 10 s. */
const DUE_ANSWER_MS = 4_500;
/** How long it may take else. With a question every 25 s, a dead line is noticed within 35 s. */
const ANSWER_MS = 9_000;
/** How long the answer to a probe may take. */
export const PROBE_MS = 3_000;
/** The longest timer: a device that slept is noticed so soon after it wakes, where timers stand still in sleep. */
const LOOK_MS = 5_000;
/** A timer that rings so much later by the wall clock means that the device slept, or that the program was frozen. */
const SLEPT_MS = 3_000;

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
  readonly #every: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the timer should ring, by the wall clock. */
  #ringsAt = 0;
  /** While an answer is due: since when it is, or since when nothing was heard. */
  #dueSince: number | undefined;
  /** When it last asked; never before the line is open. */
  #askedAt: number | undefined;
  /** While the other side is asked: when the answer is too late. 0 otherwise. */
  #giveUpAt: number;
  /** It was late and asked for that reason, and has heard nothing since. */
  #wasLate = false;

  /**
   * @param openingMs how long the line may be silent at first
   * @param every the longest time between two questions, in ms
   */
  constructor(openingMs: number, every: number, actions: WatchdogActions) {
    this.#actions = actions;
    this.#every = every;
    this.#giveUpAt = performance.now() + openingMs;
    this.#arm();
  }

  /** Something came: the line lives, whatever was asked. */
  heard(): void {
    if (this.#dueSince !== undefined) this.#dueSince = performance.now();
    this.#wasLate = false;
    if (this.#giveUpAt === 0) return;
    this.#giveUpAt = 0;
    this.#arm();
  }

  /** Whether the room owes an answer now. */
  expectAnswer(isDue: boolean): void {
    if (isDue === (this.#dueSince !== undefined)) return;
    this.#dueSince = isDue ? performance.now() : undefined;
    if (isDue) this.#arm();
  }

  /** Asks now, and gives the line up when nothing comes within `ms`. */
  ask(ms = this.#dueSince !== undefined ? DUE_ANSWER_MS : ANSWER_MS): void {
    this.#askedAt = performance.now();
    this.#giveUpAt = Math.min(this.#giveUpAt || Infinity, this.#askedAt + ms);
    this.#actions.ask();
    this.#arm();
  }

  /** Ends it. */
  stop(): void {
    clearTimeout(this.#timer as never);
  }

  get #deadline(): number {
    if (this.#giveUpAt > 0) return this.#giveUpAt;
    return Math.min((this.#askedAt ?? 0) + this.#every, (this.#dueSince ?? Infinity) + UNANSWERED_MS);
  }

  /** Sets a timer that looks at the deadline when it rings, instead of a new one for each message. */
  #arm(): void {
    this.stop();
    const ms = Math.max(0, Math.min(LOOK_MS, this.#deadline - performance.now()));
    this.#ringsAt = Date.now() + ms;
    this.#timer = setTimeout(() => this.#ring(), ms);
  }

  #ring(): void {
    const isLate = Date.now() - this.#ringsAt > SLEPT_MS;
    if (isLate && !this.#wasLate && this.#askedAt !== undefined) {
      // What the line has brought meanwhile may not have been read yet: it is asked, once, whatever was asked before.
      this.#wasLate = true;
      this.#giveUpAt = 0;
      this.ask(PROBE_MS);
    } else if (performance.now() < this.#deadline) this.#arm();
    else if (this.#giveUpAt > 0) this.#actions.giveUp();
    else this.ask();
  }
}
