/** Asks again and again, one question at a time, while somebody looks. What it asks is the caller's. */

/** Longest wait after failures, in ms. */
const LONGEST = 60_000;

export class Poll {
  /** When everything that is asked was last answered, in ms since the epoch; undefined before that. */
  answeredAt;
  /** Called after each answer, and after each question that came to nothing. */
  onSettled = () => undefined;
  #name;
  #every;
  #work;
  #trouble;
  #timer;
  #failures = 0;
  #isRunning = false;
  #isDue = true;
  #control;

  /**
   * @param name of what is asked, for a person reading of trouble with it
   * @param every ms between an answer and the next question
   * @param work asks, given a signal; may return how long to wait instead, Infinity for no more
   * @param trouble told what failed, and that it does no longer
   */
  constructor(name, every, work, trouble) {
    this.#name = name;
    this.#every = every;
    this.#work = work;
    this.#trouble = trouble;
  }

  /** Whether the newest question came to nothing. */
  get isFailing() {
    return this.#failures > 0;
  }

  start() {
    this.#control?.abort();
    this.#control = new AbortController();
    this.#failures = 0;
    this.answeredAt = undefined;
    const { signal } = this.#control;
    document.addEventListener("visibilitychange", () => this.#wake(), { signal });
    this.now();
  }

  /** For good, or until started again. What was asked is not answered any more. */
  stop() {
    this.#control?.abort();
    clearTimeout(this.#timer);
    this.#trouble.clear(this.#name);
  }

  /** At once, or right after the question that is on its way. */
  now() {
    clearTimeout(this.#timer);
    this.#isDue = true;
    this.#wake();
  }

  #wake() {
    if (this.#isDue && !this.#isRunning && document.visibilityState === "visible") void this.#run();
  }

  async #run() {
    const { signal } = this.#control;
    if (signal.aborted) return;
    this.#isDue = false;
    this.#isRunning = true;
    let wait = this.#every;
    try {
      wait = (await this.#work(signal)) ?? wait;
      this.#failures = 0;
      this.answeredAt = Date.now();
      if (!signal.aborted) this.#trouble.clear(this.#name);
    } catch (error) {
      this.#failures++;
      wait = Math.max(error.retryAfter ?? 0, Math.min(LONGEST, this.#every * 2 ** this.#failures));
      const next = { retryAt: Date.now() + wait, retry: () => this.now() };
      if (!signal.aborted) this.#trouble.report(this.#name, error, next);
    }
    this.#isRunning = false;
    if (!signal.aborted) this.onSettled();
    if (this.#isDue) this.#wake();
    else if (!signal.aborted && wait !== Infinity) this.#timer = setTimeout(() => this.now(), wait);
  }
}
